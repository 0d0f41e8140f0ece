"""TLS that goes wrong after its handshake is the network's failure, for a request, a stream and a batch."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from http_kit import LOOPBACK, Names, service_call

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    if which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    path = tmp_path_factory.mktemp("broken") / "both.pem"
    new = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=x",
    )
    subprocess.run([*new, "-keyout", str(path), "-out", f"{path}.cert"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.cert").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


class Breaking:
    """Shakes hands, sends `begin` as TLS should be sent and `rest` past it; once for each connection."""

    def __init__(self, tls: ssl.SSLContext, begin: bytes, rest: bytes) -> None:
        self._tls, self._begin, self._rest = tls, begin, rest
        self._listening = socket.create_server((LOOPBACK, 0))
        self.url = f"https://{LOOPBACK}:{self._listening.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            raw, _ = self._listening.accept()
            if self._stopping:
                raw.close()
                return
            with raw.dup() as past, contextlib.suppress(OSError):
                with contextlib.suppress(ssl.SSLError), self._tls.wrap_socket(raw, server_side=True) as secured:
                    secured.recv(10_000)
                    secured.sendall(self._begin)
                    past.sendall(self._rest)
                while past.recv(10_000):
                    pass

    _stopping = False

    def close(self) -> None:
        self._stopping = True
        socket.create_connection(self._listening.getsockname()).close()
        self._thread.join()
        self._listening.close()


RESTS = {
    "plain text": b"HTTP/1.1 200 OK\r\n\r\n",
    "garbage record": b"\x17\x03\x03\x00\x20" + bytes(32),
    "bad alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "oversized record": b"\x17\x03\x03\xff\xff" + bytes(64),
}


@pytest.fixture(params=RESTS)
def rest(request: pytest.FixtureRequest) -> bytes:
    return RESTS[request.param]


@pytest.fixture
def opened() -> Iterator[list[Breaking]]:
    servers: list[Breaking] = []
    yield servers
    for server in servers:
        server.close()


def question(url: str) -> dict[str, Any]:
    return {"method": "GET", "url": url, "tls": {"insecure_skip_verify": True}}


@pytest.mark.parametrize("begin", [b"", HEAD + b"some"], ids=["before the head", "in the body"])
async def test_a_request_and_a_batch(
    serving: ssl.SSLContext, opened: list[Breaking], begin: bytes, rest: bytes
) -> None:
    server = Breaking(serving, begin, rest)
    opened.append(server)
    async with service_call(GuardedHttp(resolver=Names()), LOOPBACK, server.url) as host:
        with pytest.raises(Refused, match=f"no answer from {server.url[:-1]}: ") as caught:
            await host.request("http.request", question(server.url))
        [answer] = await host.request("http.batch", {"requests": [question(server.url)]})
    assert (caught.value.kind, caught.value.retryable) == (ErrorKind.INTERNAL, True)
    assert (answer["error"]["kind"], answer["error"]["message"]) == ("INTERNAL", str(caught.value))


async def test_a_stream(serving: ssl.SSLContext, opened: list[Breaking], rest: bytes) -> None:
    server = Breaking(serving, HEAD + b"some", rest)
    opened.append(server)
    async with service_call(GuardedHttp(resolver=Names()), LOOPBACK, server.url) as host:
        answer = await host.request("http.open", question(server.url))
        assert await host.request("http.read", {"stream": answer["stream"]}) == b"some"
        with pytest.raises(Refused, match=f"no answer from {server.url[:-1]}: ") as caught:
            await host.request("http.read", {"stream": answer["stream"]})
    assert (caught.value.kind, caught.value.retryable) == (ErrorKind.INTERNAL, True)


async def test_a_server_that_wants_to_know_the_client(serving: ssl.SSLContext, opened: list[Breaking]) -> None:
    serving.verify_mode = ssl.CERT_REQUIRED  # with TLS 1.3 it says so when the client thinks that all is well
    try:
        server = Breaking(serving, b"", b"")
        opened.append(server)
        async with service_call(GuardedHttp(resolver=Names()), LOOPBACK, server.url) as host:
            with pytest.raises(Refused, match="CERTIFICATE_REQUIRED") as caught:
                await host.request("http.request", question(server.url))
    finally:
        serving.verify_mode = ssl.CERT_NONE
    assert caught.value.kind is ErrorKind.INTERNAL


async def test_an_exchange_of_keys_with_tls_1_2(serving: ssl.SSLContext, opened: list[Breaking]) -> None:
    serving.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        server = Breaking(serving, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere", b"")
        opened.append(server)
        async with service_call(GuardedHttp(resolver=Names()), LOOPBACK, server.url) as host:
            assert (await host.request("http.request", question(server.url)))["body"] == "here"
    finally:
        serving.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
