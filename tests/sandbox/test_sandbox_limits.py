"""Every limit of a call, the kill, and what arrives before the end."""

from __future__ import annotations

import asyncio

import psutil
import pytest
from sandbox_kit import Runner

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.sandbox.call import clock_stopped
from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("\nwhile true do end", " at tool:2"),
        ("while true do pcall(function()\nwhile true do end end) end", " at tool:2"),
        ("coroutine.wrap(function()\n\nwhile true do end end)()", " at tool:3"),
        ("coroutine.resume(coroutine.create(function() while true do end end)) return 'caught'", " at tool:1"),
        ("return ('a'):rep(30000):find(('.-'):rep(8) .. 'b')", ""),  # in C: only the kill ends it
        ("local service = require('service')\nservice.sleep(60)", " at tool:2"),
        ("local service = require('service')\nwhile true do pcall(service.sleep, 60) end", " at tool:2"),
        ("coroutine.wrap(function()\n\nrequire('service').sleep(60) end)()", " at tool:3"),
        ("local sleep = require('service').sleep\n;('x'):gsub('.', function() sleep(60) end)", " at tool:2"),
        ("coroutine.spawn(function() require('service').sleep(60) end)\nchannel.new():receive()", " at tool:2"),
    ],
)
async def test_time(lua: Runner, source: str, where: str) -> None:
    error = await lua.error(source, seconds=0.25)
    assert error.kind is ErrorKind.TIMEOUT
    assert error.message == f"time limit of 0.25 s reached{where}"


async def test_time_while_the_host_works(lua: Runner) -> None:
    cancelled = asyncio.Event()

    class Slow:
        async def request(self, op: str, payload: Value) -> Value:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return None

    error = await lua.error("return require('service').ask(1)", host=Slow(), seconds=0.2)
    assert error.kind is ErrorKind.TIMEOUT
    assert cancelled.is_set()


@pytest.mark.parametrize(
    "source",
    [
        "local t = {} while true do t[#t + 1] = {} end",
        "return #('x'):rep(1 << 30)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
        "return require('values').echo(('x'):rep(7 << 20), ('y'):rep(7 << 20), ('z'):rep(7 << 20))",
    ],
)
async def test_memory(lua: Runner, source: str) -> None:
    error = await lua.error(source, memory=16 * MIB)
    assert (error.kind, error.message) == (ErrorKind.MEMORY_LIMIT, "memory limit of 16 MiB reached at tool:1")


async def test_a_recursion_without_an_end(lua: Runner) -> None:
    error = await lua.error("local function f() return 1 + f() end\nreturn f()")
    assert error.message == "memory limit of 64 MiB reached at tool:1: its calls nest more than 10000 deep"


async def test_memory_in_a_coroutine_that_was_spawned(lua: Runner) -> None:
    source = "local function hoard()\nlocal t = {} while true do t[#t + 1] = {} end end\ncoroutine.spawn(hoard)\n"
    error = await lua.error(source + "channel.new():receive()", memory=16 * MIB)
    assert error.kind is ErrorKind.MEMORY_LIMIT
    assert error.message == "memory limit of 16 MiB reached at tool:2 (in a coroutine spawned at tool:3)"


@pytest.mark.parametrize("left", [100, 10_000, 1_000_000])
async def test_answers_from_outside_when_memory_is_nearly_full(lua: Runner, left: int) -> None:
    """A push that fails inside lupa would hang the child for ever; here it must be an ordinary error or work."""

    class Large:
        async def request(self, op: str, payload: Value) -> Value:
            return "y" * 3_000_000

    outcome = await lua(
        f"""
        local run, ask, source = require("python").run, require("service").ask, "result = 'x' * 3000000"
        local kept = {{}}
        local function fill(n) pcall(function() while true do kept = {{ kept, ("y"):rep(n) .. #kept }} end end) end
        for size = 6, 0, -1 do if 10 ^ size >= {left} then fill(10 ^ size) end end
        local native = pcall(run, source)
        local host = pcall(ask, "payload")
        kept = nil
        return {{ native = native, host = host, after = #run(source) + #ask(1) }}
        """,
        memory=16 * MIB,
        seconds=5,
        host=Large(),
    )
    assert outcome.error is None or outcome.error.kind is ErrorKind.MEMORY_LIMIT
    assert outcome.error or (isinstance(outcome.value, dict) and outcome.value["after"] == 6_000_000)


async def test_python_memory_in_the_child(lua: Runner) -> None:
    error = await lua.error("return require('python').run('result = len(bytearray(1 << 30))')")
    assert error.kind is ErrorKind.MEMORY_LIMIT


