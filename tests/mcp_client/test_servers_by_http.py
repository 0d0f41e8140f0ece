"""Servers at an address: the SDK's own, and such as break every rule of HTTP that they can."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mcp_client_kit import HERE, serving, until

from micro_agi_kernel.mcp_settings import McpServer


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_the_sdk_s_own_server(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, str(HERE / "sdk_server.py"), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: ASYNC220
        try:

            def listens() -> bool:
                with socket.socket() as one:
                    return one.connect_ex(("127.0.0.1", port)) == 0

            await until(listens)
            async with serving(McpServer("sums", url=f"http://127.0.0.1:{port}/mcp")) as servers:
                assert await servers.servers.ready() == []
                outcome = await servers.call("mcp.sums:add", a=1, b=2)
                assert outcome.value == {"said_by": "mcp.sums", "text": "3", "structured": {"result": 3}}
                process.terminate()
                process.wait()
                assert "cannot be reached" in await servers.failure("mcp.sums:add", a=1, b=2)
        finally:
            process.kill()


class Bad:
    """A server that answers as the protocol of 2025 has it, until its tool is called."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.url = ""
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.stopping = threading.Event()


@contextmanager
def bad(way: str) -> Iterator[Bad]:
    site = Bad(way)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            site.requests.append((self.command, {name.lower(): value for name, value in self.headers.items()}))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            message = json.loads(body) if body else {}
            method, id = message.get("method"), message.get("id")
            if self.command != "POST":
                self.give(b"", 405 if site.way != "reconnect" else 200, "text/event-stream")
            elif site.way == "away_at_once":
                self.give(b"", 307, Location=f"http://169.254.169.254/{'x' * 500}")
            elif site.way == "key":
                self.give(b"", 401)
            elif site.way == "modern" and method in ("server/discover", "tools/list", "tools/call"):
                self.modern(id, method)
            elif method == "initialize":
                info = {"name": "bad", "version": "1"}
                version = message["params"]["protocolVersion"]
                self.result(id, {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info})
            elif method == "tools/list" and site.way == "list_fails":
                self.error(id, -32603, "no tools today")
            elif method == "tools/list":
                said = self.headers["Authorization"] if site.way.startswith("echo") else ""
                tool = {"name": "go", "description": f"Sent {said}", "inputSchema": {"type": "object"}}
                named_so = [tool | {"name": said.removeprefix("Bearer ")}] if said else []
                self.result(id, {"tools": [tool, *named_so]})
            elif method == "tools/call":
                self.misbehave(id)
            elif id is None:
                self.give(b"", 202)
            else:
                self.error(id, -32601, "no")

        do_GET = do_POST = do_DELETE = handle_any

        def modern(self, id: object, method: str) -> None:
            """As the protocol of 2026 has it."""
            fine = {"place": {"type": "string", "x-mcp-header": "Place"}}
            odd = {"place": {"type": "string", "x-mcp-header": "no token"}}
            tools = [
                {"name": name, "inputSchema": {"type": "object", "properties": properties}}
                for name, properties in (("fine", fine), ("odd", odd), ("plain", {}))
            ]
            of = {
                "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
                "tools/list": {"tools": [*tools, 7]},
                "tools/call": {"content": []},
            }
            self.result(id, {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **of[method]})

        def result(self, id: object, result: object) -> None:
            self.give(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}).encode())

        def error(self, id: object, code: int, message: str) -> None:
            self.give(json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}).encode())

        def give(self, body: bytes, status: int = 200, mime: str = "application/json", **headers: str) -> None:
            self.send_response(status)
            given = {"Content-Type": mime, "Content-Length": str(len(body)), "Mcp-Session-Id": "s", **headers}
            for name, value in given.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def endless(self, mime: str, piece: bytes, pause: float = 0) -> None:
            self.send_response(200)
            self.send_header("Content-Type", mime)
            self.send_header("Connection", "close")
            self.end_headers()
            while not site.stopping.wait(pause):
                self.wfile.write(piece)

        def misbehave(self, id: object) -> None:
            match site.way:
                case "length":
                    self.give(b"{}", **{"Content-Length": "9" * 12})
                case "endless":
                    self.endless("application/json", b" " * 65_536)
                case "comments":
                    self.endless("text/event-stream", b": nothing\n\n" * 4_096)
                case "events":
                    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}}
                    self.endless("text/event-stream", f"data: {json.dumps(note)}\n\n".encode() * 64)
                case "gzip":
                    self.give(b"\x1f\x8b" + b"\0" * 100, **{"Content-Encoding": "gzip"})
                case "parts":
                    self.give(b'{"jsonrpc":"2.0","id":1,"result":{"content":[%s]}}' % b",".join([b"{}"] * 400_000))
                case "parts_of_events":
                    log = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":[%s]}}\n\n'
                    self.endless("text/event-stream", b': "\n' + log % b",".join([b"{}"] * 50_000))
                case "pings":  # the SDK answers each
                    log = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":[%s]}}\n\n'
                    ping = b'data: {"jsonrpc":"2.0","id":7,"method":"ping"}\n\n'
                    self.endless("text/event-stream", log % b",".join([b"{}"] * 5_000) + ping, 0.05)
                case "charset":  # read as bytes, each text ends at its first character, and the next begins at its end
                    parts = f'"a":"\u2200","b":[{",".join(["{}"] * 250_000)}],"c":"\u2200"'
                    answer = f'data: {{"jsonrpc":"2.0","id":1,"result":{{{parts}}}}}\n\n'.encode("utf-16-le")
                    self.give(answer, 200, "text/event-stream; Charset = utf-16-le; charset=utf-8")
                case "redirect":
                    self.give(b"", 307, Location=self.path)
                case "away":
                    self.give(b"", 307, Location="http://127.0.0.2:9/elsewhere")
                case "reconnect":
                    self.give(b"retry: 0\nid: 1\n\n", 200, "text/event-stream")
                case "echo":
                    said = self.headers["Authorization"]
                    self.result(id, {"content": [{"type": "text", "text": said}], "structuredContent": {said: [said]}})
                case "echo_failed":
                    text = "x" * 1_990 + self.headers["Authorization"]
                    self.result(id, {"content": [{"type": "text", "text": text}], "isError": True})
                case "echo_refused":
                    self.error(id, -32603, f"bad {self.headers['Authorization']}")
                case "echo_broken":
                    self.give(f"bad token {self.headers['Authorization']}{' ' * 50}".encode())
                case "quota":
                    self.error(id, -32000, "quota used up")
                case "echo_away":
                    self.give(b"", 307, Location=f"http://127.0.0.2:9/{self.headers['Authorization'][7:]}")
                case "nonsense":
                    self.give(b"<html>", 200, "text/html")

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client hung up
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/mcp"
    try:
        yield site
    finally:
        site.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


