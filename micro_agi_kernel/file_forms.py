"""The content of a file as a model can take it: text, a table's head, an image, or one line that says what it is."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import PurePath

from micro_agi_kernel.values import many, shorten

TEXT = 32_768
"""Characters of one file that are sent, about 8,000 tokens: a long source file or a report of ten pages. That is a
sixteenth of a window of 128,000 tokens, and it is sent again with each step."""

ROWS = 20
"""Rows of a table that are sent: enough to see what its columns hold. What needs all of them is work for a program."""

LINE = 65_536
"""Characters of a table's line: one that is longer would be taken apart at once, while nothing else runs."""

CELL = 200
"""Characters of a table's cell that are sent: one long text is no reason to leave the other columns out."""

IMAGE = 5 << 20
"""Bytes of an image that are sent: what the providers take at least."""

_TABLES = {".csv": ",;|\t", ".tsv": "\t", ".tab": "\t"}
"""By the suffix of the name: what may stand between cells."""

_IMAGES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
"""By their first bytes; a name says nothing."""

_CONTROLS = frozenset(range(32)) - {*b"\t\n\r\f\x1b"}
"""Characters that no text has, but for tabs, ends of lines and pages, and the colours of a terminal's log."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a model gets of a file."""

    said: str
    """What it is and how much of it is sent, in one line."""
    text: str = ""
    image: str = ""
    """The MIME type, where the bytes are sent as an image."""


def form_of(name: str, data: bytes, size: int, room: int) -> Form:
    """The form of a file of `size` bytes that begins with `data`; `room`: characters that may be sent."""
    if image := _image_type(data):
        said = f"{image}, {_bytes(size)}"
        too_large = size > IMAGE or size > len(data)
        return Form(f"{said}, not sent: an image may have {IMAGE:,} bytes") if too_large else Form(said, image=image)
    is_cut = size > len(data)
    decoded = _decoded(data, is_cut=is_cut)
    if decoded is None:
        return Form(f"binary, {_bytes(size)}, not sent")
    text, encoding = decoded
    if not text:
        return Form("empty")
    form = _table(name, text, room, is_cut=is_cut) or Form("JSON" if name.lower().endswith(".json") else "text", text)
    parts = [form.said, *([encoding] if encoding else []), _bytes(size)]
    sent = form.text[:room]
    if is_cut and form.text is text:
        parts.append(f"first {len(sent):,} characters sent, the rest is missing")
    elif missing := len(form.text) - len(sent):
        parts.append(f"first {len(sent):,} characters sent, {missing:,} are missing")
    return Form(", ".join(parts), sent)


def _image_type(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for magic, mime in _IMAGES.items() if data.startswith(magic)), "")


def _decoded(data: bytes, *, is_cut: bool) -> tuple[str, str] | None:
    """The text of `data`, and its encoding when that is not UTF-8; None when it is no text.

    What is neither UTF-8 nor marked as UTF-16 is read as Windows' own for the west, if it has no control characters.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = {"utf-16": "UTF-16"}
    else:
        encodings = {"utf-8-sig": "", "cp1252": "no UTF-8, read as Windows-1252"}
    for encoding, said in encodings.items():
        decoder = codecs.getincrementaldecoder(encoding)("replace" if encoding == "cp1252" else "strict")
        try:
            text = decoder.decode(data, final=not is_cut)
        except UnicodeDecodeError:
            continue
        return None if any(chr(control) in text for control in _CONTROLS) else (text, said)
    return None


def _table(name: str, text: str, room: int, *, is_cut: bool) -> Form | None:
    """The head of a table, at most `room` characters of it.

    None when its name is none of a table's, or it is not written as one.
    """
    separators = _TABLES.get(PurePath(name).suffix.lower())
    if separators is None:
        return None
    text = text.replace("\r\n", "\n")
    if is_cut:
        text = text[: text.rfind("\n") + 1]
    if max(map(len, text.split("\n"))) > LINE:
        return None
    begin, head, count = text[:TEXT], [], -1
    try:
        separator = max(separators, key=lambda each: len(next(csv.reader(io.StringIO(begin), delimiter=each), ())))
        for row in filter(None, csv.reader(io.StringIO(text), delimiter=separator, strict=True)):
            count += 1
            if count <= ROWS:
                head.append(row)
    except csv.Error as error:
        if not is_cut or "end of data" not in str(error):  # the cut may lie within quotes
            return None
    if not head:
        return None
    sent = min(count, ROWS)
    written = io.StringIO()
    short = [[shorten(cell, CELL) for cell in row] for row in head]
    csv.writer(written, delimiter=separator, lineterminator="\n").writerows(short)
    parts = [f"{'more than ' if is_cut else ''}{many(count, 'row')}", many(len(head[0]), "column")]
    if len(written.getvalue()) > room:
        parts.append(f"first {room:,} characters of its head sent")
    else:
        parts.append("all sent" if sent == count and not is_cut else f"first {sent:,} sent")
    if short != head:
        parts.append(f"long cells cut at {CELL} characters")
    return Form(f"table, {', '.join(parts)}", written.getvalue()[:room])


def _bytes(size: int) -> str:
    return many(size, "byte")
