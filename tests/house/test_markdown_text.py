"""Others' words in Markdown stay words: in code, in a table, in a fence."""

from __future__ import annotations

from micro_agi_kernel.markdown_text import code, fenced, prose, table


def test_code_is_one_line_that_nothing_ends() -> None:
    assert code("a `b`\n\n![x](y)  | c\n") == "`a 'b' ![x](y) | c`"
    assert code("") == code(" \n") == ""


def test_prose_is_words() -> None:
    assert prose("Reads a\n page, or two") == "Reads a page, or two"
    assert prose("**a** | <b> $1") == "&#42;&#42;a&#42;&#42; &#124; &#60;b&#62; &#36;1"
    assert prose(r"\d+ and \\href") == r"`\`d&#43; and `\\`href"
    assert prose("1. Ends. v1.2 a.b.") == "1&#46; Ends. v1&#46;2 a&#46;b."
    assert prose(" ") == ""


def test_a_cell_ends_neither_its_row_nor_itself() -> None:
    text = table(("a|b", "c"), [(code("x | `y`\nz"), "1"), ("p\n\nq", "|")])
    assert text == "| a/b | c |\n|---|---|\n| `x / 'y' z` | 1 |\n| p q | / |"
    assert table(("name", "n", "m"), [("x", "1", "2")], numbers_from=1).split("\n")[1] == "|---|--:|--:|"
    assert table(("name",), []) == ""
    empty = table(("a", "b", "n"), [("", "x", "1"), ("", "", "2")], numbers_from=2)
    assert empty == "| b | n |\n|---|--:|\n| x | 1 |\n|  | 2 |", "no column of nothing"


def test_nothing_closes_a_fence_from_within() -> None:
    assert fenced("a\n`````\nb\n", "lua") == "``````lua\na\n`````\nb\n``````"
