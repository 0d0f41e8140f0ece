"""Thoughts between tags at the beginning of an answer: they are reasoning, and no character is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micro_agi_kernel.messages import ReasoningChunk, TextChunk
from micro_agi_kernel.models.thinking import InlineThoughts


def told_apart(*pieces: str) -> tuple[str, str]:
    """Reasoning and text of an answer that comes in these pieces."""
    thoughts = InlineThoughts()
    chunks = [chunk for piece in pieces for chunk in thoughts.add(piece)]
    chunks += thoughts.end()
    assert all(chunk.text for chunk in chunks)
    kinds = [type(chunk) for chunk in chunks]
    assert kinds == sorted(kinds, key=lambda kind: kind is TextChunk), "text comes after the thoughts"
    reasoning = (chunk.text for chunk in chunks if isinstance(chunk, ReasoningChunk))
    return "".join(reasoning), "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


ANSWERS = {
    "plain": ("It is noon.", "", "It is noon."),
    "thoughts": ("<think>hm, noon</think>It is noon.", "hm, noon", "It is noon."),
    "spaced": ("\n<think>\nhm\n</think>\n\nIt is\nnoon.\n", "hm\n", "It is\nnoon.\n"),
    "no-thoughts": ("<think>\n\n</think>\n\nNoon.", "", "Noon."),
    "only-thoughts": ("<think>hm</think>\n", "hm", ""),
    "never-closed": ("<think>hm </thi", "hm </thi", ""),
    "only-opened": ("<think>", "", ""),
    "half-a-tag": (" <thi", "", " <thi"),
    "another-tag": ("<thinker>x</thinker>", "", "<thinker>x</thinker>"),
    "later": ("The tag <think>x</think> is odd.", "", "The tag <think>x</think> is odd."),
    "twice": ("<think>a</think>b <think>c</think>", "a", "b <think>c</think>"),
    "inside": ("<think>a <think> < b </thin </think>c", "a <think> < b </thin ", "c"),
    "less-than": ("<3", "", "<3"),
    "blanks": (" \n" * 500, "", " \n" * 500),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_wherever_the_pieces_end(name: str) -> None:
    answer, reasoning, text = ANSWERS[name]
    for size in (1, 2, 3, 5, 8, len(answer)):
        pieces = [answer[start : start + size] for start in range(0, len(answer), size)]
        assert told_apart(*pieces) == (reasoning, text), size


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "/", " ", "a"])), st.data())
def test_no_character_is_lost(parts: list[str], data: st.DataObject) -> None:
    answer = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=6)))
    pieces = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    reasoning, text = told_apart(*pieces)
    kept = answer
    if answer.lstrip().startswith("<think>"):
        kept = answer.lstrip().removeprefix("<think>").replace("</think>", "", 1)
    assert "".join((reasoning + text).split()) == "".join(kept.split())
    assert (reasoning, text) == told_apart(answer)


def test_what_is_no_tag_is_passed_on_at_once() -> None:
    thoughts = InlineThoughts()
    assert [*thoughts.add("<b")] == [TextChunk("<b")]
    thoughts = InlineThoughts()
    assert [*thoughts.add("<think>a")] == [ReasoningChunk("a")]


def test_a_server_that_tells_thoughts_apart_itself_is_believed() -> None:
    thoughts = InlineThoughts()
    thoughts.are_told_apart()
    assert [*thoughts.add("<think>x</think>")] == [TextChunk("<think>x</think>")]
