"""Lua's own test-suite in the sandbox: what passes, what does not and why; nothing of it ends the process.

The suite is not part of the project. `make test` fetches it; MICRO_AGI_LUA_TESTS may name another copy's folder.

Each file runs twice. As it is, as a tool: most soon miss something, which must be a clean error. Then with
what the suite takes for granted (PRELUDE) and without the lines that are about something absent on purpose
(LEFT_OUT): what passes then may only grow.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
import pytest_asyncio
from lua_suite_modules import NAMES
from sandbox_kit import Runner, opened

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.interfaces import CallOutcome

VERSION = "5.4.8"
SUITE = Path(os.environ.get("MICRO_AGI_LUA_TESTS") or Path(sys.prefix, "lua-suite", VERSION))

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        not SUITE.is_dir(),
        reason=f"no tests of Lua {VERSION} at {SUITE}: `make test` fetches them when PyPI can be had",
    ),
]

# `load` (through a module of the tests), `require` of the libraries that a tool has anyway, an empty `debug`,
# a collector that cannot be told anything. In one line, so that the lines of the file keep their numbers.
PRELUDE = """
do
  local compile, real, count = require("compiler"), require, 0
  local libs = { string = string, table = table, math = math, utf8 = utf8, coroutine = coroutine, os = os, _G = _G }
  for _, name in ipairs({ "_VERSION", "errors" }) do libs[name] = _G[name] end
  libs.debug, libs.tracegc = {}, { start = function() end, stop = function() end }
  package = { loaded = libs } libs.package = package
  function require(name) if libs[name] then return libs[name] end return real(name) end
  function load(source, _, _, ...)
    if type(source) == "function" then
      local parts = {}
      for part in source do if part == "" then break end parts[#parts + 1] = part end
      source = table.concat(parts)
    end
    count = count + 1
    compile("chunk" .. count, "return function(_ENV) return function(...) " .. source .. "\\nend end")
    local ok, made = pcall(real, "chunk" .. count)
    if not ok then return nil, made end
    if select("#", ...) > 0 then return made((...)) end
    return made(_ENV)
  end
  function collectgarbage(_) return 0 end
end
""".replace("\n", " ")

# Files that pass: lines left out of them -> why.
PASSING: dict[str, dict[str, str]] = {
    "api": {},  # skips itself: needs a Lua built for testing
    "closure": {"253-278": "debug.upvalueid"},
    "code": {},  # skips itself
    "coroutine": {
        "237-238": "debug.getinfo",
        "339-356": "debug.sethook",
        "360-361": "debug.getinfo",
        "417": "collectgarbage",
        "969-971": "debug.setupvalue",
    },
    "cstack": {},
    "gengc": {"51 76": "__gc", "109-124": "collectgarbage"},
    "goto": {"186-220": "debug.upvalueid"},
    "heavy": {},
    "math": {},
    "nextvar": {"355-371": "io.stdin"},
    "pm": {"413 416 426 436": "addresses (%p)"},
    "sort": {},
    "strings": {"160-197": "addresses (%p)", "418-450": "os.setlocale"},
    "tpack": {},
    "utf8": {},
    "vararg": {},
}
SKIP_THEMSELVES = {"api", "code"}

# Files that do not pass: how they end, which is why.
FAILING = {
    "all": "'#'",  # the driver: a script for the lua program, with io and os
    "attrib": "module 'io' is not available here",
    "big": "got nil",  # debug.traceback
    "bitwise": "module 'bwcoercion' is not available here",
    "bwcoercion": "attempt to index a string value (local 'smt')",  # the metatable of strings is locked
    "calls": "(field 'getinfo')",
    "constructs": "(field 'getinfo')",
    "db": "(field 'gethook')",
    "errors": "assertion failed!",  # tostring() without a value; below that, debug
    "events": "cannot replace a metatable",
    "files": "(field 'getenv')",
    "gc": "assertion failed!",  # collectgarbage
    "literals": "(field 'getinfo')",
    "locals": "(field 'getupvalue')",
    "main": "'#'",  # a script for the lua program, with io and os
    "tracegc": "(global 'io')",
    "verybig": "(field 'tmpname')",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite() -> AsyncIterator[Runner]:
    async with opened("lua_suite_modules") as runner:
        yield runner


async def run(suite: Runner, name: str, left_out: Iterable[str] = (), prelude: str = "") -> CallOutcome:
    lines = (SUITE / f"{name}.lua").read_text(errors="replace").split("\n")
    for first, _, last in (part.partition("-") for parts in left_out for part in parts.split()):
        for number in range(int(first), int(last or first) + 1):
            lines[number - 1] = ""
    return await suite(prelude + "\n".join(lines), modules=NAMES if prelude else frozenset(), seconds=60)


async def test_the_tables_name_each_file_once() -> None:
    assert {name.removesuffix(".lua") for name in os.listdir(SUITE)} == PASSING.keys() | FAILING.keys()
    assert not PASSING.keys() & FAILING.keys()


@pytest.mark.parametrize("name", sorted(PASSING.keys() | FAILING.keys()))
async def test_a_file_as_it_is_ends_cleanly(suite: Runner, name: str) -> None:
    outcome = await run(suite, name)
    assert outcome.error is None or outcome.error.kind in (ErrorKind.UNKNOWN, ErrorKind.SYNTAX), outcome.error
    assert outcome.error is None or re.match(r"tool:\d+: ", outcome.error.message), outcome.error


@pytest.mark.parametrize("name", PASSING)
async def test_a_file_passes(suite: Runner, name: str) -> None:
    outcome = await run(suite, name, PASSING[name], PRELUDE)
    assert outcome.error is None, outcome.error
    assert ("testc not active" if name in SKIP_THEMSELVES else "ok") in suite.output.lower()


@pytest.mark.parametrize("name", FAILING)
async def test_a_file_does_not_pass(suite: Runner, name: str) -> None:
    """When this fails because the file passes now: move it to the other table."""
    outcome = await run(suite, name, prelude=PRELUDE)
    assert outcome.error is not None
    assert FAILING[name] in outcome.error.message
