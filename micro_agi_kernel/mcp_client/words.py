"""A server's words, made harmless before anybody reads them."""

from __future__ import annotations

from micro_agi_kernel.unseen import CONTROLS, UNSEEN
from micro_agi_kernel.values import shorten

_NO_CONTROLS = dict.fromkeys(CONTROLS, 0xFFFD)


def clean(text: str) -> str:
    """`text` with U+FFFD for each character that controls, hides or turns text; line ends and tabs stay."""
    return UNSEEN.sub("\ufffd", text.translate(_NO_CONTROLS))


def clean_line(text: str, most: int) -> str:
    """`text` on one line, cut to `most` characters, without what controls, hides or turns text."""
    return shorten(" ".join(clean(text[: most * 4]).split()), most)
