"""The folder and its pages: each module has one, which names all it has and whose examples run as they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lua_double import ALL_MODULES, ANSWERS, RunLua
from lua_surface import DOCS, MODULES, PATHS, ROOTS, error_sections, page_of, pages_of, surface, text_on

TOOLS = sorted(DOCS.glob("tools/*.md"))
"""How to write a tool. tests/house/test_tool_pages.py creates the tools of these pages and provokes their errors."""

PAGES = [*sorted(DOCS.glob("lua/**/*.md")), *TOOLS]


def examples(page: Path) -> list[str]:
    return re.findall(r"^```lua\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def test_the_double_answers_every_service() -> None:
    assert set().union(*(module.services for module in MODULES.values())) == set(ANSWERS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_has_the_form_that_doc_search_expects(page: Path) -> None:
    text = page.read_text()
    title, blank, sentence = text.split("\n")[:3]
    assert re.fullmatch(r"# \S.*", title)
    assert blank == ""
    assert sentence[0].isupper() and sentence.endswith("."), "one sentence says what the page is about"
    assert len(text) < 8_000, "doc_search cuts off after 8,000 characters"
    assert examples(page) or page in TOOLS


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "testing-a-tool.md"], ids=lambda page: str(page.relative_to(DOCS))
)
async def test_the_examples_of_a_page_print_what_they_say(page: Path, run_lua: RunLua) -> None:
    for example in examples(page):
        ran = await run_lua(example, {"text": "two words", "zone": "UTC"})
        assert ran.outcome.error is None, f"{ran.outcome.error}\n{example}"
        promised = [line.split("-->")[1].strip() for line in example.split("\n") if "-->" in line]
        if promised:
            assert [line.strip() for line in ran.output.splitlines()] == promised, example


@pytest.mark.parametrize("name", ALL_MODULES)
def test_a_module_has_its_page(name: str) -> None:
    assert page_of(name).read_text().startswith(f"# {name}\n")


def test_every_page_belongs_to_something() -> None:
    others = {DOCS / "lua/core/base.md", *TOOLS}
    assert set(PAGES) == {page for root in PATHS for page in pages_of(root)} | others


@pytest.mark.parametrize("root", ROOTS)
def test_a_page_says_which_errors_there_are(root: str) -> None:
    assert all("|---|" in section for section in error_sections(root))


@pytest.mark.asyncio(loop_scope="module")
async def test_the_pages_name_all_there_is(run_lua: RunLua) -> None:
    functions, constants = await surface(run_lua)
    absent = []
    for name in functions | constants:
        root, _, path = name.replace(":", ".").partition(".")
        if ":" in name:
            path = path.split(".")[1]
        if path not in _RANGES and not re.search(rf"\b{re.escape(path)}\b", text_on(root)):
            absent.append(name)
    assert absent == []


_RANGES = {
    *("FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER"),
    *("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"),
}
"""The page writes `time.JANUARY` (1) to `time.DECEMBER` (12)."""


@pytest.mark.parametrize("name", ALL_MODULES)
def test_a_chunk_uses_exactly_what_its_module_declares(name: str) -> None:
    module = MODULES[name]
    text = "".join((module.chunk, *module.parts.values()))
    used = set(re.findall(r'host\("([a-z_.]+)"', text))
    assert used == module.services
    natives = set(re.findall(r'native\("([a-z_0-9]+)"', text))
    assert natives == set(module.functions)
