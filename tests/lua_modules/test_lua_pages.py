"""The folder and its pages: each module has one, which names all it has and whose examples run as they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lua_double import ALL_MODULES, ANSWERS, RunLua

from micro_agi_kernel.lua_modules import load_all
from micro_agi_kernel.resources import resource

DOCS = resource("registry_repo") / "docs"
PAGES = [*sorted(DOCS.glob("lua/**/*.md")), DOCS / "tools/writing-a-tool.md"]
MODULES = load_all()


def examples(page: Path) -> list[str]:
    return re.findall(r"^```lua\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def page_of(module: str) -> Path:
    """The one page whose title is the name of the module."""
    found = [page for page in PAGES if page.read_text().startswith(f"# {module}\n")]
    assert len(found) == 1, f"one page must be titled '{module}', not {found}"
    return found[0]


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
    assert examples(page)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
async def test_the_examples_of_a_page_print_what_they_say(page: Path, run_lua: RunLua) -> None:
    for example in examples(page):
        ran = await run_lua(example, {"text": "two words"})
        assert ran.outcome.error is None, f"{ran.outcome.error}\n{example}"
        promised = [line.split("-->")[1].strip() for line in example.split("\n") if "-->" in line]
        if promised:
            assert [line.strip() for line in ran.output.splitlines()] == promised, example


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ALL_MODULES)
async def test_the_page_of_a_module_names_all_it_has(name: str, run_lua: RunLua) -> None:
    source = """
        local names = {}
        for name in pairs(require("NAME")) do names[#names + 1] = name end
        return names
    """
    ran = await run_lua(source.replace("NAME", name))
    assert isinstance(ran.value, list)
    text = page_of(name).read_text()
    absent = [item for item in ran.value if not re.search(rf"\b{item}\b", text) and item not in _RANGES]
    assert not absent, f"the page of {name} does not mention {absent}"


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
