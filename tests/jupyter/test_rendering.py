"""Hostile text is shown, never obeyed: by a terminal, by any Markdown parser, by JupyterLab's maths."""

from __future__ import annotations

import random
import re
from html.parser import HTMLParser

import pytest
from conformance_kit import vectors
from markdown_it import MarkdownIt
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from micro_agi_kernel.frontends.rendering import safe_markdown
from micro_agi_kernel.frontends.text import one_line, plain
from micro_agi_kernel.markdown_text import prose

DOCUMENTS = 1_000
DOLLAR = "<span>&#36;</span>"

TAGS = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "code", "pre", "em", "strong", "del", "s", "a", "br"),
    *("table", "thead", "tbody", "tr", "th", "td", "hr", "blockquote", "input", "div", "span"),
}
HARMLESS = {"class", "start", "align", "disabled", "type", "checked", "style", "id", "title", "aria-hidden"}
HREF = re.compile(r"https?://|mailto:|#", re.IGNORECASE)  # nbconvert gives headings an anchor
PARSERS = {
    "markdown-it": MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render,
    "nbconvert": markdown2html_mistune,
}

# Pieces that parsers disagree about; joined at random they find what nobody thinks of.
MARKUP = """
` `` ``` ```` ~~~ ~ < <!-- --> </ <pre> <?x <![CDATA[ [ ] ]( ]:_ [a] [a]:_/u (javascript:alert(1)) (http://e/x)
(<http://e/x>) ![ ![i](http://e/x.png) <https://e> <javascript:alert(1)> <mailto:a@b.c> " ' ) $ $$ \\ \\( \\\\( \\\\)
\\begin{a} \\end{a} { } @@0@@ &lt; &#60; &#96; &#96;&#96;&#96; &#10; & word # #_ === --- html mermaid : _ ** ftp://e
https://e.com/<img> \\href [^1]: https://e/$ "_onload="a <script>alert(1)</script> <img_src=x_onerror=alert(1)>
"""
PIECES = [piece.replace("_", " ") for piece in MARKUP.split()]
PIECES += [
    "\n",
    "\n\n",
    "\n    ",
    "   ",
    " ",
    "\n> ",
    ">\n> ",
    "\n- ",
    "\n1. ",
    "| ",
    "\n|---|---|\n",
    "\t",
    "\r",
    "\u2028",
    "\x0b",
]


