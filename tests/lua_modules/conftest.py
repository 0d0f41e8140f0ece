"""A real jailed sandbox for the Lua modules."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from lua_double import ALL_MODULES, Host, Ran, RunLua

from micro_agi_kernel.interfaces import Limits, Program
from micro_agi_kernel.outputs import Output, Printed
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.values import Value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run_lua() -> AsyncIterator[RunLua]:
    """`await run_lua(source, input)` runs Lua with every module in a fresh jailed child.

    A module that uses it says `pytestmark = [pytest.mark.asyncio(loop_scope="module")]`: a sandbox belongs to one loop.
    """
    sandbox = JailedSandbox("micro_agi_kernel.lua_modules", spares=1)

    async def run(source: str, input: Value = None, *, host: Host | None = None, limits: Limits | None = None) -> Ran:
        host = host or Host()
        shown: list[Output] = []
        limits = limits or Limits()
        program = Program(source, "test", input=input, modules=frozenset(ALL_MODULES), limits=limits)
        outcome = await sandbox.run(program, host, shown.append)
        printed = "".join(output.text for output in shown if isinstance(output, Printed))
        return Ran(outcome, printed, host.asked)

    yield run
    await sandbox.close()