WAYS = {
    "length": "sent a message of more than 4 MiB",
    "endless": "said too much",
    "comments": "said more than 200,000 parts",
    "events": "said too much",
    "parts": "said more than 200,000 parts",
    "parts_of_events": "said more than 200,000 parts",
    "pings": "said more than 200,000 parts",
    "charset": "an answer that is not in UTF-8",
    "gzip": "an answer that is compressed, though none was asked for",
    "redirect": "mcp.bad wants to send us to http://127.0.0.1",
    "away": "mcp.bad wants to send us to http://127.0.0.2:9/elsewhere; that redirect is not followed",
    "reconnect": "",
    "nonsense": "mcp.bad answers with what is not of the protocol",
    "quota": "mcp.bad refused the call: quota used up",
}


@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_that_breaks_the_rules(way: str, caplog: pytest.LogCaptureFixture) -> None:
    with bad(way) as site:
        async with serving(McpServer("bad", url=site.url), seconds=20 if way != "reconnect" else 1) as servers:
            assert await servers.servers.ready() == []
            said = await servers.failure("mcp.bad:go")
            assert said.startswith("mcp.bad") and WAYS[way] in said
    assert len(site.requests) < 60
    assert not [record for record in caplog.records if record.name.split(".")[0] in ("mcp", "client")]