async def test_output(lua: Runner) -> None:
    error = await lua.error("while true do print('x') end", output=1000)
    assert (error.kind, error.message) == (ErrorKind.OUTPUT_LIMIT, "output limit of 1000 bytes reached at tool:1")
    assert lua.output == "x\n" * 500
    assert (await lua.error("print(('é'):rep(1e6))", output=MIB)).message == "output limit of 1 MiB reached at tool:1"
    assert lua.output == "é" * (MIB // 2)
    await lua.value("io = print io(('x'):rep(999))", output=1000)


async def test_host_calls(lua: Runner) -> None:
    source = "for n = 1, 5 do print(require('service').ask(n)) end"
    error = await lua.error(source, host_calls=4)
    assert (error.kind, error.message) == (ErrorKind.CALL_LIMIT, "limit of 4 host calls reached at tool:1")
    assert lua.output == "1\n2\n3\n4\n"
    await lua.value(source, host_calls=5)


async def test_the_clock_of_a_busy_handler_stands_still_too(lua: Runner) -> None:
    """While a coroutine waits for what is not its own, such as a nested call, the handler works on."""
    release = asyncio.Event()

    class Nested:
        async def request(self, op: str, payload: Value) -> Value:
            with clock_stopped():
                await release.wait()
            return payload

    def on_output(text: str) -> None:
        if "long ago" in text:
            release.set()

    source = """
        local got
        coroutine.spawn(function() got = require("service").ask("answer") end)
        require("service").sleep(0.01)
        local began = os.clock()
        while os.clock() < began + 0.9 do end
        print("long ago")
        while not got do require("service").sleep(0.01) end
        return got
    """
    assert await lua.value(source, host=Nested(), on_output=on_output, seconds=0.5) == "answer"


async def test_output_arrives_while_the_program_runs(lua: Runner) -> None:
    """The host answers only after the line before the request was seen."""
    seen = asyncio.Event()

    class Waiting:
        async def request(self, op: str, payload: Value) -> Value:
            await seen.wait()
            return payload

    def on_output(text: str) -> None:
        if "working" in text:
            seen.set()

    source = "print('working') return require('service').ask('done')"
    assert await lua.value(source, host=Waiting(), on_output=on_output) == "done"


async def test_the_line_before_a_hang_is_seen(lua: Runner) -> None:
    await lua.error("print('a') print('b') while true do end", seconds=0.2)
    assert lua.output == "a\nb\n"


async def test_cancelling_kills(lua: Runner) -> None:
    pids: list[int] = []
    started = asyncio.Event()

    def on_output(text: str) -> None:
        pids.append(int(text))
        started.set()

    source = "print(require('python').run('import os; result = os.getpid()')) while true do end"
    call = asyncio.create_task(lua(source, on_output=on_output))
    await started.wait()
    assert psutil.pid_exists(pids[0])
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not psutil.pid_exists(pids[0])
    assert await lua.value("return 1") == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import os; os._exit(3)", "the sandboxed process ended with status 3"),
        ("import ctypes; ctypes.string_at(0)", "the sandboxed process was ended by SIGSEGV"),
    ],
)
async def test_crash(lua: Runner, source: str, message: str) -> None:
    error = await lua.error(f"print('before') return require('python').run('{source}')")
    assert (error.kind, error.message) == (ErrorKind.CRASHED, message)
    assert lua.output == "before\n"


# What a child that was taken over may write on its pipe: {fd} is found by trying.
WRITE = """
import os
def say(data):
    for fd in range(3, 20):
        while True:
            try:
                data = data[os.write(fd, data):]
                if data: continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            break
def frame(text):
    return len(text).to_bytes(4, "big") + text
"""


@pytest.mark.parametrize(
    ("python", "kind"),
    [
        ("say(b'\\x00\\x00\\x00\\x05ab')\nos._exit(0)", ErrorKind.CRASHED),
        ("say(b'\\x00\\x00\\x00\\x05ab')\nwhile True: pass", ErrorKind.TIMEOUT),
        ("say(b'\\xff' * 100)", ErrorKind.CRASHED),
        ("say(frame(b'{}'))", ErrorKind.CRASHED),
        ("say(frame(b'{\"t\":\"ready\",\"layers\":[]}'))", ErrorKind.CRASHED),
        ("say(frame(b'[' * 100000))", ErrorKind.CRASHED),
        ("say(frame(b'{\"t\":\"end\",\"value\":NaN}'))", ErrorKind.CRASHED),
        ("say(frame(b'{\"t\":\"ask\",\"id\":1,\"op\":\"x\",\"payload\":1}') * 2000)", ErrorKind.CRASHED),
        (
            "for n in range(2000): say(frame(b'{\"t\":\"ask\",\"id\":%d,\"op\":\"x\",\"payload\":1}' % n))\n"
            "while True: pass",  # had it ended before all were counted, it would be CRASHED
            ErrorKind.CALL_LIMIT,
        ),
    ],
)  # fmt: skip
async def test_hostile_frames_from_a_real_child(lua: Runner, python: str, kind: ErrorKind) -> None:
    class NeverAnswers:
        async def request(self, op: str, payload: Value) -> Value:
            await asyncio.sleep(0 if kind is ErrorKind.CALL_LIMIT else 3600)
            return None

    source = f"return require('python').run([==[{WRITE}{python}]==])"
    seconds = 1 if kind is ErrorKind.TIMEOUT else 30
    error = await lua.error(source, seconds=seconds, host=NeverAnswers())
    assert error.kind is kind


async def test_a_child_that_closes_its_pipe_and_stays(lua: Runner) -> None:
    source = """
        print(require("python").run("import os; result = os.getpid()"))
        return require("python").run([[
import os, time
for fd in range(3, 20):
    try: os.close(fd)
    except OSError: pass
while True: time.sleep(1)
]])"""
    error = await lua.error(source, seconds=5)
    assert error.kind is ErrorKind.CRASHED
    assert not psutil.pid_exists(int(lua.output))
