"""Keys and certificates of a tool: what OpenSSL would work on for long never gets there."""

from __future__ import annotations

import base64
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.pem import MAX_CERTIFICATES, certificates, private_key
from micro_agi_kernel.host.http.tls import TlsOptions, parse_tls


@pytest.fixture(scope="module")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> Openssl:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the keys")
    return Openssl(tmp_path_factory.mktemp("pem"))


class Openssl:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *args: str) -> str:
        """What it writes to its output."""
        return subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self._folder, text=True).stdout

    def key(self, *how: str) -> str:
        return self("genpkey", *how)

    def file(self, text: str) -> str:
        path = self._folder / "given.pem"
        path.write_text(text)
        return str(path)


EC = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")


def value(tag: int, content: bytes) -> bytes:
    size = len(content).to_bytes(3, "big")
    return bytes([tag, 0x83]) + size + content


def integer(number: int) -> bytes:
    return value(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def block(label: str, content: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(content).decode()}-----END {label}-----\n"


def rsa(*bits: int) -> bytes:
    """A key with numbers of so many bits; no key that works."""
    return value(0x30, b"".join(integer((1 << size) - 1) for size in bits))


def in_pkcs8(kind: str, content: bytes, parameters: bytes = b"\x05\x00") -> bytes:
    algorithm = value(0x30, value(6, bytes.fromhex(kind)) + parameters)
    return value(0x30, integer(0) + algorithm + value(4, content))


RSA_KIND, DSA_KIND, EC_KIND = "2a864886f70d010101", "2a8648ce380401", "2a8648ce3d0201"
SMALL = (1,) * 8


@pytest.mark.parametrize("how", [EC, RSA, ("-algorithm", "ED25519"), ("-algorithm", "ED448")], ids=lambda how: how[1])
@pytest.mark.parametrize("traditional", [False, True])
def test_usual_keys_pass_and_are_used(openssl: Openssl, how: tuple[str, ...], traditional: bool) -> None:
    key = openssl.key(*how)
    if traditional:
        if how[1].startswith("ED"):
            pytest.skip("has one form only")
        key = openssl("pkey", "-traditional", "-in", openssl.file(key))
        assert f"BEGIN {how[1]} PRIVATE KEY" in key
    cert = openssl("req", "-x509", "-key", openssl.file(key), "-subj", "/CN=x", "-days", "2")
    options = parse_tls({"cert": f"subject=x\n{cert}", "key": f"Bag Attributes\n{key}\n"})
    assert options.cert.startswith("-----BEGIN CERTIFICATE") and "Bag" not in options.key
    options.context()


def test_the_parameters_that_openssl_writes_before_a_key_may_stay(openssl: Openssl) -> None:
    both = openssl("ecparam", "-name", "prime256v1", "-genkey")
    assert "BEGIN EC PARAMETERS" in both and "PARAMETERS" not in private_key(both, "key")


def test_a_locked_key_is_refused_unopened(openssl: Openssl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl, "SSLContext", None)
    locked = openssl("pkcs8", "-topk8", "-in", openssl.file(openssl.key(*EC)), "-passout", "pass:", "-iter", "1000")
    legacy = openssl("ec", "-in", openssl.file(openssl.key(*EC)), "-aes128", "-passout", "pass:long")
    assert "Proc-Type" in legacy
    for key in (locked, legacy):
        with pytest.raises(Refused, match=r"tls\.key is encrypted: give it without its password") as caught:
            parse_tls({"cert": block("CERTIFICATE", b"x"), "key": key})
        assert (caught.value.kind, caught.value.retryable) == (ErrorKind.INVALID, False)


@pytest.mark.parametrize(
    "key",
    [
        block("RSA PRIVATE KEY", rsa(0, 4097, *SMALL[:7])),
        block("RSA PRIVATE KEY", rsa(0, 2048, *SMALL[:6], 4097)),
        block("RSA PRIVATE KEY", rsa(1, 2048, *SMALL)),
        block("RSA PRIVATE KEY", rsa(0, 2048, *SMALL[:7])[:-1]),
        block("RSA PRIVATE KEY", b"\x30\x80" + rsa(0, 2048, *SMALL[:7]) + b"\0\0"),
        block("RSA PRIVATE KEY", b"\x30\x84\xff"),
        block("RSA PRIVATE KEY", b""),
        block("PRIVATE KEY", in_pkcs8(RSA_KIND, rsa(0, 4097, *SMALL[:7]))),
        block("PRIVATE KEY", in_pkcs8(DSA_KIND, integer(1))),
        block("PRIVATE KEY", in_pkcs8(EC_KIND, value(0x30, integer(1)), value(0x30, integer(1)))),
        block("PRIVATE KEY", in_pkcs8(EC_KIND, value(0x30, value(0xA0, value(0x30, b""))), value(6, b"\x01"))),
        block("EC PRIVATE KEY", value(0x30, integer(1) + value(0xA0, value(0x30, integer(1))))),
        block("DSA PRIVATE KEY", rsa(0, *SMALL)),
        block("PUBLIC KEY", b"x"),
        block("PRIVATE KEY", in_pkcs8("2b6570", b"x")) * 2,
        block("PRIVATE KEY", in_pkcs8("2b6570", bytes(8_192))),
        "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n" * 200,
        "nothing",
    ],
)
def test_keys_that_would_take_long_or_are_none(key: str) -> None:
    with pytest.raises(Refused, match="key must be one key as PEM text, at most 8192 characters: RSA of up to 4096"):
        private_key(key, "key")


def test_numbers_at_the_limit_pass() -> None:
    for key in (
        block("RSA PRIVATE KEY", rsa(0, *(4096,) * 8)),
        block("PRIVATE KEY", in_pkcs8(RSA_KIND, rsa(0, 4096, 17, *(2048,) * 6))),
    ):
        assert private_key(key, "key") == key


def test_certificates_have_a_bound_together() -> None:
    half = block("CERTIFICATE", bytes(MAX_CERTIFICATES // 2))
    assert certificates(half, "ca") == half
    with pytest.raises(Refused, match=r"tls\.ca must be certificates as PEM text, at most 65536 characters"):
        parse_tls({"ca": half * 2})
    with pytest.raises(Refused, match="tls: cert and ca have more than 65536 characters together"):
        parse_tls({"ca": half, "cert": half, "key": block("PRIVATE KEY", in_pkcs8("2b6570", b"x"))})


@pytest.mark.parametrize("insecure", [False, True])
def test_no_server_chooses_the_numbers_of_a_key_exchange(insecure: bool) -> None:
    context = TlsOptions(insecure=insecure).context()
    names = [cipher["name"] for cipher in context.get_ciphers()]
    assert names and all(name.startswith(("ECDHE-", "TLS_")) for name in names)
    assert context.options & ssl.OP_NO_RENEGOTIATION
