"""`micro-agi mcp --http` and the SDK's client: listing, calling, changes, cancelling, and who is let in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest
from mcp.shared.exceptions import MCPError
from mcp_kit import MAIN, MODES, SECONDS, TOKEN, HttpServer, client, text_of, tool, with_log, workspace, write
from mcp_types import EmbeddedResource, TextContent, ToolListChangedNotification

from micro_agi_kernel.entries import Changeset, EntryId, Operation
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.registry import CommitMessage, Person
from micro_agi_kernel.rollback import revert

both = pytest.mark.parametrize("mode", MODES)


@both
async def test_tools_are_listed_and_called(server: HttpServer, mode: str) -> None:
    logs, steps = list[Any](), list[Any]()

    async def log(said: Any) -> None:
        logs.append(said.data)

    async def step(*said: Any) -> None:
        steps.append(said)

    async with client(server.url, mode, logging_callback=log) as it:
        assert it.server_capabilities.tools is not None and it.server_capabilities.tools.list_changed
        tools = {tool.name: tool for tool in (await it.list_tools()).tools}
        assert {"list_tools", "call_tool", "create_tool", "echo", "app_t_echo2"} <= {*tools}
        assert tools["echo"].title == "Echo␛[31m �ohce"
        assert tools["sums"].input_schema["required"] == ["a", "b"]

        assert json.loads(text_of(await it.call_tool("sums", {"a": 1, "b": 2}))) == 3
        said = await it.call_tool("says", {}, progress_callback=step, meta=with_log())  # type: ignore[arg-type]
        assert (text_of(said), said.is_error) == ('{"ok":true}', False)
        assert "".join(each["text"] for each in logs) == "one\ntwo\n" and steps == [(1, 2, "half")]
        value, plain, data = (await it.call_tool("shows", {})).content
        assert isinstance(value, TextContent) and value.text == "text␛"
        assert isinstance(plain, TextContent) and plain.text == "seen"
        assert isinstance(data, EmbeddedResource) and data.resource.mime_type == "application/json"
        assert 60_000 < len(text_of(await it.call_tool("long", {}))) < 70_000

        for name, arguments, kind in (
            ("fails", {}, "UNKNOWN"),
            ("sums", {"a": 1}, "INVALID"),
            ("sums", {"a": 1, "b": 2, "c": 3}, "INVALID"),
            ("sums", {"a": 1 << 70, "b": 2}, "INVALID"),
            ("echo", {"x": "y" * 3_900_000, "z": ["y" * 10] * 8}, None),
            ("call_tool", {"name": "nothing"}, "NOT_FOUND"),
            ("call_tool", {"name": "call_tool"}, "NOT_FOUND"),
            ("call_tool", {}, "INVALID"),
            ("list_tools", {"limit": 0}, "INVALID"),
        ):
            result = await it.call_tool(name, arguments)
            assert result.is_error == (kind is not None), text_of(result)
            if kind is not None:
                assert json.loads(text_of(result))["error"]["kind"] == kind
        with pytest.raises(MCPError, match="Unknown tool: nothing"):
            await it.call_tool("nothing", {})
        with pytest.raises(MCPError):  # 413, before anything reads it
            await it.call_tool("echo", {"x": "y" * 5_000_000})

    async with client(server.url, mode) as it:
        found = json.loads(text_of(await it.call_tool("list_tools", {"query": "SUMS", "limit": 20.0, "offset": 0.0})))
        assert [each["name"] for each in found["tools"]] == ["sums"] and found["total"] == 1
        assert text_of(await it.call_tool("call_tool", {"name": "sums", "arguments": {"a": 2, "b": 2}})) == "4"


async def test_changes_by_another_process_are_told(server: HttpServer, home: Path) -> None:
    older, newer = asyncio.Event(), asyncio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            older.set()

    async def names(it: Any) -> set[str]:
        return {tool.name for tool in (await it.list_tools()).tools}

    async def told() -> None:
        async with asyncio.timeout(20):
            await older.wait()
            await newer.wait()
        older.clear()
        newer.clear()

    async with (
        client(server.url, "legacy", message_handler=hear) as first,
        client(server.url, "auto") as second,
        second.listen(tools_list_changed=True) as changes,
        workspace(home) as house,
    ):

        async def listen() -> None:
            async for _ in changes:
                newer.set()

        listening = asyncio.create_task(listen())
        await first.list_tools()  # it is heard as connected
        made = {"name": "made", "description": "Says yes", "source": "return {handler = function() return 'yes' end}"}
        made["input_schema"] = {"type": "object"}  # type: ignore[assignment]
        outcome = await house.call(EntryId.parse("app.tools:create_tool"), made, CallContext())  # type: ignore[arg-type]
        assert outcome.ok, outcome
        await told()
        assert "made" in await names(first) and "made" in await names(second)
        assert text_of(await first.call_tool("made", {})) == "yes"
        await write(house, "create", tool("app.t:helper", "return 1", type="helper"))  # no tool: nobody is told
        await asyncio.sleep(1.2)  # it looks twice a second
        assert not older.is_set() and not newer.is_set()
        await revert(house.registry, house.publishing, CallContext("user:ada"), "main~1")
        await told()
        assert "made" not in await names(first) and "made" not in await names(second)
        listening.cancel()


async def test_an_entry_that_nobody_checked_breaks_no_list(tmp_path: Path) -> None:
    """A person may commit what no writer here would."""
    schemas: list[Any] = [{"properties": 5}, {"properties": {"a": 5}}, {"required": "x"}]
    odd = [tool(f"app.t:odd{n}", "return 1", input_schema={"type": "object", **s}) for n, s in enumerate(schemas)]
    async with workspace(tmp_path) as house:
        changes = Changeset(tuple(Operation("create", entry.id, entry) for entry in odd))
        ada, base = Person("Ada", "ada@example.org"), house.registry.snapshot()
        house.registry.commit(changes, CommitMessage("user:ada"), author=ada, committer=ada, base=base)
    server = HttpServer(tmp_path)
    try:
        for mode in MODES:
            async with client(server.url, mode) as it:
                listed = {tool.name: tool.input_schema for tool in (await it.list_tools()).tools}
                assert [listed[f"odd{n}"] for n in range(3)] == [{"type": "object"}] * 3
    finally:
        assert "Traceback" not in server.end()


@both
async def test_a_call_that_is_cancelled_leaves_no_process(server: HttpServer, mode: str) -> None:
    started = asyncio.Event()

    async def log(_: Any) -> None:
        started.set()

    async with client(server.url, mode, logging_callback=log) as it:
        call = asyncio.create_task(it.call_tool("spins", {}, meta=with_log()))  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            await started.wait()
        children = psutil.Process(server.process.pid).children(recursive=True)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(20):  # its own limit would be 30 seconds
            while all(child.is_running() for child in children):  # noqa: ASYNC110 (of another process)
                await asyncio.sleep(0.02)
        assert text_of(await it.call_tool("sums", {"a": 1, "b": 1})) == "2"


async def test_who_is_let_in(server: HttpServer) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    body["params"] = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    good = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(timeout=20) as http:
        for change, status in (
            ({}, 200),
            ({"Authorization": ""}, 401),
            ({"Authorization": "Bearer wrong"}, 401),
            ({"Authorization": f"Bearer {TOKEN}x"}, 401),
            ({"Authorization": f"Basic {TOKEN}"}, 401),
            ({"Authorization": "Bearer \u00e9".encode("latin-1")}, 401),
            ({"Origin": "http://localhost:1234"}, 200),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": "http://localhost.evil.example"}, 403),
            ({"Origin": "http://[1"}, 403),
            ({"Host": "evil.example"}, 421),
            ({"Host": "evil.example", "MCP-Protocol-Version": "2026-07-28"}, 421),
            ({"Host": "evil.example:80", "Origin": "http://evil.example:80"}, 403),
        ):
            answer = await http.post(server.url, json=body, headers={**good, **change})  # type: ignore[dict-item]
            assert answer.status_code == status, (change, answer.text)
        answer = await http.get(server.url.replace("/mcp", "/"), headers=good)
        assert answer.status_code == 404


async def test_who_never_finishes_a_request_s_headers_is_dropped(home: Path) -> None:
    """Whoever can connect would else keep all others out, with a token or without."""
    hurry = "from micro_agi_kernel.frontends.mcp import transports; transports.HEADERS = 1"
    program = [sys.executable, "-c", f"{hurry}; {MAIN}", "mcp"]
    server = HttpServer(home, "--token-env", "TOKEN_OF_TEST", program=program)
    url = urlsplit(server.url)

    async def connection(said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(said)
        return reader, writer

    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"X")
            await asyncio.sleep(0.1)

    head = f"POST /mcp HTTP/1.1\r\nHost: {url.netloc}\r\n".encode()
    unfit = head + b"Content-Length: 100000\r\n\r\n"
    ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    fit = f"Authorization: Bearer {TOKEN}\r\nAccept: application/json, text/event-stream\r\nConnection: close\r\n"
    fit += f"Content-Type: application/json\r\nContent-Length: {len(ping)}\r\n\r\n"
    try:
        waiting = await connection(head + fit.encode())  # its headers are there
        late = [await connection(said) for said in (b"", head, unfit, unfit + bytes(100_000) + head)]
        dripping = [asyncio.create_task(drip(writer)) for _, writer in late[1:]]
        async with asyncio.timeout(SECONDS):
            said = await asyncio.gather(*(reader.read() for reader, _ in late), return_exceptions=True)
        for task in dripping:
            task.cancel()
        for _, writer in late:
            writer.close()
        assert said[:2] == [b"", b""]
        for each in said[2:]:
            assert isinstance(each, ConnectionResetError) or each.startswith(b"HTTP/1.1 401 ")  # type: ignore[union-attr]
        waiting[1].write(ping)
        async with asyncio.timeout(SECONDS):
            assert (await waiting[0].read()).startswith(b"HTTP/1.1 ")
        waiting[1].close()
    finally:
        assert "Traceback" not in server.end()


async def test_who_never_finishes_a_request_s_body_is_dropped(home: Path) -> None:
    hurry = "from micro_agi_kernel.frontends.mcp import transports; transports.WHOLE = 1"
    server = HttpServer(home, "--token-env", "TOKEN_OF_TEST", program=[sys.executable, "-c", f"{hurry}; {MAIN}", "mcp"])
    url = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)

    async def drip() -> None:
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.1)

    head = f"POST /mcp HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
    try:
        writer.write(f"{head}Content-Length: 100000\r\n\r\n".encode())
        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(SECONDS):
            assert await asyncio.gather(reader.read(), return_exceptions=True)
        dripping.cancel()
        writer.close()
    finally:
        assert "Traceback" not in server.end()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.1 alone is this machine")
async def test_another_address_of_this_machine_is_guarded_as_its_first(home: Path) -> None:
    server = HttpServer(home, "--host", "127.0.0.2")
    try:
        async with client(server.url, "legacy") as it:
            assert text_of(await it.call_tool("sums", {"a": 1, "b": 1})) == "2"
        async with httpx2.AsyncClient(timeout=20) as http:
            for change, status in (
                ({"Host": "evil.example"}, 421),
                ({"Host": "127.0.0.2.evil.example:80"}, 421),
                ({"Origin": "http://evil.example"}, 403),
            ):
                answer = await http.post(server.url, json={}, headers=change)
                assert answer.status_code == status, (change, answer.text)
    finally:
        server.end()


async def test_a_server_that_is_told_to_end_leaves_nothing(home: Path) -> None:
    server = HttpServer(home)  # on this machine only, no token is needed
    children = list[psutil.Process]()
    started = asyncio.Event()

    async def log(_: Any) -> None:
        started.set()

    with contextlib.suppress(MCPError, BaseExceptionGroup):  # its client is cut off
        async with client(server.url, "auto", logging_callback=log) as it:
            call = asyncio.create_task(it.call_tool("spins", {}, meta=with_log()))  # type: ignore[arg-type]
            async with asyncio.timeout(20):
                await started.wait()
            children += psutil.Process(server.process.pid).children(recursive=True)
            server.process.send_signal(signal.SIGINT)
            await asyncio.to_thread(server.process.wait, SECONDS)
            call.cancel()
    said = server.end()
    assert server.process.returncode == 130 and "Traceback" not in said and said.endswith("interrupted\n")
    assert not psutil.wait_procs(children, SECONDS)[1]
