"""The documentation as Lua meets it: pages of the registry's own docs/, and where a remote one may lie."""

from __future__ import annotations

from collections.abc import Mapping

from micro_agi_kernel.docs_index import DocsIndex
from micro_agi_kernel.host.arguments import count, text
from micro_agi_kernel.host.service import Grant, Handler, Payload, in_thread
from micro_agi_kernel.pinning import Pin
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.values import Value

FOLDER = "docs"
SUFFIX = ".md"
MAX_HITS = 20


class DocsService:
    """Answers `docs.*`. The index is built anew only when a commit changed docs/."""

    module = "docs"

    def __init__(self, pin: Pin, remote: str) -> None:
        self._pin = pin
        self.remote = remote
        self._index: tuple[str, DocsIndex] | None = None
        self.handlers: Mapping[str, Handler] = {
            "docs.page": in_thread(self._page),
            "docs.search": in_thread(self._search),
            "docs.remote": in_thread(self._remote_url),
        }

    def index(self) -> DocsIndex:
        """The pages of the commit that is seen. Blocks: call it in a thread."""
        snapshot = self._pin.current()
        tree = snapshot.folder(FOLDER)
        if (index := self._index) is None or index[0] != tree:
            self._index = index = (tree, DocsIndex(read_pages(snapshot)))
        return index[1]

    def _page(self, payload: Payload, grant: Grant) -> Value:
        return self.index().page(text(payload, "path"))

    def _search(self, payload: Payload, grant: Grant) -> Value:
        limit = count(payload, "limit", 5, MAX_HITS)
        hits = self.index().search(text(payload, "query"), limit)
        return [{"path": hit.path, "title": hit.title, "excerpt": hit.excerpt} for hit in hits]

    def _remote_url(self, payload: Payload, grant: Grant) -> Value:
        return self.remote.rstrip("/") or None


def read_pages(snapshot: Snapshot) -> dict[str, bytes]:
    """The pages of a snapshot: "lua/core/time" to Markdown."""
    prefix = f"{FOLDER}/"
    paths = [path for path in snapshot.files(prefix) if path.endswith(SUFFIX)]
    return {path[len(prefix) : -len(SUFFIX)]: snapshot.file(path) or b"" for path in paths}
