"""doc_search: pages found and read, bounded, and new when a commit changed them."""

from __future__ import annotations

from typing import Any

import pytest
from house_kit import House, create, tool

from micro_agi_kernel.entries import FileChange


async def search(house: House, **input: Any) -> Any:
    outcome = await house.run("app.tools:doc_search", input)
    assert outcome.ok, outcome.error
    return outcome.value


async def test_doc_search_reads_and_finds_pages(house: House) -> None:
    page = await search(house, path="lua/core/time")
    assert page["path"] == "lua/core/time" and page["content"].startswith("# ")
    assert (await search(house, path="/docs/lua/core/time.md"))["content"] == page["content"]
    found = await search(house, query="current time")
    assert "lua/core/time" in [hit["path"] for hit in found["results"]]
    assert (await search(house, query="xylophone quux")) == {"results": []}
    missing = await search(house, path="core/time")
    assert missing["error"].startswith("not found: core/time (nearest: lua/core/time")


@pytest.mark.parametrize("input", [{}, {"path": ""}, {"query": ""}, {"path": None}])
async def test_doc_search_without_either(house: House, input: dict[str, Any]) -> None:
    assert await search(house, **input) == {"error": "provide either 'path' or 'query'"}


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
async def test_pages_are_cut_at_8000_characters(house: House, letter: str) -> None:
    marker = "\n... (truncated)"
    for length, shown in ((8_000, letter * 8_000), (8_001, letter * 8_000 + marker)):
        file = FileChange("docs/long.md", (letter * length).encode())
        house.write(files=(file,))
        assert (await search(house, path="long"))["content"] == shown


async def test_a_page_that_a_person_pushed_is_found_at_once(house: House) -> None:
    assert "error" in await search(house, path="my/page")
    house.push({"docs/my/page.md": b"# Narwhal crossing\n\nStripes.", "docs/broken.md": b"\xff\xfe"})
    assert (await search(house, path="my/page"))["content"].startswith("# Narwhal")
    assert [hit["path"] for hit in (await search(house, query="narwhal"))["results"]] == ["my/page"]
    assert "not found" in (await search(house, path="broken"))["error"]


async def test_pages_are_indexed_again_only_when_they_changed(house: House) -> None:
    first = house.docs.index()
    house.write(*create(tool("x")))
    assert house.docs.index() is first
    house.write(files=(FileChange("docs/new.md", b"# New"),))
    assert house.docs.index() is not first and house.docs.index().page("new") == "# New"
