"""The registry panel as HTML: parsed, it is made of our own tags and attributes, whatever tools and commits say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.events import RegistryShown, TurnFinished
from micro_agi_kernel.frontends.jupyter.batch_sink import BatchSink
from micro_agi_kernel.frontends.jupyter.notebook_sink import NotebookSink
from micro_agi_kernel.frontends.jupyter.panel import _SCRIPT, panel_html
from micro_agi_kernel.frontends.panel_text import panel_markdown
from micro_agi_kernel.panels import Excerpt, PanelTool, ToolCommit

HOSTILE = [
    "</script><script>owned=1</script>",
    '"><img src=x onerror=owned=2>',
    "' onmouseover='owned=3' x='",
    "</details></table></style><style>*{display:none}</style>",
    "</code></pre><iframe src=//evil.example></iframe><!--",
    "<button class=line>%revert</button> $x$ \\(y\\) ]]> \x1b[2J\u202e\u2028\r",
]


def panel(text: str = "text", *, commits: int = 2, lines: int = 3) -> RegistryShown:
    """Two tools of which everything says `text`."""
    excerpt = Excerpt("\n".join([f"+{text}", f"-{text}", text][:lines]), 5)
    history = tuple(ToolCommit(n, "a" * 40, text, text, text, text, text, excerpt) for n in range(commits, 0, -1))
    tools = tuple(
        PanelTool(
            EntryId("app.generated", name), text, text, (text,), (text,), (text,), 3, 7, 2, excerpt, history, True
        )
        for name in ("one", "two")
    )
    return RegistryShown(text, 300, tools)


class Parsed(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.open: list[str] = []
        self.text = ""
        self.inside: list[tuple[tuple[str, ...], str]] = []
        self.others: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        if tag != "wbr":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> where <{self.open}> is open"

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.text += data
        self.inside.append((tuple(self.open), data))

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)


def kinds(parsed: Parsed) -> set[tuple[str, tuple[str, ...]]]:
    """The tags, each with the names of its attributes."""
    return {(tag, tuple(name for name, _ in attrs)) for tag, attrs in parsed.tags if tag != "span"}


@pytest.mark.parametrize("text", HOSTILE)
def test_others_words_bring_no_tag_and_no_attribute(text: str) -> None:
    plain, hostile = Parsed(panel_html(panel())), Parsed(panel_html(panel(text)))
    assert not hostile.open and not hostile.others
    assert kinds(hostile) == kinds(plain)
    said = [value for _, attrs in hostile.tags for _, value in attrs]
    assert not any(word in str(value) for value in said for word in ("owned", "evil", "display:none"))
    assert {name for _, attrs in hostile.tags for name, _ in attrs} == {
        *("class", "style", "scope", "colspan", "tabindex", "role", "aria-label", "translate"),
    }
    assert not any(char in hostile.text for char in "\x1b\u202e\u2028\r")
    for word in ("owned", "evil.example", "%revert</button"):
        assert (word in text) == (word in hostile.text)


def test_the_script_is_the_same_whatever_is_shown_and_loads_nothing() -> None:
    for text in ("text", *HOSTILE):
        html = panel_html(panel(text))
        assert html.count("<script") == 1 and html.endswith(_SCRIPT)
    assert "innerHTML" not in _SCRIPT and "http" not in _SCRIPT and "eval" not in _SCRIPT
    assert _SCRIPT.count("</") == 1, "nothing in it ends it"


def test_what_folds_scrolls_or_holds_a_table_has_a_name() -> None:
    html = Parsed(panel_html(panel()))
    assert [attrs for tag, attrs in html.tags if tag in ("button", "input", "a")] == [], (
        "without the script none is there"
    )
    for tag, attrs in html.tags:
        assert "tabindex" not in dict(attrs) or dict(attrs)["aria-label"], tag
    heads = [attrs for tag, attrs in html.tags if tag == "th"]
    assert {dict(attrs)["scope"] for attrs in heads} == {"row", "col"}
    names = [data for open, data in html.inside if open[-1] == "span" and open[-2] == "summary"]
    assert names == ["app.generated:one: ", "text", "app.generated:two: ", "text"]
    assert sum(tag == "summary" for tag, _ in html.tags) == 2 + 4
    assert "300 tools of the registry with the words text" in html.text
    assert "2 of 300: name some words" in html.text


def test_what_a_tool_opens_to() -> None:
    html = panel_html(panel())
    text = Parsed(html).text
    for line in (
        "modules: text",
        "Not all of it is here: %tool app.generated:one shows it.",
        "v2 · aaaaaaaaaaaa · text · text · by text · tests: text",
        "To undo it, run in a cell: %revert aaaaaaaaaaaa app.generated:one",
        "5 lines more: %diff v2^ v2",
        "5 lines more: %tool app.generated:one",
        "micro-agi registry log app.generated:one",
    ):
        assert line in text, line
    assert "7 (2 failed)" in text
    assert "<ins>+text</ins>\n<del>-text</del>\ntext" in html, "the signs say it, the colour repeats it"


def test_no_hash_or_name_breaks_within_a_word_and_no_name_is_said_twice() -> None:
    shown = panel()
    tool = replace(shown.tools[0], title="one", commits=(replace(shown.tools[0].commits[0], tests=""),))
    html = panel_html(replace(shown, tools=(tool,)))
    row = html[html.index('<tr class="row">') : html.index("<details>")]
    assert row.count("white-space:nowrap") == 5 and "<code>app.generated:<wbr>one</code>" in row
    assert ">3 tests</td>" in row and Parsed(html).text.count("one: source and history") == 1
    assert '<span class="said">text</span>' in panel_html(shown)


def test_what_a_commit_does_not_say_of_its_tests_is_not_said() -> None:
    """A person's commit may carry any trailer, so none is believed: that is not knowing, and not "no tests"."""
    shown = panel(commits=1)
    tool = replace(shown.tools[0], tests=2, commits=(replace(shown.tools[0].commits[0], tests=""),))
    html = panel_html(replace(shown, tools=(tool,)))
    assert ">2 tests</td>" in html and "no tests" not in html and "tests:" not in html
    assert ">no tests</td>" in panel_html(replace(shown, tools=(replace(tool, tests=0),)))


