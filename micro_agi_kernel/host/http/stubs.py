"""A network that is not there: the answers that a tool's test gives, in the place of all sockets.

Everything above it is the real client: the policies are asked, redirects followed, bodies bounded.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.host.http.url import parse_url
from micro_agi_kernel.tool_tests import Stub
from micro_agi_kernel.values import shorten

_ADDRESS = "8.8.8.8"
"""What every name stands for: some public address. Nothing is ever connected to it."""

_SHOWN = 5


def stubbed_client(
    stubs: Sequence[Stub], missed: Callable[[str], None], answered: Callable[[Stub], None]
) -> GuardedHttp:
    """A client whose servers are `stubs`; `missed` is told of each request that none of them answers, whatever the
    tool makes of that, and `answered` of each that one answers. Raises EntryError when the URL of one is none.
    """

    async def resolve(host: str, port: int) -> Sequence[str]:
        return [_ADDRESS]

    return GuardedHttp(resolver=resolve, network=_Network(stubs, missed, answered))


class _Network(httpcore.AsyncNetworkBackend):
    def __init__(self, stubs: Sequence[Stub], missed: Callable[[str], None], answered: Callable[[Stub], None]) -> None:
        self._missed = missed
        self._answered = answered
        self._waiting: dict[tuple[str, str], list[Stub]] = {}
        for number, stub in enumerate(stubs, 1):
            try:
                url = str(parse_url(stub.url))
            except Refused as refusal:
                raise EntryError(f"http[{number}]: {refusal}") from refusal
            self._waiting.setdefault((stub.method, url), []).append(stub)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Connection(self)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        where = shorten(path, 120)
        raise self._miss(f"the test has no answer over a Unix socket ({where}): http answers by method and URL only")

    def answer(self, method: str, url: str) -> Stub:
        """The next answer to this request; the last one again and again."""
        waiting = self._waiting.get((method, url))
        if waiting:
            stub = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self._answered(stub)
            return stub
        known = ", ".join(shorten(f"{method} {url}", 120) for method, url in list(self._waiting)[:_SHOWN])
        there = f"its http answers {known}" if known else "it has none"
        raise self._miss(f"the test has no answer to {method} {shorten(url, 300)} in http; {there}")

    def _miss(self, reason: str) -> Refused:
        self._missed(reason)
        return Refused(ErrorKind.INVALID, reason, retryable=False)


class _Connection(httpcore.AsyncNetworkStream):
    """One request and its answer."""

    def __init__(self, network: _Network) -> None:
        self._network = network
        self._scheme = "http"
        self._asked = b""
        self._answer: bytes | None = None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._asked += buffer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._answer is None:
            self._answer = self._answer_to(self._asked.partition(b"\r\n\r\n")[0].decode("latin-1"))
        piece, self._answer = self._answer[:max_bytes], self._answer[max_bytes:]
        return piece

    def _answer_to(self, head: str) -> bytes:
        line, *fields = head.split("\r\n")
        method, path, _ = line.split(" ")
        host = next(field.partition(": ")[2] for field in fields if field.lower().startswith("host:"))
        stub = self._network.answer(method, f"{self._scheme}://{host}{path}")
        body = b"" if method == "HEAD" else stub.body.encode(errors="replace")
        given = {name: value for name, value in stub.headers.items() if name.lower() not in _OURS}
        lines = [f"HTTP/1.1 {stub.status} -", *(f"{name}: {value}" for name, value in given.items())]
        return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        self._scheme = "https"
        return self

    async def aclose(self) -> None:
        """Nothing is open."""

    def get_extra_info(self, info: str) -> Any:
        return None


_OURS = frozenset({"content-length", "transfer-encoding", "content-encoding", "connection"})
"""Headers of an answer that say how its body is framed; a stub's body is plain."""
