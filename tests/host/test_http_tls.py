"""TLS: who is trusted, and who is shown."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hostile_server import HostileServer, Peer, hostile_server, redirect, response
from http_kit import PUBLIC, Names, Network, Policies, fetch, refusal

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.host.http.tls import TlsOptions, _as_file
from micro_agi_kernel.values import Value


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of tools.example, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=tools.example", "-addext", "subjectAltName=DNS:tools.example"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


async def test_tls_verifies_the_name_at_the_checked_address(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = ssl.create_default_context(cafile=certificate[0])
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **options: trusting)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    asked_for: list[str | None] = []
    serving.sni_callback = lambda connection, name, context: asked_for.append(name)
    async with hostile_server(serving) as server:
        server.routes["/"] = response(b"secret")
        names = Names(tools_example=[PUBLIC], other_example=[PUBLIC])
        http = GuardedHttp(resolver=names, network=Network(server))
        answer = await fetch("https://tools.example/", http=http)
        assert (answer["body"], answer["url"]) == ("secret", "https://tools.example/")
        refused = await refusal("https://other.example/", http=http)
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, False)
    assert "certificate" in str(refused).lower()
    assert asked_for == ["tools.example", "other.example"]


async def test_an_unknown_authority_is_not_trusted(certificate: tuple[Path, Path]) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    async with hostile_server(serving) as server:
        http = GuardedHttp(resolver=Names(tools_example=[PUBLIC]), network=Network(server))
        refused = await refusal("https://tools.example/", http=http)
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, False)


async def test_a_handshake_that_hangs_leaves_no_socket() -> None:
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        writer.close()
        left.set()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        refused = await refusal(f"https://127.0.0.1:{port}/", timeout=0.2)
        assert refused.kind is ErrorKind.INTERNAL
        await left.wait()


@dataclass(frozen=True)
class Authority:
    """An authority of our own, a server's certificate from it (for a.example and b.example), and a client's."""

    folder: Path

    def pem(self, name: str) -> str:
        return (self.folder / name).read_text()

    def client(self) -> dict[str, str]:
        return {"cert": self.pem("client.pem"), "key": self.pem("client.key")}

    def serving(self) -> ssl.SSLContext:
        """Asks a client for its certificate, but takes one without as well."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        context.load_verify_locations(self.folder / "ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificates")
    folder = tmp_path_factory.mktemp("authority")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=folder)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    own = ("-x509", "-days", "2", "-addext", "keyUsage=critical,keyCertSign")  # Python 3.13 is strict
    for name in ("ca", "other"):
        openssl(*new, *own, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    (folder / "names").write_text("subjectAltName=DNS:a.example,DNS:b.example\nauthorityKeyIdentifier=keyid")
    for name in ("server", "client"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    openssl("ec", "-in", "client.key", "-aes128", "-passout", "pass:secret", "-out", "locked.key")
    return Authority(folder)


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[HostileServer]:
    """Answers with the name in the client's certificate; `asked_for` holds the names that clients asked for."""

    async def who(peer: Peer) -> None:
        shown = peer.writer.get_extra_info("peercert")
        await peer.send(response(shown["subject"][0][0][1].encode() if shown else b"nobody"))

    async with hostile_server(authority.serving()) as server:
        server.routes["/"] = who
        yield server


def client(server: HostileServer) -> GuardedHttp:
    names = Names(a_example=[PUBLIC], b_example=[PUBLIC], c_example=[PUBLIC])
    return GuardedHttp(resolver=names, network=Network(server))


async def test_an_authority_of_ones_own(secure: HostileServer, authority: Authority) -> None:
    http = client(secure)
    answer = await fetch("https://a.example/", http=http, tls={"ca": authority.pem("ca.pem")})
    assert answer["body"] == "nobody"
    for tls in ({}, {"ca": authority.pem("other.pem")}):
        refused = await refusal("https://a.example/", http=http, tls=tls)
        assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, False)


async def test_it_replaces_the_usual_ones(
    secure: HostileServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def usual(**options: Any) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=authority.pem("ca.pem"))

    monkeypatch.setattr(httpx, "create_ssl_context", usual)
    http = client(secure)
    assert (await fetch("https://a.example/", http=http))["body"] == "nobody"
    refused = await refusal("https://a.example/", http=http, tls={"ca": authority.pem("other.pem")})
    assert "certificate" in str(refused).lower()


async def test_a_server_name_is_asked_for_and_verified(secure: HostileServer, authority: Authority) -> None:
    http, ca = client(secure), authority.pem("ca.pem")
    refused = await refusal("https://c.example/", http=http, tls={"ca": ca})
    assert "certificate" in str(refused).lower()
    answer = await fetch("https://c.example/", http=http, tls={"ca": ca, "server_name": "B.example"})
    assert (answer["body"], answer["url"]) == ("nobody", "https://c.example/")
    assert secure.requests[-1].headers["host"] == "c.example"
    refused = await refusal("https://a.example/", http=http, tls={"ca": ca, "server_name": "c.example"})
    assert "certificate" in str(refused).lower()


async def test_a_client_shows_its_certificate_to_its_origin_only(secure: HostileServer, authority: Authority) -> None:
    http, tls = client(secure), {"ca": authority.pem("ca.pem"), **authority.client()}
    assert (await fetch("https://a.example/", http=http, tls=tls))["body"] == "client"
    secure.routes["/same"] = redirect("/")
    assert (await fetch("https://a.example/same", http=http, tls=tls))["body"] == "client"
    secure.routes["/away"] = redirect("https://b.example/")
    assert (await fetch("https://a.example/away", http=http, tls=tls))["body"] == "nobody"
    assert (await fetch("https://a.example/", http=http, tls={"ca": tls["ca"]}))["body"] == "nobody"


async def test_a_server_name_stays_with_its_origin(secure: HostileServer, authority: Authority) -> None:
    secure.routes["/away"] = redirect("https://c.example/")
    tls = {"ca": authority.pem("ca.pem"), "server_name": "a.example"}
    refused = await refusal("https://a.example/away", http=client(secure), tls=tls)
    assert "no answer from https://c.example" in str(refused)


BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("tls", "complaint"),
    [
        ({"ca": BROKEN}, "tls.ca: no certificate of an authority"),
        ({"ca": "-----BEGIN nothing-----"}, "tls.ca must be certificates as PEM text, at most 65536 characters"),
        ({"cert": BROKEN, "key": "client.key"}, "tls.cert: cert and key do not fit"),
        ({"cert": "client.pem", "key": BROKEN}, "tls.key must be one key as PEM text"),
        ({"cert": "client.pem", "key": "other.key"}, "tls.cert: cert and key do not fit"),
        ({"cert": "client.pem", "key": "locked.key"}, "tls.key is encrypted: give it without its password"),
    ],
)
async def test_bad_pem_text(
    secure: HostileServer, authority: Authority, tls: dict[str, str], complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    given = {name: authority.pem(text) if text.endswith((".pem", ".key")) else text for name, text in tls.items()}
    refused = await refusal("https://a.example/", http=client(secure), tls=given)
    assert refused.kind is ErrorKind.INVALID
    assert str(refused).startswith(complaint)
    assert secure.requests == []
    assert capfd.readouterr() == ("", "")  # nobody was asked for a password


def test_a_key_lies_nowhere(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    options = TlsOptions(**authority.client())
    assert authority.client()["key"] not in repr(options)
    options.context()
    before = set(os.listdir("/proc/self/fd")) if sys.platform == "linux" else set()
    options.context()
    if sys.platform == "linux":
        assert set(os.listdir("/proc/self/fd")) == before
    monkeypatch.setattr(os.path, "exists", lambda path: False)  # no /proc here
    options.context()
    with _as_file("secret") as path:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(Path(path).parent).st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


async def test_trusting_anybody_needs_a_policy(certificate: tuple[Path, Path]) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    async with hostile_server(serving) as server:
        server.routes.update({"/": response(b"whoever"), "/away": redirect("https://b.example/")})
        http = client(server)
        request: dict[str, Value] = {"method": "GET", "url": "https://a.example/"}
        with pytest.raises(Refused) as caught:
            await http.request({**request, "tls": {"insecure_skip_verify": True}}, Policies())
        assert str(caught.value) == "policy denied: http_client.insecure_tls on https://a.example/"
        assert server.requests == []
        policies = Policies("https://a.example/", "https://a.example/away")
        answer = await http.request({**request, "tls": {"insecure_skip_verify": True}}, policies)
        assert answer["body"] == "whoever"
        assert policies.asked[1] == ("http_client.insecure_tls", "https://a.example/")
        request["url"] = "https://a.example/away"
        with pytest.raises(Refused, match=r"insecure_tls on https://b\.example/"):
            await http.request({**request, "tls": {"insecure_skip_verify": True}}, policies)
        refused = await refusal("https://a.example/", http=http)  # what one request may, the next does not
        assert refused.retryable is False
