"""A scripted OpenAI-compatible HTTP server on loopback: the model's side of a test, over real HTTP.

    with ModelServer([calls(("doc_search", {"path": "lua/core/time"})), text("It is ", "noon.")]) as server:
        ...                       # the product runs with OPENAI_BASE_URL=server.url, OPENAI_API_KEY=anything
        server.requests[0].body["messages"]

A script is a list of replies, one for each chat request in order, or a function of the request's JSON body
that returns one. Replies: `text`, `calls`, `reply` (both, in full), `failure` (a status), `raw` (any bytes), `hang_up`.
A reply's `events` are dictionaries (sent as server-sent events), bytes (sent as they are), or one of CLOSE
(end without finish reason), CUT (the connection breaks in the middle), RESET (the same, with a TCP reset), a number
(so many seconds of silence) and `Hold()` (wait for `hold.release()`; `hold.reached` is set when the server got there,
`hold.closed` when the client hung up meanwhile). A script that runs out answers 400, and leaving the `with` block
then fails the test. Before the `with` block the port is taken, and connections to it are refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

CLOSE, CUT, RESET = "close", "cut", "reset"
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
_WAIT = 30.0
"""Seconds after which a Hold gives up, so that a failing test ends."""


class Hold:
    """A point where the server waits for the test."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.closed = threading.Event()
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def wait(self, connection: socket.socket, stopping: threading.Event) -> bool:
        """Wait for the release; False when the client hung up."""
        self.reached.set()
        for _ in range(int(_WAIT / 0.01)):
            if self._released.wait(0.01) or stopping.is_set():
                return True
            if select.select([connection], [], [], 0)[0]:
                with contextlib.suppress(OSError):
                    if connection.recv(1, socket.MSG_PEEK):
                        continue
                self.closed.set()
                return False
        return True


Event: TypeAlias = "dict[str, Any] | bytes | str | float | Hold"


@dataclass(frozen=True)
class Reply:
    """One answer of the server. `usage` is sent only to a client that asks for it, as the real API does."""

    events: tuple[Event, ...] = ()
    usage: Mapping[str, Any] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    done: bool = True
    """Close with `data: [DONE]`."""
    bytewise: bool = False
    """Send each byte by itself."""
    plain: bytes | None = None
    """The whole body of an answer that is no stream."""
    before: Hold | None = None
    """A wait before the first byte of the answer."""


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived; header names are in lower case, `body` is the JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


Script: TypeAlias = "Sequence[Reply] | Callable[[dict[str, Any]], Reply]"


def text(*pieces: str, **options: Any) -> Reply:
    """An answer in words, one delta for each piece."""
    return reply(pieces, **options)


def calls(*wanted: tuple[str, Any], **options: Any) -> Reply:
    """Tool calls: pairs of name and arguments (JSON, or text to be sent as it is)."""
    return reply((), wanted, **options)


def reply(
    pieces: Iterable[str] = (),
    wanted: Iterable[tuple[str, Any]] = (),
    *,
    ids: Sequence[str] | None = None,
    reasoning: Iterable[str] = (),
    finish: str | None = "",
    usage: Mapping[str, Any] | None = USAGE,
    fragment: int = 12,
    **options: Any,
) -> Reply:
    """Reasoning, text and tool calls, whose arguments are sent in fragments of `fragment` characters."""
    wanted = list(wanted)
    events: list[Event] = [delta(role="assistant", content="")]
    events += [delta(reasoning_content=piece) for piece in reasoning]
    events += [delta(content=piece) for piece in pieces]
    for index, (name, arguments) in enumerate(wanted):
        id = ids[index] if ids is not None else f"call_{next_number()}"
        arguments = arguments if isinstance(arguments, str) else json.dumps(arguments)
        events.append(call_delta(index, "", id=id, name=name))
        events += [
            call_delta(index, arguments[start : start + fragment]) for start in range(0, len(arguments), fragment)
        ]
    if finish is not None:
        events.append(end(finish or ("tool_calls" if wanted else "stop")))
    return Reply(tuple(events), usage, **options)


def failure(status: int, message: str = "scripted failure", *, code: str | None = None, **options: Any) -> Reply:
    """An error status with the API's error body; `headers={"Retry-After": "1"}` and the like as options."""
    body = {"error": {"message": message, "type": "scripted", "param": None, "code": code}}
    return Reply(status=status, plain=json.dumps(body).encode(), **options)


def raw(body: bytes, **options: Any) -> Reply:
    """A body that is no stream of events."""
    return Reply(plain=body, **options)


def hang_up() -> Reply:
    """A TCP reset instead of an answer."""
    return Reply(status=0)


