"""The HTML that a notebook shows beside answers, on its own: what it says, and that nothing hostile gets out of it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from micro_agi_kernel.entries import Entry, EntryId, Operation
from micro_agi_kernel.events import DiffShown, EntryPublished
from micro_agi_kernel.frontends.jupyter.cards import (
    TEXTS,
    VALUE,
    Call,
    call_card,
    commit_card,
    diff_card,
    line_html,
    more_calls,
    question_html,
)
from micro_agi_kernel.frontends.jupyter.highlight import COLOURED, diff_html, lua_html
from micro_agi_kernel.frontends.jupyter.theme import STYLE
from micro_agi_kernel.panels import Change

SOURCE = 'local time = require("time") -- the clock\nreturn { handler = function() return 1 end }\n'
HOSTILE = "</code></pre></style><img src=x onerror=alert(1)>\"'&lt; \x1b[31m \u202e \ud800 `</span>`$x$"
OURS = {
    *("style", "div", "details", "summary", "span", "code", "pre", "p", "ul", "li", "ins", "del"),
    *("label", "progress"),
}
ATTRIBUTES = {"class", "open", "aria-hidden", "aria-label", "role", "tabindex", "translate"}


class Reader(HTMLParser):
    """Reads a card: its text, and whether all tags are ours and well nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in OURS and {name for name, _ in attrs} <= ATTRIBUTES, (tag, attrs)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self.open else ""


def text_of(html: str) -> str:
    assert html.startswith(STYLE) and html.count("<style>") == 1
    return Reader(html).text


def published(action: str, source: str = SOURCE, **more: object) -> EntryPublished:
    id = EntryId.parse("app.generated:clock")
    entry = Entry(id, "function.lua", {}, {"source": source, "modules": ["time"]})
    return EntryPublished("5d6e7f8" + "0" * 33, f"{action} {id}", (Operation(action, id, entry),), **more)  # type: ignore[arg-type]


def test_a_call_is_one_line_that_opens() -> None:
    card = call_card(Call("fetch", '{"url": "https://e.com"}', "ok", "", 3.21, "two\nlines\n", "", {"status": 200}))
    assert "<details><summary>" in card
    assert text_of(card).startswith("✓ fetch ok 3.2 s url: https://e.com")
    for part in ("two\nlines\n", '"url": "https://e.com"', '"status": 200'):
        assert part in text_of(card)


def test_a_call_with_nothing_to_show_does_not_fold() -> None:
    assert "<details" not in call_card(Call("look", "{}", "ok", "", 0.012))
    assert text_of(call_card(Call("look", "{}", "ok", "", 0.012))) == "✓ look ok 12 ms"


def test_a_running_call_is_open_and_says_so() -> None:
    card = call_card(Call("slow", '{"n": 1}', output="newest line"))
    assert "<details open>" in card and '<span class="w dim" role="status">running</span>' in card
    assert "newest line" in text_of(card)


def test_a_failed_call_says_why_without_being_opened_and_shows_the_code_that_failed() -> None:
    card = call_card(Call("create_tool", '{"source": "return 1\\nend"}', "error", "policy app:deny says no", 0.1))
    summary = re.findall("<summary>(.*?)</summary>", card)[0]
    assert "policy app:deny says no" in summary and ">error<" in summary
    assert "return 1\nend" in text_of(card)


def test_of_a_long_value_head_and_tail_are_shown() -> None:
    card = text_of(call_card(Call("big", "", "ok", "", 1, value="a" * VALUE + "b" * VALUE)))
    assert f"a\n... {VALUE:,} characters not shown ...\nb" in card


def test_of_a_large_value_no_more_is_written_than_is_shown() -> None:
    """It is done on the event loop: a few megabytes would hold it for a second."""
    card = text_of(call_card(Call("big", "", "ok", "", 1, value=["word"] * 50_000 + [object()])))  # type: ignore[list-item]
    assert '"word", "word"' in card and "... the rest is not shown ..." in card and len(card) < 2 * VALUE


def test_a_long_text_in_an_object_is_shown_as_text() -> None:
    page = '# time\n\n| a | "b" |\n\t<c>'
    html = call_card(
        Call("doc_search", "", "ok", "", 1, value={"path": "lua/core/time", "content": page, "two": "a\nb"})
    )
    card = text_of(html)
    assert '"path": "lua/core/time"' in card and '"content": "(4 lines, below)"' in card and '"two": "a\\nb"' in card
    assert f"gave: content{page}" in card and 'aria-label="gave: content"' in html
    given = text_of(call_card(Call("x", json.dumps({"text": page, HOSTILE: page}), "ok", "", 1)))
    assert given.count(page) == 2 and "given: text" in given
    many = text_of(call_card(Call("x", "", "ok", "", 1, value={str(n): "line\n" * VALUE for n in range(9)})))
    assert many.count("characters not shown") == TEXTS and "the rest is not shown" in many and len(many) < 3 * VALUE


def test_what_a_call_loaded_is_on_its_line() -> None:
    assert text_of(call_card(Call("load_tool", "{}", "ok", "", 0.1, loaded=["app.generated:x"]))).endswith(
        "+ app.generated:x"
    )