async def test_the_newest_protocol_has_arguments_in_headers() -> None:
    """A tool whose schema asks for one that cannot be sent must be left out."""
    with bad("modern") as site:
        async with serving(McpServer("bad", url=site.url)) as servers:
            assert await servers.servers.ready() == [
                "mcp.bad: '' is left out: its name is not of letters, digits, _, -, . and /",
                "mcp.bad: left out, as headers that their schemas ask for cannot be sent: odd",
            ]
            assert [entry.id.name for entry in servers.servers.entries("mcp.bad") or ()] == ["fine", "plain"]
            assert (await servers.call("mcp.bad:fine", place="here")).value == {"said_by": "mcp.bad"}
    assert site.requests[-1][1]["mcp-param-place"] == "here"


async def test_a_key_goes_there_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "planted-token")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with bad("key") as site:
        async with serving(McpServer("bad", url=site.url, api_key_env="A_TOKEN")) as servers:
            [line] = await servers.servers.ready()
    assert line == "mcp.bad refuses the key (HTTP status 401): check api_key_env"
    assert {headers.get("authorization") for _, headers in site.requests} == {"Bearer planted-token"}
    async with serving(McpServer("bad", url=site.url, api_key_env="NO_TOKEN_OF_OURS")) as servers:
        [line] = await servers.servers.ready()
    assert line == "mcp.bad the environment has no NO_TOKEN_OF_OURS, which its api_key_env names"


async def test_a_key_is_sent_without_the_end_of_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", " planted-token\n")
    with bad("gzip") as site:
        async with serving(McpServer("bad", url=site.url, api_key_env="A_TOKEN")) as servers:
            assert await servers.servers.ready() == []
    assert {headers.get("authorization") for _, headers in site.requests} == {"Bearer planted-token"}


@pytest.mark.parametrize("key", ["planted\ntoken", "planted token", "plant\u00e9d-token", "\x1bplanted-token"])
async def test_a_key_that_no_header_holds_is_named_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", key)
    async with serving(McpServer("bad", url="http://127.0.0.1:9/mcp", api_key_env="A_TOKEN")) as servers:
        [line] = await servers.servers.ready()
    assert line == "mcp.bad cannot have the key of A_TOKEN, which holds characters that no key has: set it again"


async def test_a_redirect_is_told_without_advice_to_follow_it() -> None:
    with bad("away_at_once") as site:
        async with serving(McpServer("bad", url=site.url)) as servers:
            [line] = await servers.servers.ready()
    assert line.startswith("mcp.bad wants to send us to http://169.254.169.254/xxx") and len(line) < 300
    assert line.endswith("x…; that redirect is not followed")


async def test_what_a_list_fails_of_is_told_though_there_is_no_stream_to_listen_to() -> None:
    with bad("list_fails") as site:
        async with serving(McpServer("bad", url=site.url)) as servers:
            assert await servers.servers.ready() == ["mcp.bad refuses: no tools today"]


ECHOES = {
    "echo_broken": "mcp.bad answers with what is not of the protocol",
    "echo_failed": "mcp.bad says that it failed: " + "x" * 1_990 + "Bearer ***",
    "echo_refused": "mcp.bad refused the call: bad Bearer ***",
    "echo_away": "mcp.bad wants to send us to http://127.0.0.2:9/***; ",
}


@pytest.mark.parametrize("way", ["echo", *ECHOES])
async def test_a_server_that_says_its_key_is_heard_without_it(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", f"planted-{'token' * 12}-planted")  # so long that pydantic would quote it in pieces
    with bad(way) as site:
        async with serving(McpServer("bad", url=site.url, api_key_env="A_TOKEN")) as servers:
            [line] = await servers.servers.ready()
            assert line.startswith("mcp.bad: '***' is left out: ")
            [entry] = servers.servers.entries("mcp.bad") or ()
            assert entry.text("llm_description") == "[of the MCP server bad] Sent Bearer ***"
            outcome = await servers.call("mcp.bad:go")
            told = [line, *servers.servers.states.values()]
    if way == "echo":
        said = {"said_by": "mcp.bad", "text": "Bearer ***", "structured": {"Bearer ***": ["Bearer ***"]}}
        assert outcome.value == said
    else:
        assert outcome.error is not None and ECHOES[way] in outcome.error.message
    assert "planted" not in f"{told}{outcome}"
