"""Jupyter's servers as child processes, and a client that speaks their REST interface and their websocket."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.websocket import websocket_connect

SECONDS = 60


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@dataclass(frozen=True)
class Server:
    """Where a server is reached, and with whose token."""

    url: str
    token: str

    async def ask(self, path: str, method: str = "GET", **content: Any) -> tuple[int, Any]:
        """The status, and the JSON of the answer if it is some."""
        body = json.dumps(content) if method in ("POST", "PATCH") else None
        request = HTTPRequest(f"{self.url}{path}", method, self._headers(), body, request_timeout=SECONDS)
        client: AsyncHTTPClient = SimpleAsyncHTTPClient(force_instance=True)
        try:
            answer = await client.fetch(request, raise_error=False)
        finally:
            client.close()
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.code, json.loads(answer.body) if is_json and answer.body else None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}

    @asynccontextmanager
    async def kernel(self) -> AsyncIterator[Kernel]:
        """A kernel of ours, started over REST and connected over its websocket; it is shut down at the end."""
        status, started = await self.ask("/api/kernels", "POST", name="micro-agi")
        assert status == 201, (status, started)
        path = f"/api/kernels/{started['id']}"
        address = f"ws{self.url.removeprefix('http')}{path}/channels"
        connection = await websocket_connect(HTTPRequest(address, headers=self._headers()))
        try:
            yield Kernel(connection)
        finally:
            connection.close()
            assert (await self.ask(path, "DELETE"))[0] == 204


class Kernel:
    """One kernel behind a server."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._session = uuid.uuid4().hex

    async def send(self, channel: str, kind: str, content: dict[str, Any], metadata: dict[str, Any]) -> str:
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "username": "", "session": self._session}
        header |= {"version": "5.3", "date": "2026-01-01T00:00:00Z"}
        message = {"header": header, "parent_header": {}, "metadata": metadata, "content": content, "channel": channel}
        await self._connection.write_message(json.dumps(message))
        return str(header["msg_id"])

    async def run(self, code: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """A cell as JupyterLab sends it: the reply's content, and all that was shown."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": True, "stop_on_error": True}
        request = await self.send("shell", "execute_request", content, {"cellId": "c0ffee"})
        shown: list[dict[str, Any]] = []
        reply: dict[str, Any] | None = None
        is_idle = False
        async with asyncio.timeout(SECONDS):
            while reply is None or not is_idle:
                message = json.loads(await self._connection.read_message())
                if message["parent_header"].get("msg_id") != request:
                    continue
                if message["msg_type"] == "status":
                    is_idle = message["content"]["execution_state"] == "idle"
                elif message["msg_type"] == "execute_reply":
                    reply = message["content"]
                else:
                    shown.append(message)
        return reply, shown


def plain_text(shown: Sequence[Mapping[str, Any]]) -> str:
    """What a cell showed, without its Markdown and HTML; of a display that grew, its last state."""
    texts: dict[str, str] = {}
    for number, message in enumerate(shown):
        content = message["content"]
        key = content.get("transient", {}).get("display_id", str(number))
        texts[key] = content.get("text") or content.get("data", {}).get("text/plain", "")
    return "\n".join(texts.values())


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(command, cwd=log.parent, stdout=file, stderr=file)


def end_of(log: Path) -> str:
    return log.read_text()[-3000:]


@asynccontextmanager
async def running(command: Sequence[str], ready: Server, path: str, log: Path) -> AsyncIterator[Server]:
    """A server that answers at `path`, until the end; it is asked to end, as a service manager asks."""
    process = start(command, log)
    try:
        for _ in range(SECONDS * 5):
            assert process.poll() is None, end_of(log)
            try:
                if (await ready.ask(path))[0] == 200:
                    break
            except OSError:
                pass
            await asyncio.sleep(0.2)
        else:
            raise AssertionError(f"the server did not start: {end_of(log)}")
        yield ready
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, SECONDS)
