"""Certificates and keys as PEM text, looked at before OpenSSL sees them.

OpenSSL's work on a key grows with the cube of its numbers, and on an encrypted one with a count that its author
chose; nothing can stop it. So only what this module has read itself, and written anew, goes on.
"""

from __future__ import annotations

import base64
import re

from micro_agi_kernel.host.arguments import invalid, utf8
from micro_agi_kernel.values import Value

MAX_CERTIFICATES = 64 * 1024
"""Characters of all certificates of a request."""
MAX_KEY = 8 * 1024
MAX_RSA_BITS = 4_096
"""Of each number in a key. A signature takes 5 ms, and 60 ms with numbers made for it; with 8192 bits 50 and 390."""

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]{1,40})-----\s([A-Za-z0-9+/=\s]*)-----END \1-----")
_KEY_LABELS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")

_RSA = bytes.fromhex("2a864886f70d010101")
_EC = bytes.fromhex("2a8648ce3d0201")
_EDWARDS = (bytes.fromhex("2b6570"), bytes.fromhex("2b6571"))
"""Ed25519 and Ed448, whose numbers have one size."""
_INTEGER, _NAME, _SEQUENCE, _CURVE = 0x02, 0x06, 0x30, 0xA0
"""Tags of DER; an object identifier is a name here."""


def certificates(value: Value, name: str) -> str:
    """The certificates in a PEM text, without anything else that it holds. Raises Refused."""
    text = utf8(value, name)
    found = [] if len(text) > MAX_CERTIFICATES else _blocks(text, ("CERTIFICATE",))
    if not found:
        raise invalid(f"{name} must be certificates as PEM text, at most {MAX_CERTIFICATES} characters")
    return "".join(_block(*block) for block in found)


def private_key(value: Value, name: str) -> str:
    """The one key in a PEM text. Raises Refused, also for a key that takes long to use."""
    text = utf8(value, name)
    if "ENCRYPTED" in text:
        raise invalid(f"{name} is encrypted: give it without its password")
    found = [] if len(text) > MAX_KEY else _blocks(text, _KEY_LABELS)
    if len(found) != 1 or not _sound(*found[0]):
        raise invalid(
            f"{name} must be one key as PEM text, at most {MAX_KEY} characters: RSA of up to {MAX_RSA_BITS} bits, "
            "EC with a named curve, Ed25519 or Ed448"
        )
    return _block(*found[0])


def _blocks(text: str, labels: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """Label and content of each block that has one of `labels`; none at all if one of them is broken."""
    try:
        return [
            (label, base64.b64decode("".join(content.split()), validate=True))
            for label, content in _BLOCK.findall(text)
            if label in labels
        ]
    except ValueError:
        return []


def _block(label: str, content: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(content).decode()}-----END {label}-----\n"


def _sound(label: str, key: bytes) -> bool:
    """Whether a key (PKCS #8, or RFC 8017 and 5915 by its label) is of a kind and a size that is quick to use."""
    try:
        if label == "RSA PRIVATE KEY":
            return _sound_rsa(key)
        if label == "EC PRIVATE KEY":
            return _sound_ec(key)
        version, algorithm, content, *_ = _parts(_sequence(key))
        kind, *parameters = _parts(algorithm[1])
        if kind[1] == _RSA:
            return version[0] == _INTEGER and _sound_rsa(content[1])
        if kind[1] == _EC:
            return [tag for tag, _ in parameters] == [_NAME] and _sound_ec(content[1])
        return kind[1] in _EDWARDS
    except (ValueError, IndexError):
        return False


def _sound_rsa(key: bytes) -> bool:
    numbers = _parts(_sequence(key))
    sizes = [int.from_bytes(content).bit_length() for tag, content in numbers if tag == _INTEGER]
    return len(numbers) == len(sizes) == 9 and max(sizes) <= MAX_RSA_BITS


def _sound_ec(key: bytes) -> bool:
    """Its curve may be left out, but not described by numbers of its own."""
    return all(content[0] == _NAME for tag, content in _parts(_sequence(key)) if tag == _CURVE)


def _sequence(der: bytes) -> bytes:
    """The content of the one sequence that `der` is. Raises ValueError."""
    [(tag, content)] = _parts(der)
    if tag != _SEQUENCE:
        raise ValueError("no sequence")
    return content


def _parts(der: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each value in `der`, one level deep. Raises ValueError or IndexError."""
    parts: list[tuple[int, bytes]] = []
    at = 0
    while at < len(der):
        tag, size, at = der[at], der[at + 1], at + 2
        if size & 0x80:
            more = size & 0x7F
            size, at = int.from_bytes(der[at : at + more]), at + more
            if not more:
                raise ValueError("a value without a size")
        if at + size > len(der):
            raise ValueError("a value is cut short")
        parts.append((tag, der[at : at + size]))
        at += size
    return parts
