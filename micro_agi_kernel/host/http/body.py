"""What a request carries: its body as it is, a form, or a form with files (multipart/form-data)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from urllib.parse import urlencode

from micro_agi_kernel.host.arguments import invalid, utf8
from micro_agi_kernel.host.http import checks
from micro_agi_kernel.values import Value

MAX_FILES = 100

_FILE = ("name", "filename", "content", "content_type")
_CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}([ \t]*;[\x20-\x7e]{1,200})?", re.ASCII)


def parse_body(payload: dict[str, Value], limit: int) -> tuple[str | None, bytes | None]:
    """The content type that the options `body`, `form` and `files` imply, and the body, at most `limit` bytes.

    A body has no type of its own; without any of the three there is no body. Raises Refused.
    """
    body, form, files = payload.get("body"), payload.get("form"), payload.get("files")
    if body is not None and (form is not None or files is not None):
        raise invalid("body: give either a body, or form and files")
    if files is not None:
        boundary = secrets.token_hex(16)  # nobody can have put it into a file beforehand
        content_type, content = f"multipart/form-data; boundary={boundary}", _multipart(form, files, boundary)
    elif form is not None:
        pairs = [(name, item) for name, items in checks.table(form, "form") for item in items]
        content_type, content = "application/x-www-form-urlencoded", urlencode(pairs).encode()
    elif body is None:
        return None, None
    elif isinstance(body, str | bytes):
        content_type, content = None, checks.octets(body, "body")
    else:
        raise invalid("body must be a string; use json.encode for a table")
    if len(content) > limit:
        raise invalid(f"body: larger than {limit} bytes")
    return content_type, content


def _multipart(form: Value, files: Value, boundary: str) -> bytes:
    parts: list[bytes] = []
    for heading, content in (*_form_parts(form), *_file_parts(files)):
        parts += [f"--{boundary}\r\nContent-Disposition: form-data; {heading}\r\n\r\n".encode(), content, b"\r\n"]
    return b"".join((*parts, f"--{boundary}--\r\n".encode()))


def _form_parts(form: Value) -> Iterator[tuple[str, bytes]]:
    for name, items in checks.table(form, "form"):
        for item in items:
            yield f"name={_quoted(name, 'form')}", item.encode()


def _file_parts(files: Value) -> Iterator[tuple[str, bytes]]:
    if not isinstance(files, list) or len(files) > MAX_FILES:
        raise invalid(f"files must be a list of at most {MAX_FILES} files")
    for number, file in enumerate(files, 1):
        where = f"files[{number}]"
        fields = checks.record(file, where, _FILE)
        name = _quoted(fields.get("name"), f"{where}.name")
        filename = _quoted(fields.get("filename", fields.get("name")), f"{where}.filename")
        content_type = utf8(fields.get("content_type", "application/octet-stream"), f"{where}.content_type")
        if not _CONTENT_TYPE.fullmatch(content_type):
            raise invalid(f"{where}.content_type must be a type such as text/plain")
        content = fields.get("content")
        if not isinstance(content, str | bytes):
            raise invalid(f"{where}.content must be a string")
        heading = f"name={name}; filename={filename}\r\nContent-Type: {content_type}"
        yield heading, checks.octets(content, f"{where}.content")


def _quoted(value: Value, name: str) -> str:
    """A name in quotation marks, as browsers write it (the WHATWG form standard); it cannot end its line."""
    found = checks.header_text(value, name)
    if not found:
        raise invalid(f"{name} must not be empty")
    return '"' + found.replace('"', "%22") + '"'