def test_each_front_end_shows_what_it_can() -> None:
    sent: list[dict[str, str]] = []

    def send(msg_type: str, content: Mapping[str, Any], metadata: object = None) -> None:
        sent.append(content["data"])

    row = "app.generated:one  text   aaaaaaaaaaaa     7"
    for sink in (NotebookSink(send, footer=False), BatchSink(send, footer=False)):
        sink.handle(panel())
        sink.handle(TurnFinished("ok"))
    in_notebook, in_batch = sent
    assert in_notebook["text/html"] == panel_html(panel()) and row in in_notebook["text/plain"]
    assert set(in_batch) == {"text/markdown", "text/plain"} and row in in_batch["text/plain"]
    for text in HOSTILE:
        shown = panel_markdown(panel(text))
        cells = [line.count(" | ") for line in shown.splitlines() if line.startswith("| `")]
        assert cells == [3, 3] and "<" not in re.sub("`[^`]*`", "", shown)


def test_a_panel_of_the_worst_stays_below_half_a_megabyte() -> None:
    def tools() -> Iterator[PanelTool]:
        for number in range(50):
            id = EntryId("app.generated", f"t{number:0>60}")
            shown = Excerpt('"' * 2_000)
            commits = tuple(
                ToolCommit(n, "a" * 40, "t", "a", '"' * 120, '"' * 120, '"' * 120, shown) for n in range(10)
            )
            listed = ('"' * 120,) * 20
            yield PanelTool(id, '"' * 120, '"' * 1_000, listed, listed, listed, 1, 1, 1, shown, commits, False)

    html = panel_html(RegistryShown('"' * 120, 50, tuple(tools())))
    assert 300_000 < len(html.encode()) < 500_000
    assert html.count("Its commits are not all here") == 50 and Parsed(html).open == []
