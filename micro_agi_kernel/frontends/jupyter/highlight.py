"""Colours for code in a notebook's outputs: Lua and diffs as HTML whose classes `theme.STYLE` knows.

What is shown was written by a model. Every piece of it is escaped, and nothing else of it gets into the HTML.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from micro_agi_kernel.frontends.text import plain

if TYPE_CHECKING:
    from pygments.lexer import Lexer

COLOURED = 32_768
"""Characters of a source that get colours; a longer one, which no agent writes, is shown without."""

_CLASSES = (
    ("Comment", "c"),
    ("Keyword", "k"),
    ("String", "s"),
    ("Number", "n"),
    ("Name.Function", "f"),
    ("Name.Builtin", "b"),
    ("Operator.Word", "k"),
)
"""A kind of token, as pygments names it, with all below it, and its class."""


def lua_html(source: str) -> str:
    """`source`, which may be no Lua at all, as the content of a `<code>`."""
    text = plain(source)
    if len(text) > COLOURED:
        return escape(text)
    return "".join(
        f'<span class="{kind}">{escape(part)}</span>' if kind else escape(part)
        for kind, part in _together(_lua_tokens(text))
    )


def diff_html(diff: str) -> str:
    """A unified diff as the content of a `<code>`; its signs stay, the colours only repeat what they say."""
    return "\n".join(map(_diff_line, plain(diff).removesuffix("\n").split("\n")))


def _diff_line(line: str) -> str:
    shown = escape(line)
    if line.startswith(("--- ", "+++ ", "@@")):
        return f'<span class="h">{shown}</span>'
    if line.startswith("+"):
        return f"<ins>{shown}</ins>"
    return f"<del>{shown}</del>" if line.startswith("-") else shown


def _lua_tokens(text: str) -> Iterator[tuple[str, str]]:
    """The class of each token, "" for none, and its text."""
    for token, part in _lexer().get_tokens(text):
        yield _class_of(token), part


def _together(tokens: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Neighbours of one class as one: a string is many tokens."""
    for kind, group in groupby(tokens, key=lambda token: token[0]):
        yield kind, "".join(part for _, part in group)


@cache
def _class_of(token: Any) -> str:
    name = str(token).removeprefix("Token.").removeprefix("Literal.")
    return next((kind for prefix, kind in _CLASSES if f"{name}.".startswith(f"{prefix}.")), "")


@cache
def _lexer() -> Lexer:
    from micro_agi_kernel.imports import importing

    with importing:
        from pygments.lexers.scripting import LuaLexer

    return LuaLexer(stripnl=False, ensurenl=False)
