"""The benchmarks: each script gives rows that are well-formed, and one page is made of them. No figure is judged."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
QUICK = {"expr"}
"""Parts that take a second; the others run with the large counts."""


@pytest.fixture(scope="module")
def rows() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("_rows")


@pytest.fixture(scope="module")
def page(rows: Any) -> Any:
    return importlib.import_module("_page")


PARTS = sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py"))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_gives_rows(part: str, rows: Any) -> None:
    if part not in QUICK and not os.environ.get("MICRO_AGI_FULL"):
        pytest.skip("only with MICRO_AGI_FULL=1")
    command: list[str | Path] = [sys.executable, ROOT / "benchmarks" / f"{part}.py", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=600)
    found = [rows.from_json(line) for line in done.stdout.splitlines()]
    figures = [each for each in found if isinstance(each, rows.Row)]
    assert figures and {row.part for row in figures} == {part}
    assert len({(row.what, row.unit, row.beside) for row in figures}) == len(figures)
    for row in figures:
        assert row.what and row.beside and not (row.ours < 0 or row.theirs < 0)
        assert rows.line(row).count("|") - rows.line(row).count("\\|") == len(rows.HEADS) + 1


def test_a_row_tells_how_many_times_theirs_it_is_and_whether_the_aim_is_missed(rows: Any) -> None:
    row = rows.Row("expr", "a | b", 3.0, "ms", "Python", 2.0, most=1.25, limit=5)
    assert (row.times, row.missed, row.aim) == (1.5, True, "≤ 1.25 and ≤ 5 ms, missed")
    assert not rows.Row("expr", "x", 2.0, "ms", "Python", 2.0, most=1.25, limit=5).missed
    assert rows.Row("expr", "x", 6.0, "ms", "Python", 6.0, most=1.25, limit=5).missed
    assert rows.Row("expr", "x", math.nan, "ms", "Python", 2.0, most=1.25).missed
    assert math.isnan(rows.Row("expr", "x", 1.0, "ms", "Python", 0.0).times)
    cells = [cell.strip() for cell in rows.line(row).replace("\\|", "/").split("|")]
    assert cells[1:-1] == ["expr", "a / b", "3 ms", "Python", "2 ms", "1.5", "≤ 1.25 and ≤ 5 ms, missed"]
    assert rows.from_json(rows.to_json(row)) == row and rows.from_json(rows.to_json("not measured")) == "not measured"


def test_the_page_holds_the_table_the_machine_and_what_was_missed(rows: Any, page: Any) -> None:
    good = rows.Row("expr", "good", 1.0, "ms", "Python", 2.0, most=1.25)
    bad = rows.Row("agent", "bad", 4.0, "ms", "openai", 2.0, most=1.25)
    text = page.page([good, "agent: llm is not installed", bad], 540)
    assert f"{rows.head()}\n{rows.line(good)}\n{rows.line(bad)}\n" in text
    assert "9 minutes" in text and "| commit | " in text and "ipykernel " in text and "git version " in text
    assert "* agent: llm is not installed\n" in text
    assert text.endswith("## Aims that were not reached\n\n* agent: bad, beside openai\n")
    assert page.page([good], 60).endswith("\nNone.\n")


def test_the_page_in_the_documentation_is_the_one_that_is_written(page: Any) -> None:
    assert (ROOT / "docs/benchmarks.md").read_text().startswith(page.INTRODUCTION)


def test_a_page_is_of_a_whole_run_which_is_every_script(tmp_path: Path) -> None:
    text = (ROOT / "benchmarks/__main__.py").read_text()
    assert [part for part in PARTS if f'"{part}"' not in text] == []
    command = [sys.executable, "-m", "benchmarks", "--only", "expr", "--write", str(tmp_path / "page.md")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and "whole run" in done.stderr and not list(tmp_path.iterdir())
