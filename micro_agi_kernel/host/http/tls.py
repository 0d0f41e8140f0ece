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
from micro_agi_kernel.host.http import checks
from micro_agi_kernel.host.http.addresses import parse_host
from micro_agi_kernel.values import Value

MAX_PEM = 256 * 1024
"""Characters of a certificate, a key or a list of authorities."""

_FIELDS = ("cert", "key", "ca", "server_name", "insecure_skip_verify")


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """What a request says about TLS. The PEM texts are checked when `context` reads them."""

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
        """Blocks: it reads the list of the usual authorities. Raises Refused when a PEM text is none."""
        if self.ca:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            with _refusing("ca", "no certificate of an authority"):
                context.load_verify_locations(cadata=self.ca)
        else:
            context = httpx.create_ssl_context(trust_env=False)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert:
            # Python reads a client's certificate from files only. The empty password: OpenSSL would ask the terminal.
            with _as_file(self.cert) as cert, _as_file(self.key) as key, _refusing("cert", "cert and key do not fit"):
                context.load_cert_chain(cert, key, password=lambda: b"")
        return context


def parse_tls(value: Value) -> TlsOptions:
    """The option `tls`. Raises Refused."""
    if value is None:
        return TlsOptions()
    fields = checks.record(value, "tls", _FIELDS)
    cert, key, ca = (_pem(fields.get(name), f"tls.{name}") for name in ("cert", "key", "ca"))
    if bool(cert) != bool(key):
        raise invalid("tls: cert and key belong together")
    name = fields.get("server_name")
    insecure = fields.get("insecure_skip_verify", False)
    if not isinstance(insecure, bool):
        raise invalid("tls.insecure_skip_verify must be true or false")
    return TlsOptions(cert, key, ca, "" if name is None else _server_name(name), insecure)


def _pem(value: Value, name: str) -> str:
    if value is None:
        return ""
    found = utf8(value, name)
    if not found.isascii() or len(found) > MAX_PEM or "-----BEGIN " not in found:
        raise invalid(f"{name} must be PEM text, at most {MAX_PEM} characters")
    return found


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