def test_a_new_tool_is_shown_as_lua_with_what_was_said_of_it() -> None:
    card = commit_card(published("create", policy="undefined (app:p)", tests=2))
    assert "<details open>" in card and 'class="language-lua"' in card
    shown = text_of(card)
    assert shown.startswith("commit 5d6e7f800000 create app.generated:clock")
    assert "no policy speaks of it: permitted (app:p) · tests: 2 passed · modules: time" in shown
    assert "policy: allow (app:p) · tests" in text_of(commit_card(published("create", policy="allow (app:p)")))
    assert SOURCE in shown


def test_a_changed_tool_is_shown_as_what_changed() -> None:
    card = commit_card(published("update", diff="--- clock.lua\n-old\n+new\n same\n"))
    assert "<del>-old</del>\n<ins>+new</ins>\n same" in card
    assert "<summary>the whole source</summary>" in card and SOURCE in text_of(card)
    assert "tests: none" in card


def test_what_differs_is_shown_in_the_colours_of_a_commit() -> None:
    changes = (
        Change("create", "app.generated:clock", "--- /dev/null\n+++ clock.lua\n+new\n"),
        Change("delete", "a", "-b\n"),
    )
    html = diff_card(DiffShown(changes, "micro-agi registry diff v1 main"))
    assert html.count("<details open>") == 2 and "<ins>+new</ins>" in html and "<del>-b</del>" in html
    assert text_of(html).startswith("Create app.generated:clockwhat changed--- /dev/null\n+++ clock.lua\n+new")
    assert text_of(html).endswith("There is more: micro-agi registry diff v1 main shows all of it.")
    assert "There is more" not in diff_card(DiffShown(changes))


def test_of_a_delete_no_tests_are_told() -> None:
    gone = Operation("delete", EntryId.parse("app.generated:clock"), None)
    card = commit_card(EntryPublished("5d6e7f8" + "0" * 33, "Delete app.generated:clock", (gone,), diff="-old\n"))
    assert text_of(card) == "commit 5d6e7f800000 Delete app.generated:clockwhat changed-old" and " · " not in card


def test_a_long_commit_is_folded() -> None:
    assert "<details open>" not in commit_card(published("create", "-- x\n" * 100))


def test_many_calls_are_lines_of_one_output() -> None:
    shown = text_of(more_calls([Call("a", "", "ok", "", 1.0), Call("b", "", "error", "no", 1.0)], before=7))
    assert shown == "9 more calls of this cell, the first 7 not shown✓ a ok 1.0 s✗ b error 1.0 s no"


def test_lua_is_coloured_and_stays_what_it_is() -> None:
    html = lua_html(SOURCE)
    assert '<span class="k">local</span>' in html and '<span class="c">-- the clock</span>' in html
    assert '<span class="s">&quot;time&quot;</span>' in html
    assert Reader(html).text == SOURCE


@pytest.mark.parametrize("source", ["", "\n\nx", "no lua at all ~~ ]] --[[", HOSTILE, "x" * (COLOURED + 1)])
def test_anything_may_stand_where_lua_should(source: str) -> None:
    shown = Reader(lua_html(source)).text
    assert len(shown) == len(source) and shown[:5] == source[:5]


def test_a_question_shows_what_would_be_written() -> None:
    html = question_html("  ? service:agent asks\n    | --- x.lua\n  | +new <b>\n  | -old\n")
    assert "  | <ins>+new &lt;b&gt;</ins>\n  | <del>-old</del>" in html


@pytest.mark.parametrize("status", ["running", "ok", "error", "interrupted"])
def test_nothing_hostile_gets_out_of_a_card(status: str) -> None:
    for given in (HOSTILE, '{"source": "a\\n</pre><script>", "</b>": "</i>\\ud800"}', "[" * 2_000):
        call = Call(HOSTILE, given, status, HOSTILE, 0.1, HOSTILE, "", {HOSTILE: [HOSTILE]}, [HOSTILE])  # type: ignore[arg-type]
        for html in (call_card(call), more_calls([call], 0)):
            assert not set("\x1b\u202e\ud800") & {*text_of(html)}


def test_nothing_hostile_gets_out_of_the_rest() -> None:
    htmls = [commit_card(published("update", HOSTILE, policy=HOSTILE, diff=HOSTILE)), line_html(HOSTILE, "note")]
    htmls += [diff_card(DiffShown((Change(HOSTILE, HOSTILE, HOSTILE),), HOSTILE))]
    htmls += [question_html(f"  | +{HOSTILE}\n"), f"{STYLE}{diff_html(HOSTILE)}"]
    for html in htmls:
        assert not set("\x1b\u202e\ud800") & {*text_of(html)}
        assert "<img" in text_of(html), "it is shown as text"


def test_dark_and_light_have_a_colour_for_everything() -> None:
    used = {*re.findall(r"var\((--m-\w+)\)", STYLE)}
    light, dark = (re.findall(r"(--m-\w+):", rule) for rule in re.findall(r"\{(--m[^}]*)\}", STYLE))
    assert used <= {*light} and light == dark
