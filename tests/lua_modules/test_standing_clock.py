"""A program whose clock stands: every way to ask for the time gives the same moment, on each call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from lua_double import ALL_MODULES, Host

from micro_agi_kernel.interfaces import Program
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.values import Value

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

NOON = 1_709_208_000_123_456_789
"""2024-02-29 12:00:00.123456789 UTC."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[JailedSandbox]:
    sandbox = JailedSandbox("micro_agi_kernel.lua_modules", spares=1)
    yield sandbox
    await sandbox.close()


async def value(sandbox: JailedSandbox, source: str, now: int | None = NOON) -> Value:
    program = Program(source, "test", modules=frozenset(ALL_MODULES), now=now)
    outcome = await sandbox.run(program, Host(), lambda _: None)
    assert outcome.error is None, outcome.error
    return outcome.value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "return require('time').now():utc():format('2006-01-02T15:04:05.999999999Z07:00')",
            "2024-02-29T12:00:00.123456789Z",
        ),
        ("local t = require('time') local a = t.now() t.sleep('5ms') return t.now():sub(a):nanoseconds()", 0),
        ("return os.time()", NOON // 10**9),
        ("return os.date('!%Y-%m-%d %H:%M:%S')", "2024-02-29 12:00:00"),
        ("return os.date('!%Y', 0)", "1970"),
        ("return os.date('!*t').day", 29),
        ("return os.time({hour = 12}) - os.time({year = 2024, month = 2, day = 29, hour = 12})", 0),
        ("return require('uuid').parse(require('uuid').v7()).timestamp", NOON // 10**9),
        ("return require('uuid').parse(require('uuid').v1()).timestamp", NOON // 10**9),
        ("return require('expr').eval('now().Year()')", 2024),
        (
            "return (select(2, pcall(os.date, '%Ez', 1)))",
            "bad argument #1 to 'os.date' (invalid conversion specifier '%Ez')",
        ),
    ],
)
async def test_every_clock_stands(sandbox: JailedSandbox, source: str, expected: Value) -> None:
    assert await value(sandbox, source) == expected


async def test_a_token_is_valid_by_the_standing_clock(sandbox: JailedSandbox) -> None:
    source = """
    local crypto = require("crypto")
    local token = crypto.jwt.encode({exp = 1709208060}, "a-secret-that-is-long-enough-for-it", "HS256")
    local claims, err = crypto.jwt.verify(token, "a-secret-that-is-long-enough-for-it", "HS256")
    return {claims and claims.exp or false, err and err:message() or ""}
    """
    assert await value(sandbox, source) == [1_709_208_060, ""]
    assert (await value(sandbox, source, None))[0] is False  # type: ignore[index]


async def test_timers_and_limits_go_on(sandbox: JailedSandbox) -> None:
    source = "local time = require('time') return time.after('5ms'):receive() ~= nil"
    assert await value(sandbox, source) is True
