"""The documentation index: pages by path, and search that takes anything a model may type."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conformance_kit import vectors
from hypothesis import given
from hypothesis import strategies as st

from micro_agi_kernel.docs_index import EXCERPT, DocsIndex
from micro_agi_kernel.errors import ErrorKind, Refused

TIME = """# Time

Clocks, zones and durations.

## Reading the clock

`time.now()` gives the present moment.

```lua
local time = require("time")

# not a heading
print(time.now():utc():format_rfc3339())
```

## Formatting

### Layouts

A layout is written as Go writes it: `2006-01-02 15:04:05`.
"""

HTTP = """# HTTP client

Requests to other machines, guarded by the policies.

## GET

`http_client.get(url)` answers with a status_code, headers and a body.
"""

JSON = "# JSON\n\nEncode and decode. A time is text: no time, no time zone, no time at all.\n"

PAGES = {
    "lua/core/time": TIME.encode(),
    "lua/http/client": HTTP.encode(),
    "lua/data/json": JSON.encode(),
    "broken": b"# Broken\n\xff\xfe time",
    "untitled": b"Only a line about zebras.",
}


@pytest.fixture(scope="module")
def docs() -> DocsIndex:
    return DocsIndex(PAGES)


def found(docs: DocsIndex, query: str) -> list[str]:
    return [hit.path for hit in docs.search(query)]


@pytest.mark.parametrize(
    "path",
    ["lua/core/time", "/lua/core/time", "docs/lua/core/time.md", "/docs/lua/core/time.md", " lua/core/time/ "],
)
def test_a_page_is_found_under_every_usual_spelling(docs: DocsIndex, path: str) -> None:
    assert docs.page(path) == TIME


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("time", "not found: time (nearest: lua/core/time)"),
        ("/lua/core/tmie", "not found: /lua/core/tmie (nearest: lua/core/time)"),
        ("broken", "not found: broken"),
        ("../../etc/passwd", "not found: ../../etc/passwd"),
        ("", "not found: "),
        ("\ud800", "not found: ?"),
    ],
)
def test_a_page_that_is_not_there(docs: DocsIndex, path: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        docs.page(path)
    assert caught.value.kind is ErrorKind.NOT_FOUND
    assert str(caught.value) == message


def test_a_long_path_makes_a_short_message(docs: DocsIndex) -> None:
    with pytest.raises(Refused) as caught:
        docs.page("x" * 1_000_000)
    assert len(str(caught.value)) < 300


def test_every_readable_page_is_listed(docs: DocsIndex) -> None:
    assert docs.paths == ("lua/core/time", "lua/data/json", "lua/http/client", "untitled")


def test_the_page_about_it_comes_before_a_page_that_mentions_it(docs: DocsIndex) -> None:
    assert found(docs, "time") == ["lua/core/time", "lua/data/json"]


@pytest.mark.parametrize(
    "query",
    [
        "http_client get",
        "http client requests",
        "statu",
        "what is the status_code of a request?",
        "lua/http/client",
        "GET htt",
    ],
)
def test_words_find_their_page(docs: DocsIndex, query: str) -> None:
    assert found(docs, query)[0] == "lua/http/client"


def test_any_word_will_do_when_no_page_has_them_all(docs: DocsIndex) -> None:
    assert set(found(docs, "zebras decode")) == {"untitled", "lua/data/json"}
    assert found(docs, "quagga") == []


def test_the_last_word_may_be_unfinished(docs: DocsIndex) -> None:
    assert found(docs, "line zeb") == ["untitled"]


def test_a_hit_shows_the_section_that_matches(docs: DocsIndex) -> None:
    hit = docs.search("utc now")[0]
    assert (hit.path, hit.title) == ("lua/core/time", "Time")
    assert hit.excerpt.startswith("## Reading the clock\n\n")
    assert "# not a heading\nprint(time.now():utc():format_rfc3339())\n```" in hit.excerpt
    assert "Layouts" not in hit.excerpt


def test_the_best_section_of_a_page_is_shown_whatever_else_matches(docs: DocsIndex) -> None:
    assert [hit.excerpt.partition("\n")[0] for hit in docs.search("clock")] == ["## Reading the clock"]


def test_a_heading_with_nothing_below_goes_with_the_next(docs: DocsIndex) -> None:
    assert docs.search("layout")[0].excerpt.startswith("## Formatting\n### Layouts\n\nA layout")


def test_a_page_without_heading_is_named_by_its_path(docs: DocsIndex) -> None:
    hit = docs.search("zebras")[0]
    assert (hit.title, hit.excerpt) == ("untitled", "Only a line about zebras.")


def test_the_limit_counts_pages(docs: DocsIndex) -> None:
    assert len(docs.search("time", limit=1)) == 1
    assert docs.search("time", limit=0) == docs.search("time", limit=-1) == []


def test_a_long_section_is_cut_around_the_match_and_its_fence_closed() -> None:
    filler = "\n\n".join(f"Paragraph {number} says nothing of interest." for number in range(50))
    code = "```lua\n" + "\n".join(f"local needle_{number} = {number}" for number in range(100)) + "\n```"
    excerpt = DocsIndex({"long": f"# Long\n\n{filler}\n\n{code}\n\n{filler}".encode()}).search("needle_7")[0].excerpt
    assert len(excerpt) <= EXCERPT
    assert excerpt.startswith("# Long\n\n```lua\nlocal needle_0 = 0\n")
    assert excerpt.endswith("\n…\n```")


@pytest.mark.parametrize(
    "query", ["", "   ", '"', "''\"\"()*^:-+", "\0", "\ud800", "what is the", "a" * 10_000, "a " * 10_000]
)
def test_odd_queries_find_what_they_find(docs: DocsIndex, query: str) -> None:
    assert isinstance(docs.search(query), list)


@pytest.mark.parametrize("query", ['time"', "time OR nothing*(", "title:time", "NEAR(time now)", "-time", "time\0"])
def test_search_syntax_is_only_text(docs: DocsIndex, query: str) -> None:
    assert found(docs, query)[0] == "lua/core/time"


def test_naughty_strings_never_raise(docs: DocsIndex) -> None:
    strings = vectors("naughty_strings.json")
    assert len(strings) == 515
    for string in strings:
        docs.search(string)
        with pytest.raises(Refused):
            docs.page(string)
    assert len(DocsIndex({f"page{n}": text.encode() for n, text in enumerate(strings)}).search("script")) == 5


@given(st.dictionaries(st.text(max_size=5), st.binary(max_size=40) | st.text(max_size=200).map(str.encode)), st.text())
def test_any_pages_and_any_query(pages: dict[str, bytes], query: str) -> None:
    for hit in DocsIndex(pages).search(f"{query} e"):
        assert len(hit.excerpt) <= EXCERPT


@given(st.lists(st.sampled_from(["# Head", "## Deep", "```", "~~~~", "needle " * 30, "", "x" * 700, "- item"])))
def test_excerpts_keep_to_their_size(lines: list[str]) -> None:
    for hit in DocsIndex({"page": "\n".join([*lines, "needle"]).encode()}).search("needle"):
        assert len(hit.excerpt) <= EXCERPT


def test_several_threads_may_ask_at_once() -> None:
    docs, start = DocsIndex(PAGES), threading.Barrier(8)

    def ask() -> list[str]:
        start.wait()
        return found(docs, "time")

    with ThreadPoolExecutor(8) as threads:
        answers = [future.result() for future in [threads.submit(ask) for _ in range(8)]]
    assert answers == [["lua/core/time", "lua/data/json"]] * 8
