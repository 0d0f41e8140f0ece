"""The way to an MCP server that is a program: we start it, speak over its input and output, and end it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from micro_agi_kernel.environment import server_environment
from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.mcp_client.watch import MAX_MESSAGE, TOO_LONG, Watch
from micro_agi_kernel.mcp_settings import McpServer
from micro_agi_kernel.values import shorten

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from micro_agi_kernel.mcp_client.watch import Streams

GRACE = 0.5
"""Seconds that a program has to end after its input ended, and again after SIGTERM."""

_IN_PLACE = 64 << 10
"""Bytes of a message that is read without a thread."""

_LAUNCH = """
import ctypes, os, signal, sys
parent, *command = sys.argv[1:]
try:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
except (OSError, AttributeError):
    pass
if os.getppid() != int(parent):
    os._exit(1)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execvp(command[0], command)
"""
"""Becomes the server's program, which the system then kills when we end, however we do (PR_SET_PDEATHSIG, Linux)."""


@asynccontextmanager
async def program(server: McpServer, watch: Watch) -> AsyncIterator[Streams]:
    """The transport to `server` for the SDK's client. Raises SettingsError and OSError when it cannot be started."""
    import anyio
    from mcp.shared.message import SessionMessage

    process = await _start(server)
    heard, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write_stream, to_say = anyio.create_memory_object_stream[SessionMessage](0)
    tasks = [
        asyncio.create_task(_listen(process, heard, watch)),
        asyncio.create_task(_say(process, to_say, watch)),
    ]
    try:
        yield read_stream, write_stream
    finally:
        for task in tasks:
            task.cancel()
        try:
            await _end(process)
        finally:
            _kill(process, signal.SIGKILL)
            _close_pipes(process)
            for stream in (heard, read_stream, write_stream, to_say):
                stream.close()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _start(server: McpServer) -> asyncio.subprocess.Process:
    environment = server_environment(server.env)
    if shutil.which(server.command[0], path=environment.get("PATH", os.defpath)) is None:
        raise SettingsError(f"there is no program {shorten(server.shown)!r}")
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *server.command),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        limit=MAX_MESSAGE,
    )


async def _listen(process: asyncio.subprocess.Process, to: MemoryObjectSendStream[Any], watch: Watch) -> None:
    """Pass on what the program says, one message a line, until it ends or says too much."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    assert process.stdout is not None
    with to, contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                watch.end(TOO_LONG)
                return
            except ConnectionError:
                line = b""
            if not line:
                break
            if not watch.heard(len(line)) or not watch.may_be_read(line):
                return
            parse = jsonrpc_message_adapter.validate_json
            try:
                inline = len(line) <= _IN_PLACE
                message = parse(line, by_name=False) if inline else await asyncio.to_thread(parse, line, by_name=False)
            except ValueError:  # a line of a log, or worse: it counts as said
                continue
            if watch.passes(message):
                await to.send(SessionMessage(message))
            else:
                await asyncio.sleep(0)  # a flood leaves room for others
    watch.end("ended")


async def _say(process: asyncio.subprocess.Process, of: MemoryObjectReceiveStream[Any], watch: Watch) -> None:
    """Pass on what the session says to the program."""
    assert process.stdin is not None
    with of, contextlib.suppress(OSError):
        async for said in of:
            if "method" in said.message.model_fields_set:
                watch.asked()
            process.stdin.write(said.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            await process.stdin.drain()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program as the protocol has it: its input ends, then SIGTERM; the caller does the rest."""
    assert process.stdin is not None
    process.stdin.close()
    if await _ends(process):
        return
    _kill(process, signal.SIGTERM)
    if not await _ends(process):
        _kill(process, signal.SIGKILL)
        await _ends(process)


async def _ends(process: asyncio.subprocess.Process) -> bool:
    """Whether it has ended within the grace; `wait` would wait for whoever else holds its pipes."""
    for _ in range(int(GRACE / 0.01)):
        if process.returncode is not None:
            return True
        await asyncio.sleep(0.01)
    return process.returncode is not None


def _kill(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal the program and all that it started, but for what left its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _close_pipes(process: asyncio.subprocess.Process) -> None:
    transport = getattr(process, "_transport", None)  # nothing public closes what another process still holds
    if transport is not None:
        transport.close()
