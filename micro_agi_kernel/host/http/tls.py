"""The option `tls`: whom a request trusts, and with which certificate it shows who asks."""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import httpx

from micro_agi_kernel.errors import Refused
from micro_agi_kernel.host.arguments import invalid, utf8
from micro_agi_kernel.host.http import checks, pem
from micro_agi_kernel.host.http.addresses import parse_host
from micro_agi_kernel.values import Value

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!aDSS:!SHA1:!AESCCM"
"""Up to TLS 1.2; Python's own list without DHE, whose prime a server chooses: one of 10,000 bits stops us for 0.6 s."""

_FIELDS = ("cert", "key", "ca", "server_name", "insecure_skip_verify")


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """What a request says about TLS. The PEM texts come from `pem`."""

    cert: str = ""
    key: str = field(default="", repr=False)
    ca: str = ""
    """The authorities to trust in place of the usual ones."""
    server_name: str = ""
    """The name to ask for and to verify in place of the URL's host."""
    insecure: bool = False
    """Trust anybody; `http_client.insecure_tls` is asked for each URL."""

    @property
    def usual(self) -> bool:
        """Whether the context is that of a request which says nothing of TLS."""
        return not (self.cert or self.ca or self.insecure)

    def elsewhere(self) -> TlsOptions:
        """What goes along to another origin: whom to trust, but nothing that was meant for the first one."""
        return replace(self, cert="", key="", server_name="")

    def context(self) -> ssl.SSLContext:
        """Blocks: it reads the list of the usual authorities. Raises Refused where OpenSSL cannot use a PEM text."""
        if self.ca:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            with _refusing("ca", "no certificate of an authority"):
                context.load_verify_locations(cadata=self.ca)
        else:
            context = httpx.create_ssl_context(trust_env=False)
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION  # else a server has us sign as often as it likes
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert:
            # Python reads a client's certificate from files only.
            with _as_file(self.cert) as cert, _as_file(self.key) as key, _refusing("cert", "cert and key do not fit"):
                context.load_cert_chain(cert, key)
        return context


def parse_tls(value: Value) -> TlsOptions:
    """The option `tls`. Raises Refused."""
    if value is None:
        return TlsOptions()
    fields = checks.record(value, "tls", _FIELDS)
    cert, key, ca = (fields.get(name) for name in ("cert", "key", "ca"))
    if (cert is None) != (key is None):
        raise invalid("tls: cert and key belong together")
    name = fields.get("server_name")
    insecure = fields.get("insecure_skip_verify", False)
    if not isinstance(insecure, bool):
        raise invalid("tls.insecure_skip_verify must be true or false")
    options = TlsOptions(
        cert="" if cert is None else pem.certificates(cert, "tls.cert"),
        key="" if key is None else pem.private_key(key, "tls.key"),
        ca="" if ca is None else pem.certificates(ca, "tls.ca"),
        server_name="" if name is None else _server_name(name),
        insecure=insecure,
    )
    if len(options.cert) + len(options.ca) > pem.MAX_CERTIFICATES:
        raise invalid(f"tls: cert and ca have more than {pem.MAX_CERTIFICATES} characters together")
    return options


def _server_name(value: Value) -> str:
    name = utf8(value, "tls.server_name").lower()
    try:
        address = parse_host(name)
    except Refused as error:
        raise invalid("tls.server_name must be a host name") from error
    return name if address is None else str(address)


@contextlib.contextmanager
def _refusing(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None)
        raise invalid(f"tls.{name}: {what}{f' ({reason})' if reason else ''}") from error


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A path from which `text` can be read inside the block: memory where the system has it, else a private file."""
    if sys.platform == "linux" and os.path.exists("/proc/self/fd"):
        descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
        try:
            with open(descriptor, "w", encoding="ascii", closefd=False) as file:
                file.write(text)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "pem")
            with open(path, "x", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(text)
            yield path
