"""Where a key may go: the server that a model's requests are sent to, and what they carry.

A key goes to the provider's own address or to the one that the user put into OPENAI_BASE_URL: an entry is
data that may have come from anywhere, so it cannot name a server and have a key sent there, unless the
person trusted that very pair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.models.catalog import ModelSpec, Provider
from micro_agi_kernel.values import is_key, shorten, unset_variable

Secrets: TypeAlias = Callable[[str], str | None]
"""Looks an environment variable up."""

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
OPENAI_BASE = "OPENAI_BASE_URL"
NO_KEY = "none"
SET_UP = f"set {OPENAI_KEY}, or {OPENAI_BASE} for a local server"


class KeyMissing(ModelError):
    """Nobody set the key yet, nor the address of a server that wants none."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server, and the key for it."""

    url: str
    key: str | None = field(default=None, repr=False)
    key_name: str = OPENAI_KEY
    of_entry: bool = False
    """The address is the entry's own: of the user's environment nothing but a trusted key may go there."""

    @property
    def shown(self) -> str:
        """The address for people: without user name, password and query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def is_default(self) -> bool:
        """The provider's own server, which nobody here can start."""
        return _normal(self.url) == _normal(OPENAI_URL)

    @property
    def origin(self) -> str:
        """Where a person changes the address."""
        return "the entry's base_url" if self.of_entry else OPENAI_BASE


def endpoint_of(spec: ModelSpec, provider: Provider, secrets: Secrets) -> Endpoint:
    """The server that `spec` runs on. Raises KeyMissing, and ModelError when the key may not be sent there."""
    users_url = (secrets(OPENAI_BASE) or "").strip()
    if users_url:
        _check_url(users_url, OPENAI_BASE)
    key_name = provider.api_key_env or OPENAI_KEY
    if provider.base_url is not None:
        _check_url(provider.base_url, f"base_url of {spec.id}")
        if _normal(provider.base_url) not in {_normal(OPENAI_URL), _normal(users_url)}:
            return _of_entry(spec, provider.base_url, key_name, provider.trusted, secrets)
    url = provider.base_url or users_url or OPENAI_URL
    key = None if key_name == NO_KEY else _key(secrets, key_name)
    endpoint = Endpoint(url, key, key_name)
    if key is None and endpoint.is_default:
        wanted = SET_UP if key_name in {OPENAI_KEY, NO_KEY} else f"set {unset_variable(key_name)}"
        raise KeyMissing(f"{spec.name} needs a key: {wanted}")
    return endpoint


def _of_entry(spec: ModelSpec, url: str, key_name: str, trusted: bool, secrets: Secrets) -> Endpoint:
    """The server that the entry itself names."""
    if key_name == NO_KEY:
        return Endpoint(url, of_entry=True)
    if not trusted:
        named = shorten(key_name) if secrets(key_name) else unset_variable(key_name)
        raise ModelError(
            f"{spec.id} names its own server and a key, and no key goes to a server that an entry names unless you "
            f"trust it: if {named} may go to {shorten(Endpoint(url).shown)}, run "
            f"`micro-agi registry trust {spec.id}`; if the server wants no key, set api_key_env: {NO_KEY} in the entry"
        )
    key = _key(secrets, key_name)
    if key is None:
        raise KeyMissing(f"{spec.name} needs a key: set {unset_variable(key_name)}")
    return Endpoint(url, key, key_name, of_entry=True)


def _key(secrets: Secrets, name: str) -> str | None:
    key = (secrets(name) or "").strip()
    if not is_key(key):
        raise ModelError(f"{name} holds characters that no key has: set it again")
    return key or None


def _check_url(url: str, what: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url:
        # What is no address at all may be a key, and so may what stands in these places of one.
        shown = f": {shorten(url)!r}" if "/" in url and not {*"@?#"} & {*url} else ""
        raise ModelError(f"{what} is no http(s) address{shown} (for example http://127.0.0.1:11434/v1)")


def _normal(url: str) -> str:
    return url.rstrip("/").lower()
