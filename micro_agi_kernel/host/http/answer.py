"""What a server answered: the head as a tool sees it, and the body, unpacked piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from micro_agi_kernel.host.http.checks import TOKEN
from micro_agi_kernel.values import Value

PIECE = 64 * 1024
"""Bytes that unpacking gives at once, at most: what a bomb can make of one read."""

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_MEMBERS = 64
"""Gzip members in one body; each costs a copy of what follows it."""
_GZIP = ("gzip", "x-gzip")
_CUT_SHORT = "it ends before its compressed body does"


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer, the names as they came."""

    status: int
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, status: int, headers: list[tuple[bytes, bytes]]) -> Head:
        return cls(status, tuple((name.decode("latin-1"), _readable(value)) for name, value in headers))

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    def location(self) -> str | None:
        """Where it redirects to, if it does."""
        return self.header("location") if self.status in _REDIRECTS else None

    def length(self) -> int:
        """Bytes of the body as the head says; -1 when it does not."""
        text = self.header("content-length") or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1

    def encoding(self) -> str:
        """The content encoding in lower case; empty when there is none."""
        return (self.header("content-encoding") or "").strip().lower()

    def unpacked(self) -> Head:
        """This head for a body that is packed no longer."""
        described = ("content-encoding", "content-length")
        return Head(self.status, tuple(pair for pair in self.headers if pair[0].lower() not in described))

    def as_value(self, url: str) -> dict[str, Value]:
        """{status_code, headers = {Name: text}, cookies = {name: text}, url}."""
        headers: dict[str, list[str]] = {}
        for name, value in self.headers:
            headers.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
        cookies: dict[str, Value] = dict(filter(None, map(_cookie, headers.get("Set-Cookie", ()))))
        joined: dict[str, Value] = {name: ", ".join(values) for name, values in headers.items()}
        return {"status_code": self.status, "headers": joined, "cookies": cookies, "url": url}


class Unpacker:
    """Undoes gzip or deflate, a bounded piece at a time. Raises zlib.error for what is broken or cut short.

    "deflate" means zlib's format, but servers also send it bare; gzip may come in several members.
    """

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding in _GZIP
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16) if self._gzip else None
        self._begun = b""
        self._members = 1
        self._fed = False

    @staticmethod
    def knows(encoding: str) -> bool:
        return encoding in (*_GZIP, "deflate")

    def feed(self, packed: bytes) -> Iterator[bytes]:
        self._fed = self._fed or bool(packed)
        if self._stream is None:
            packed = self._begun = self._begun + packed
            if len(packed) < 2:
                return
            zlib_header = packed[0] & 0x0F == 8 and int.from_bytes(packed[:2]) % 31 == 0  # RFC 1950, section 2.2
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)
        while packed:
            if self._stream.eof:
                if not (self._gzip and packed.startswith(b"\x1f")):
                    return  # what follows the end is no part of the body
                self._members += 1
                if self._members > _MAX_MEMBERS:
                    raise zlib.error(f"more than {_MAX_MEMBERS} gzip members")
                self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
            if piece := self._stream.decompress(packed, PIECE):
                yield piece
            packed = self._stream.unconsumed_tail or self._stream.unused_data

    def finish(self) -> Iterator[bytes]:
        """What was still held back. An empty body is whole, whatever its encoding."""
        if not self._fed:
            return
        if self._stream is None:
            raise zlib.error(_CUT_SHORT)
        while piece := self._stream.decompress(self._stream.unconsumed_tail, PIECE):
            yield piece
        if not self._stream.eof:
            raise zlib.error(_CUT_SHORT)


def body_value(body: bytes) -> Value:
    """Text where it is UTF-8, else bytes."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _cookie(line: str) -> tuple[str, str] | None:
    """Name and value of a cookie that was set; no regular expression, which such a line could keep busy."""
    name, equals, value = line.partition(";")[0].partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not TOKEN.fullmatch(name):
        return None
    return name, value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _readable(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
