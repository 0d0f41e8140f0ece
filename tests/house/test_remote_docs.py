"""doc_search and a remote documentation: asked only where a person set one, and only after the own pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from house_kit import ALLOW_LOOPBACK, House, create, loopback

from micro_agi_kernel.settings import DocsSettings

MARKER = "\n... (truncated)"


async def search(house: House, **input: Any) -> Any:
    outcome = await house.run("app.tools:doc_search", input)
    assert outcome.ok, outcome.error
    return outcome.value


async def test_off_by_default(house: House) -> None:
    assert await house.host("docs").request("docs.remote", {}) is None


@pytest.mark.parametrize("slash", ["", "/"])
async def test_remote_pages_and_search(enter: Callable[..., House], slash: str) -> None:
    with loopback({"/llm/path/en/far/page": b"# Far", "/llm/search": b"found"}) as site:
        house = enter(docs=DocsSettings(f"{site.url}/llm{slash}"))
        assert "policy denied: http_client.private_ip" in (await search(house, path="far/page"))["error"]
        house.write(*create(ALLOW_LOOPBACK))
        assert await search(house, path="far/page") == {"path": "far/page", "content": "# Far"}
        assert await search(house, query="xylophone & quux? #ééé") == {"results": "found"}
        assert site.visits[-1] == "/llm/search?q=xylophone+%26+quux%3F+%23%C3%A9%C3%A9%C3%A9"
        visited = len(site.visits)
        assert "results" in await search(house, query="time")
        assert (await search(house, path="lua/core/time"))["content"].startswith("#")
        assert len(site.visits) == visited  # the own pages come first


async def test_a_path_cannot_leave_its_place(enter: Callable[..., House]) -> None:
    with loopback() as site:
        house = enter(docs=DocsSettings(f"{site.url}/llm"))
        house.write(*create(ALLOW_LOOPBACK))
        await search(house, path="a b?c=d#e&é%2e")
        await search(house, path="../../secret/x")
        await search(house, path="a/..%2f../b")
        for visit in site.visits:
            assert visit.startswith("/llm/path/en/") and "?" not in visit, visit
            assert "/../" not in visit


async def test_long_pages_and_faults(enter: Callable[..., House]) -> None:
    with loopback(
        {"/path/en/long": b"y" * 9_000, "/path/en/exact": b"y" * 8_000, "/path/en/binary": b"\xff" * 9_000}
    ) as site:
        house = enter(docs=DocsSettings(site.url))
        house.write(*create(ALLOW_LOOPBACK))
        assert (await search(house, path="long"))["content"] == "y" * 8_000 + MARKER
        assert (await search(house, path="exact"))["content"] == "y" * 8_000
        assert "content" in await search(house, path="binary")
        site.answer = lambda path: (503, b"")
        assert await search(house, path="any") == {"error": "HTTP 503"}
        assert await search(house, query="xylophone") == {"error": "HTTP 503"}
