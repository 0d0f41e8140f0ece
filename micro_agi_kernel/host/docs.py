"""The documentation as Lua meets it: pages of the registry's own docs/, and where a remote one may lie."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from micro_agi_kernel.docs_index import DocsIndex
from micro_agi_kernel.host import service
from micro_agi_kernel.host.service import Grant, Payload, text
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.values import Value

PREFIX = "docs/"
SUFFIX = ".md"
MAX_HITS = 20


class DocsService:
    """Answers `docs.*`. The index is built once per commit that it is asked at."""

    module = "docs"

    def __init__(self, registry: Registry, remote: str) -> None:
        self._registry = registry
        self._remote = remote.rstrip("/")
        self._index: tuple[str, DocsIndex] | None = None
        self.operations: Mapping[str, service.Operation] = {
            "docs.page": self._page,
            "docs.search": self._search,
            "docs.remote": self._remote_url,
        }

    def index(self) -> DocsIndex:
        """The pages of the newest commit. Blocks: call it in a thread."""
        snapshot = self._registry.snapshot()
        if self._index is None or self._index[0] != snapshot.commit:
            self._index = (snapshot.commit, DocsIndex(read_pages(snapshot)))
        return self._index[1]

    async def _page(self, payload: Payload, grant: Grant) -> Value:
        return await asyncio.to_thread(lambda: self.index().page(text(payload, "path")))

    async def _search(self, payload: Payload, grant: Grant) -> Value:
        limit = service.count(payload, "limit", 5, MAX_HITS)
        hits = await asyncio.to_thread(lambda: self.index().search(text(payload, "query"), limit))
        return [{"path": hit.path, "title": hit.title, "excerpt": hit.excerpt} for hit in hits]

    async def _remote_url(self, payload: Payload, grant: Grant) -> Value:
        return self._remote or None


def read_pages(snapshot: Snapshot) -> dict[str, bytes]:
    """The pages of a snapshot: "lua/core/time" to Markdown."""
    paths = [path for path in snapshot.files(PREFIX) if path.endswith(SUFFIX)]
    return {path[len(PREFIX) : -len(SUFFIX)]: snapshot.file(path) or b"" for path in paths}
