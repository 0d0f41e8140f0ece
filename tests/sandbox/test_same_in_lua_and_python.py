"""What stands in Lua and in Python is the same in both."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import micro_agi_kernel
from micro_agi_kernel import values
from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.sandbox import frames, protocol

PACKAGE = Path(micro_agi_kernel.__file__).parent


def lua(file: str) -> str:
    return (PACKAGE / file).read_text()


def number(file: str, name: str) -> int:
    """The constant `local NAME = 128` or `local NAME = 8 << 20` of a Lua file."""
    found = re.search(rf"^local {name} = (\d+)(?: << (\d+))?(?: --|$)", lua(file), re.MULTILINE)
    assert found, f"{file} has no number {name}"
    return int(found[1]) << int(found[2] or 0)


@pytest.mark.parametrize(
    ("file", "name", "python"),
    [
        ("sandbox/values.lua", "MAX_SIZE", frames.MAX_VALUE),  # bytes
        ("sandbox/values.lua", "MAX_DEPTH", values.MAX_DEPTH),
        ("lua_modules/json.lua", "MAX_DEPTH", values.MAX_DEPTH),
        ("sandbox/ending.lua", "MAX_ERROR_TEXT", protocol.MAX_ERROR_TEXT),  # bytes: at most as many characters
    ],
)
def test_a_limit_is_the_same(file: str, name: str, python: int) -> None:
    assert number(file, name) == python


def test_what_lua_lets_out_python_takes_in() -> None:
    pieces = number("sandbox/values.lua", "MAX_PIECES") * number("sandbox/values.lua", "MAX_FOLDS")
    assert frames.MAX_ITEMS * 0.9 < pieces < frames.MAX_ITEMS  # each piece is at most one comma or bracket


def test_the_kinds_that_a_tool_may_give_an_error() -> None:
    block = re.search(r"local KINDS = \{(.*?)\}", lua("sandbox/errors.lua"), re.DOTALL)
    assert block
    kinds = re.findall(r'"(\w+)"', block[1])
    assert len(kinds) == len(set(kinds))
    assert set(ErrorKind) - set(kinds) == {"SYNTAX", "MEMORY_LIMIT", "OUTPUT_LIMIT", "CALL_LIMIT", "CRASHED"}
    assert set(kinds) < set(ErrorKind)
