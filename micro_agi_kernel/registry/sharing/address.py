"""The address of a remote: which forms there are, and what no address may do.

An address comes from a person or from a config. It must not name a program to run, nor hold a password, which
would then stand in a file, in the list of processes and in messages; nor be one that anybody on the way can change.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.message import clean
from micro_agi_kernel.values import is_loopback, shorten

_SCP = re.compile(r"(?:([\w.+-]+)@)?([\w.-]+|\[[0-9A-Fa-f:.]+\]):([^@:]+)")
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a remote is, checked: `Address.parse`."""

    text: str
    """As git takes it: an absolute path, `file://`, `ssh://`, `https://`, or `[user@]host:path`."""
    name: str
    """How messages and commits name it; without a user, and of a folder its last part only."""
    is_http: bool = False
    """Unencrypted, which only this machine may be."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises RegistryError with what is wrong; it does not repeat the text, which may hold a password."""
        if not text or len(text) > 1_000 or not text.isprintable() or text != text.strip() or text[0] == "-":
            raise _unknown()
        if _HELPER.match(text):
            raise RegistryError("a remote is a folder, or reached by ssh or https: `name::address` would run a program")
        if "://" in text:
            return _url(text)
        if Path(text).is_absolute():
            return cls(text, clean(Path(text).name) or "/")
        match = _SCP.fullmatch(text)
        if match is None or any((part or "").startswith("-") for part in match.groups()):
            raise _unknown()
        return cls(text, f"{match[2]}:{match[3]}")


def _url(text: str) -> Address:
    try:
        url = urlsplit(text)
        scheme, host, port = url.scheme.lower(), url.hostname or "", url.port
        user, password = url.username, url.password
    except ValueError as error:
        raise _unknown() from error
    if scheme not in ("file", "ssh", "https", "http"):
        raise RegistryError(f"a remote is a folder, or reached by ssh or https, not by {shorten(scheme)!r}")
    if password is not None or (user is not None and scheme != "ssh") or url.query or url.fragment:
        raise RegistryError(
            "a remote's address holds no password or token: set up a credential helper (`git help credentials`)"
        )
    if scheme == "file":
        if host or not url.path.startswith("/"):
            raise RegistryError("a file:// address names an absolute path: file:///folder/registry.git")
        return Address(text, clean(Path(url.path).name) or "/")
    if not host or host.startswith("-") or (user or "").startswith("-"):
        raise _unknown()
    if scheme == "http" and not is_loopback(host):
        raise RegistryError("a remote is not reached by http, which anybody on the way can change: use https")
    return Address(text, f"{host}{f':{port}' if port else ''}{url.path}", is_http=scheme == "http")


def _unknown() -> RegistryError:
    return RegistryError(
        "not the address of a remote: give an absolute path, https://host/path, ssh://user@host/path or user@host:path"
    )


def address_of(repository: Path) -> str | None:
    """The address as it is configured, not checked; None where there is none. Needs no git."""
    from dulwich.config import ConfigFile

    try:
        url = ConfigFile.from_path(os.fspath(repository / "config")).get((b"remote", b"origin"), b"url")
    except KeyError:
        return None
    except (OSError, ValueError) as error:
        raise RegistryError(f"cannot read the config of the registry {repository}: {clean(str(error))}") from error
    return url.decode(errors="replace")
