"""Every function and method of every module, as the first and only call of a fresh child with all layers of the jail.

What a module forgot to import or open before the jail, or a system call that it needs only the first time, shows here.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from lua_calls import CALLS
from lua_double import ALL_MODULES, Host, RunLua
from lua_surface import MAKERS, callee, classes_of, surface, with_modules

from micro_agi_kernel.errors import SandboxError
from micro_agi_kernel.interfaces import Program
from micro_agi_kernel.sandbox.pool import JailedSandbox

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jail() -> AsyncIterator[JailedSandbox]:
    """Nothing runs in it unless every layer is active."""
    sandbox = JailedSandbox("micro_agi_kernel.lua_modules", require="full", spares=0)
    try:
        await sandbox.run(Program("return 1", "test"), Host(), lambda _: None)
    except SandboxError as error:
        pytest.skip(str(error))
    yield sandbox
    await sandbox.close()


async def test_the_table_names_every_function_there_is(run_lua: RunLua) -> None:
    functions, _ = await surface(run_lua)
    assert functions == set(CALLS)
    for name in ALL_MODULES:
        assert {f"{name}.{found}" for found in classes_of(name)} <= set(MAKERS)


@pytest.mark.parametrize("name", CALLS)
async def test_the_first_call_in_a_child_succeeds(name: str, jail: JailedSandbox) -> None:
    call = CALLS[name]
    source = f"""
        local r, s, t = {callee(name)}({call.arguments})
        return ({call.holds}) and true or {{tostring(r), tostring(s), tostring(t)}}
    """
    program = Program(with_modules(source), "test", modules=frozenset(ALL_MODULES))
    outcome = await jail.run(program, Host(), lambda _: None)
    assert outcome.error is None, outcome.error
    assert outcome.value is True
