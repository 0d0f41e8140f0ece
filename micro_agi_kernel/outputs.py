"""What a program shows while it runs: printed text, progress, and things to display. All of it is hostile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from micro_agi_kernel.values import Value

TEXT_FORMS = frozenset({"text/plain", "text/markdown", "text/html", "image/svg+xml"})
PICTURE_FORMS = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
"""And how the bytes of each begin."""
JSON_FORMS = frozenset({"application/json", "application/vnd.vegalite.v5+json"})


@dataclass(frozen=True, slots=True)
class Printed:
    """The next piece of printed text."""

    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the program is: `done` of `total` (None: unknown), both 0 or more, and a few words about it."""

    done: float
    total: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Display:
    """One thing in one or more forms, by MIME type.

    TEXT_FORMS are text, PICTURE_FORMS bytes, JSON_FORMS lists or objects; there are no others.
    """

    data: Mapping[str, Value]


Output: TypeAlias = Printed | Progress | Display
