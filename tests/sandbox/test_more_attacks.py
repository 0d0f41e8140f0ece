"""More ways to break the sandbox from Lua than the conformance data has, by kind, and how each must end.

"value" is a call that returns; the rest are kinds of errors. Where two are named both are clean, and chance or
the machine's speed decides. After each the next call is clean.
"""

from __future__ import annotations

import asyncio
import re
from itertools import chain
from pathlib import Path

import pytest
from sandbox_kit import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = Path(__file__).with_name("more_attacks.lua").read_text()
PARTS = re.split(r"^--- (.+): ([A-Za-z_ ]+)\n", TEXT, flags=re.MULTILINE)[1:]
CASES = {name: (source, ends) for name, ends, source in zip(PARTS[::3], PARTS[1::3], PARTS[2::3], strict=True)}

# Sources that are hostile before they run.
SOURCES: dict[str, tuple[str, str]] = {
    "bytecode": ("\x1bLuaT\x00\x19\x93\r\n\x1a\n", "SYNTAX"),
    "an escape before text": ("\x1breturn 1", "SYNTAX"),
    "a byte order mark": ("\ufeffreturn 1", "SYNTAX"),
    "a shebang line": ("#!/usr/bin/lua\nreturn 1", "SYNTAX"),
    "a zero byte": ("return 1\0", "SYNTAX"),
    "braces": ("return " + "{" * 100_000 + "}" * 100_000, "SYNTAX"),
    "brackets": ("return " + "(" * 100_000 + "1" + ")" * 100_000, "SYNTAX"),
    "functions": ("function f() " * 100_000 + "end " * 100_000, "SYNTAX"),
    "signs": ("return " + "- " * 300_000 + "1", "SYNTAX"),
    "not": ("return " + "not " * 300_000 + "1", "SYNTAX"),
    "concatenations": ("return " + "'a'.." * 100_000 + "'a'", "SYNTAX"),
    "powers": ("return " + "2^" * 100_000 + "1", "SYNTAX"),
    "calls": ("return f" + "()" * 100_000, "UNKNOWN"),
    "locals": ("local " + ",".join(f"a{n}" for n in range(300)), "SYNTAX"),
    "blocks of locals": ("local " + ",".join(f"a{n}" for n in range(200)) + " do local b end", "SYNTAX"),
    "arguments": ("return print(" + "1," * 300 + "1)", "UNKNOWN SYNTAX value"),
    "constants": ("\n".join(f"x{n} = 'a{n}'" for n in range(100_000)), "value MEMORY_LIMIT"),
    "labels": (" ".join(f"::l{n}::" for n in range(50_000)), "SYNTAX"),
    "gotos": (" ".join(f"goto l{n} ::l{n}::" for n in range(3_000)), "value TIMEOUT"),
    "a long string": ("return #[" + "=" * 100_000 + "[x]" + "=" * 100_000 + "]", "value"),
    "a long comment": ("--" + "x" * 5_000_000 + "\nreturn 1", "value"),
    "a long name": ("local " + "x" * 1_000_000 + " = 1 return 1", "value"),
    "a long number": ("return " + "1" * 1_000_000 + " == math.huge", "value"),
    "an endless string": ("return '" + "x" * 1_000_000, "SYNTAX"),
    "else": ("if x then " + "elseif x then " * 2_000 + "end", "value SYNTAX"),
    "blocks": ("do " * 100_000 + "end " * 100_000, "SYNTAX"),
    "nothing": ("", "value"),
}  # fmt: skip


def is_late(name: str) -> bool:
    """These take their whole time, so they get little of it and run side by side."""
    return (CASES | SOURCES)[name][1].startswith("TIMEOUT")


async def attempt(lua: Runner, name: str, seconds: float) -> list[str]:
    """What went wrong."""
    source, ends = (CASES | SOURCES)[name]
    outcome = await lua(source, seconds=seconds)
    after = await lua("return 'clean'")
    found = []
    if (outcome.error.kind if outcome.error else "value") not in ends.split():
        found.append(f"{name}: {outcome}"[:300])
    if "PWN" in str(outcome.value) or (outcome.error and "[sandbox]" in outcome.error.message):
        found.append(f"{name} tells: {outcome}"[:300])
    if after.value != "clean":
        found.append(f"after {name}: {after}"[:300])
    return found


@pytest.mark.parametrize("name", [name for name in [*CASES, *SOURCES] if not is_late(name)])
async def test_it_ends_cleanly(lua: Runner, name: str) -> None:
    assert await attempt(lua, name, seconds=2) == []


async def test_what_would_not_end_is_ended(lua: Runner) -> None:
    late = [name for name in [*CASES, *SOURCES] if is_late(name)]
    free = asyncio.Semaphore(6)

    async def one(name: str) -> list[str]:
        async with free:
            return await attempt(lua, name, seconds=0.15)

    assert [*chain(*await asyncio.gather(*(one(name) for name in late)))] == []