def delta(**fields: Any) -> dict[str, Any]:
    return chunk([{"index": 0, "delta": fields, "finish_reason": None}])


def call_delta(index: int | None, arguments: str, *, id: str | None = None, name: str | None = None) -> dict[str, Any]:
    """A fragment of a tool call."""
    fragment: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        fragment["index"] = index
    if id is not None:
        fragment |= {"id": id, "type": "function"}
    if name is not None:
        fragment["function"]["name"] = name
    return delta(tool_calls=[fragment])


def end(reason: str) -> dict[str, Any]:
    return chunk([{"index": 0, "delta": {}, "finish_reason": reason}])


def chunk(choices: list[dict[str, Any]], usage: Mapping[str, Any] | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    return event | {"choices": choices} | ({"usage": dict(usage)} if usage is not None else {})


_numbers = iter(range(1, 1 << 62))


def next_number() -> int:
    return next(_numbers)


class ModelServer:
    """The server; use it as a context manager. `requests` are the chat requests in the order of arrival."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Recorded] = []
        self._script = script
        self._lock = threading.Lock()
        self._overrun = False
        self.stopping = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self), bind_and_activate=False)
        self._http.server_bind()
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def left(self) -> int:
        """Replies of the list that were not asked for."""
        return 0 if callable(self._script) else max(0, len(self._script) - len(self.requests))

    def __enter__(self) -> ModelServer:
        self._http.server_activate()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        if kind is None:
            assert not self._overrun, f"the script has {len(self._script)} replies, {len(self.requests)} were asked for"  # type: ignore[arg-type]

    def next_reply(self, request: Recorded) -> Reply:
        with self._lock:
            self.requests.append(request)
            if callable(self._script):
                return self._script(request.body)
            if len(self.requests) > len(self._script):
                self._overrun = True
                return failure(400, "the script of the test has no more replies")
            return self._script[len(self.requests) - 1]


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            content = self.rfile.read(length)
            if len(content) < length:  # the client was stopped in the middle of its request
                return self.drop()
            if self.path != "/v1/chat/completions":
                return self.whole(failure(404, f"no such path: {self.path}"))
            request = self.recorded("POST", json.loads(content))
            answer = server.next_reply(request)
            if answer.before is not None and not answer.before.wait(self.connection, server.stopping):
                return self.drop()
            if answer.status == 0:
                return self.drop(reset=True)
            if answer.plain is not None:
                return self.whole(answer)
            usage = answer.usage if request.body.get("stream_options", {}).get("include_usage") else None
            with contextlib.suppress(OSError):  # the client hung up
                self.stream(replace(answer, usage=usage))
            return None

        def do_GET(self) -> None:
            known = {"object": "list", "data": [{"id": name, "object": "model"} for name in ("scripted", "gpt-5.1")]}
            self.whole(raw(json.dumps(known).encode()) if self.path == "/v1/models" else failure(404))

        def recorded(self, method: str, body: dict[str, Any]) -> Recorded:
            return Recorded(method, self.path, {name.lower(): value for name, value in self.headers.items()}, body)

        def whole(self, answer: Reply) -> None:
            assert answer.plain is not None
            self.send_response_only(answer.status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(answer.plain)), **answer.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.plain)

        def stream(self, answer: Reply) -> None:
            self.send_response_only(answer.status)
            headers = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", **answer.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.flush()
            for event in answer.events:
                if isinstance(event, Hold):
                    if not event.wait(self.connection, server.stopping):
                        return self.drop()
                elif isinstance(event, float):
                    server.stopping.wait(event)
                elif event == CLOSE:
                    return self.write_end()
                elif event in (CUT, RESET):
                    return self.drop(reset=event == RESET)
                else:
                    self.write_event(event, answer.bytewise)
            if answer.usage is not None:
                self.write_event(chunk([], answer.usage), answer.bytewise)
            if answer.done:
                self.write_event(b"data: [DONE]\n\n", answer.bytewise)
            return self.write_end()

        def write_event(self, event: Event, bytewise: bool) -> None:
            content = event if isinstance(event, bytes) else f"data: {json.dumps(event)}\n\n".encode()
            for piece in [bytes([byte]) for byte in content] if bytewise else [content]:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()

        def write_end(self) -> None:
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()

        def drop(self, reset: bool = False) -> None:
            """Break the connection, with the stream unfinished."""
            self.close_connection = True
            if reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(self.connection.detach())  # a close of its own would wait for the files on it
            else:
                self.connection.shutdown(socket.SHUT_RDWR)

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # a client may hang up at any point
                super().handle()

        def finish(self) -> None:
            with contextlib.suppress(OSError):
                super().finish()

        def log_message(self, format: str, *args: object) -> None:
            """Tests print nothing."""

    return Handler
