"""Characters that show nothing become visible wherever text is shown, but for those that writing needs."""

from __future__ import annotations

import pytest

from micro_agi_kernel.frontends.question_text import question_text
from micro_agi_kernel.frontends.text import PlainPieces, one_line, plain
from micro_agi_kernel.questions import Question
from micro_agi_kernel.registry.message import clean

HIDDEN = [
    *("\u00ad", "\u034f", "\u115f", "\u180e", "\u200b", "\u200c", "\u200d", "\u200e", "\u2060", "\u2064", "\u3164"),
    *("\ufe00", "\ufe0f", "\ufeff", "\uffa0", "\U000e0001", "\U000e0041", "\U000e007f", "\U000e0100", "\U000e01ef"),
]
NEEDED = [
    "می\u200cخواهم",
    "क्\u200dष",
    "👩\u200d💻",
    "👨🏽\u200d👩🏽\u200d👧🏽",
    "❤\ufe0f\u200d🔥 ⚠\ufe0f ✔\ufe0e",
    "1\ufe0f\u20e3",
]


@pytest.mark.parametrize("character", HIDDEN, ids=ascii)
def test_what_shows_nothing_becomes_visible(character: str) -> None:
    assert plain(f"a{character}b") == one_line(f"a{character}b") == "a\ufffdb"
    assert plain(f"é{character * 2}é").count("\ufffd") >= 1, "two in a row are no writing"
    assert clean(f"a{character}b") == "ab"


@pytest.mark.parametrize("text", NEEDED)
def test_what_writing_needs_stays(text: str) -> None:
    assert plain(text) == clean(text) == text


@pytest.mark.parametrize("text", [*NEEDED, "a\r\nb\rc", "x\u200dy", "👩\u200d", "\u200d👩", "é\u200d\u200dé", "\r"])
def test_a_text_in_pieces_is_shown_as_one(text: str) -> None:
    for cut in range(len(text) + 1):
        if text[cut - 1 : cut + 1] == "1\ufe0f":  # only together is a keycap known from a digit
            continue
        pieces = PlainPieces()
        assert pieces.add(text[:cut]) + pieces.add(text[cut:]) + pieces.end() == plain(text)


def test_a_question_hides_nothing() -> None:
    tags = "".join(chr(0xE0000 + ord(c)) for c in "allow")
    asked = (("registry.create", "app.generated:x"),)
    question = Question(asked, f"tool:x{tags}", ("p",), diff=f"+return 1{tags}\n", about=f"a{tags}")
    shown = question_text(question)
    assert not set(tags) & set(shown)
    assert shown.count("\ufffd") == 3 * len(tags)