class Found(HTMLParser):
    """Collects what model text must never become."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name not in HARMLESS and not (name == "href" and HREF.match(value or "")):
                self.bad.append(f"<{tag} {name}={value}>")
        if tag not in TAGS:
            self.bad.append(f"<{tag}>")

    def handle_comment(self, data: str) -> None:
        self.bad.append("comment")

    def unknown_decl(self, data: str) -> None:
        self.bad.append("declaration")

    def handle_pi(self, data: str) -> None:
        self.bad.append("instruction")


def active_html(markdown: str) -> dict[str, list[str]]:
    """Active HTML that each parser makes of `markdown`, without the parsers that make none."""
    found = {}
    for name, render in PARSERS.items():
        parser = Found()
        parser.feed(str(render(markdown)))
        parser.close()
        if parser.bad:
            found[name] = parser.bad
    return found


def test_the_check_finds_active_html() -> None:
    assert set(active_html("<img src=x onerror=alert(1)>\n\n[x](javascript:alert\\(1\\))")) == set(PARSERS)


@pytest.mark.parametrize("seed", range(4))
def test_no_mixture_of_markup_becomes_active(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(DOCUMENTS // 4):
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 40)))
        assert not active_html(safe_markdown(text)), repr(text)


def test_naughty_strings_are_inert() -> None:
    strings = [text for text in _strings(vectors("naughty_strings.json")) if text]
    assert len(strings) > 100
    for text in strings:
        assert not active_html(safe_markdown(text)), repr(text)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", plain(text))
        assert "\n" not in one_line(text)


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return [text for child in children for text in _strings(child)]


@pytest.mark.parametrize("seed", range(2))
def test_others_prose_shows_as_it_is(seed: int) -> None:
    """A description of a tool is words in the page, whatever it holds."""
    chance = random.Random(seed)
    for _ in range(DOCUMENTS // 4):
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 40)))
        safe = safe_markdown(f"{prose(text)}\n\n| a | b |\n|---|---|\n| {prose(text)} | c |")
        assert not active_html(safe) and "$" not in safe, repr(text)
        seen = Found()
        seen.feed(PARSERS["markdown-it"](safe))
        assert {*seen.tags} <= {"p", "table", "thead", "tbody", "tr", "th", "td", "code", "span"}, repr(text)
        shown = plain(" ".join(text.split()))
        assert "".join(seen.texts).split() == [*shown.split(), "a", "b", *shown.split(), "c"], repr(text)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Plain *text* with **bold**, snake_case and [doc_search] ok.", None),
        ("- [ ] open\n- [x] done\n\n1. one\n2. two", None),
        ("| a | b |\n|---|---|\n| 1 | 2 |", None),
        ("```python\nif a < b: print('<b>')\n```", None),
        ("`a & b` and `&lt;` stay", None),
        ("[site](https://example.com/a_(b)?x=1) and https://example.com", None),
        ("$a + b$ and the $n$th of $2^{10}$, CO$_2$", None),
        ("$a + b$ costs \\$5", f"$a + b$ costs {DOLLAR}5"),
        ("It costs $5 and $6.", f"It costs {DOLLAR}5 and {DOLLAR}6."),
        ("| $0.0000 | 4 |\n| $0.0000 | 1 |", f"| {DOLLAR}0.0000 | 4 |\n| {DOLLAR}0.0000 | 1 |"),
        (
            "5$ or 6$, \\$x\\$ &dollar;x&#36; $$",
            f"5{DOLLAR} or 6{DOLLAR}, {DOLLAR}x{DOLLAR} {DOLLAR}x{DOLLAR} {DOLLAR * 2}",
        ),
        ("a < b <b>bold</b>", "a &lt; b &lt;b>bold&lt;/b>"),
        ("`a<b`", "<code>a&#60;b</code>"),
        ("$a<b$ and $$x < y$$", "$a\\lt b$ and $$x \\lt  y$$"),
        ("![chart](https://e.com/x.png)", "[chart](https://e.com/x.png)"),
        ("![](https://e.com/x.png)", "[https&#58;//e.com/x.png](https://e.com/x.png)"),
        ("![x](data:image/png;base64,AA)", "&#33;[x&#93;(data:image/png;base64,AA)"),
        ("[x](javascript:alert(1))", "[x&#93;(javascript:alert(1))"),
        ("[x]: javascript:alert(1)", "[x&#93;: javascript:alert(1)"),
        ("[x](/api/shutdown)", "[x&#93;(/api/shutdown)"),
        ('[x](https://e.com "a title")', "[x](https://e.com)"),
        ("<https://e.com/a>", "[https&#58;//e.com/a](https://e.com/a)"),
        ("\\href{javascript:x}{y} \\hreflang", "＼href{javascript:x}{y} \\hreflang"),
        ("```mermaid\ngraph TD\n```", "```text\ngraph TD\n```"),
        ("~~~~ {.x onload=y}\n```\n~~~~", "````\n```\n````"),
        ("1. do\n   ```sh\n   ls <x>\n   ```\n2. done", "1. do\n\n```sh\nls <x>\n```\n\n2. done"),
        ("    <b>\n", "```\n<b>\n```"),
        ("a\x1b[31m b\u202ec\ud800d\r\ne", "a␛[31m b\ufffdc\ufffdd\ne"),
        ("&#27; &#8238; &bsol;href", "&#27; \ufffd \ufffdhref"),
        ("&#8203;&zwj;&#xE0041;", "\ufffd\ufffd\ufffd"),
    ],
)
def test_markdown_keeps_its_meaning(text: str, expected: str | None) -> None:
    assert safe_markdown(text) == (text if expected is None else expected)


def test_a_quote_in_maths_cannot_leave_the_attribute_of_a_link() -> None:
    for text in ('https://e.com/$" onmouseover="alert(1)$', '> https://e.com/$\n>\n> " onmouseover="alert(1)\n>\n> $'):
        safe = safe_markdown(text)
        assert '"' not in safe or "$" not in safe, "what no formula can begin in is lifted out by nobody"


@pytest.mark.parametrize(
    "piece", ["`", "[a](", "$x ", "<", "](https://a(", "![a](https://a", "> ", "\\begin{a}", "|a", "a\n"]
)
def test_long_hostile_text_costs_little(piece: str) -> None:
    safe_markdown(piece * (100_000 // len(piece)))  # would take minutes if it were quadratic
