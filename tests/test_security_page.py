"""docs/security.md: each line of its tables names a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/.]+::\w+)`", PAGE)))


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_it_names_is_there(named: str) -> None:
    path, _, name = named.partition("::")
    tests = [node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, FUNCTIONS)]
    assert name in tests


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_each_line_has_its_test_and_each_part_says_what_does_not_hold() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "shown by" not in line]
    assert len(rows) > 30
    assert not [row for row in rows if "::" not in row.rpartition(" | ")[2]]
