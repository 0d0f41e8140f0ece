"""What the sidecar is asked: the entries of one commit, found by filter or by words, and the history of one."""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from micro_agi_kernel.entries import Entry, EntryId, from_document
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry.filters import matches, meta_fields, wanted_tokens
from micro_agi_kernel.registry.message import MAX_PATH, clean
from micro_agi_kernel.registry.sidecar_file import Damaged
from micro_agi_kernel.registry.tree_entries import Problem
from micro_agi_kernel.registry.words import purpose, searchable
from micro_agi_kernel.values import Json

if TYPE_CHECKING:
    from sqlite3 import Connection

    from micro_agi_kernel.registry.layout import Layout
    from micro_agi_kernel.registry.tree_entries import TreeEntries
    from micro_agi_kernel.registry.trees import Node

MAX_WORDS = 24
"""Words of a query; what follows them is not looked at."""
MAX_QUERY = 1_000
"""Characters of a query, likewise."""
MAX_NEAR = 500
"""States of entries whose names begin alike and are looked at."""
MAX_HOLDERS = 200
"""States of tools that hold one stem and are looked at."""
MAX_SHARING = 20
"""Tools that are compared stem by stem."""
MAX_SIMILAR = 6
"""Tools of the same code that are named."""

_WORDS = re.compile(r"[^\W_]+")
_STANDS = "e.since <= ? AND e.until > ?"
_HEAD = "e.namespace, e.name, e.kind, e.type, e.title, e.comment, e.modules"
_ENTRY = "e.namespace, e.name, e.kind, e.yaml, e.lua, p.document"
_PARSED = "LEFT JOIN parses p ON p.blob = e.yaml"
# The title weighs most, then the id, then the comment.
_RANK = "bm25(words, 4.0, 8.0, 2.0, 1.0), e.namespace, e.name"


@dataclass(frozen=True, slots=True)
class Head:
    """What a list shows of an entry. Empty where the entry says nothing."""

    id: EntryId
    kind: str
    type: str | None
    title: str
    comment: str
    modules: tuple[str, ...]


class CommitRows:
    """The rows of one commit. `whole` says whether those of the commits before it are there too."""

    def __init__(self, connection: Connection, tree_entries: TreeEntries, number: int, *, whole: bool) -> None:
        self._connection = connection
        self._tree_entries = tree_entries
        self._at = (number, number)
        self.number = number
        self.whole = whole

    def ids(self) -> list[EntryId]:
        rows = f"SELECT namespace, name FROM entries e WHERE {_STANDS} ORDER BY namespace, name"
        return [EntryId(*row) for row in self._connection.execute(rows, self._at)]

    def rows(self) -> Iterable[tuple[Any, ...]]:
        """All that is kept of each entry, sorted by id: namespace, name ..., whether it is damaged, its document."""
        rows = (
            f"SELECT {_HEAD}, e.code, e.yaml, e.lua, e.problem, e.unused, e.damaged, p.document "
            f"FROM entries e {_PARSED} WHERE {_STANDS} ORDER BY e.namespace, e.name"
        )
        return self._connection.execute(rows, self._at)

    def namespaces(self) -> list[str]:
        rows = f"SELECT DISTINCT namespace FROM entries e WHERE {_STANDS} ORDER BY namespace"
        return [row[0] for row in self._connection.execute(rows, self._at)]

    def find(self, filter: Mapping[str, Json]) -> list[Entry]:
        """As `Snapshot.find`. A document comes from the rows, a source from Git."""
        return self._entries(self._select(_ENTRY, _PARSED, filter), filter)

    def entries(self, ids: Iterable[EntryId]) -> list[Entry]:
        """As `Snapshot.several`."""
        wanted = f"namespace = ? AND name = ? AND problem IS NULL AND {_STANDS}"
        one = f"SELECT {_ENTRY} FROM entries e {_PARSED} WHERE {wanted}"
        rows = (self._connection.execute(one, (id.namespace, id.name, *self._at)).fetchone() for id in ids)
        return self._entries((row for row in rows if row is not None), {})

    def _entries(self, rows: Iterable[tuple[Any, ...]], filter: Mapping[str, Json]) -> list[Entry]:
        found: list[Entry] = []
        for namespace, name, kind, yaml, source, kept in rows:
            id = EntryId(namespace, name)
            try:
                document = self._document(id, yaml, kept)
                if matches(id, kind, _meta(document), filter):
                    lua = self._tree_entries.objects.blob(source) if source is not None else None
                    found.append(from_document(id, document, lua)[0])
            except EntryError as error:
                raise Damaged(str(error)) from error
            except RegistryError:
                continue  # an object that was damaged since
        return found

    def search(self, query: str, filter: Mapping[str, Json], limit: int | None) -> tuple[list[Head], int]:
        """As `Snapshot.search`."""
        match = _expression(query)
        if match is None and query.strip():
            return [], 0
        # What the columns say need not be looked up in the document.
        more = set(meta_fields(filter)) - {"type"}
        heads: list[Head] = []
        for row in self._select(f"{_HEAD}, e.yaml{', p.document' * bool(more)}", _PARSED * bool(more), filter, match):
            id, kind, type = _id(row), row[2], row[3]
            meta: Mapping[str, Json] = {"type": type}
            if more or (type is None and "type" in meta_fields(filter)):
                meta = _meta(self._document(id, row[7], row[8] if more else None))
            if matches(id, kind, meta, filter):
                heads.append(_head(row))
        return heads[:limit], len(heads)

    def near(self, name: str) -> list[Head]:
        """As `Snapshot.near`."""
        words = _WORDS.findall(_plain(name).casefold())[:MAX_WORDS]
        if not words:
            return []
        begins = " OR ".join(f'"{word[:2]}" *' for word in dict.fromkeys(words))
        newest = f"SELECT rowid AS key FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT {MAX_NEAR}"
        rows = f"SELECT {_HEAD} FROM ({newest}) JOIN entries e USING (key) WHERE {_STANDS}"
        return [_head(row) for row in self._connection.execute(rows, (f"id : ({begins})", *self._at))]

    def with_code(self, code: str) -> list[Head]:
        """Some tools whose source has this hash."""
        rows = f"SELECT {_HEAD} FROM entries e WHERE e.code = ? AND {_STANDS} LIMIT {MAX_SIMILAR}"
        return [_head(row) for row in self._connection.execute(rows, (code, *self._at))]

    def sharing(self, stems: Mapping[str, int]) -> list[tuple[Head, dict[str, int]]]:
        """The tools that have most of the weight of these stems, with the purpose of each (see words.purpose).

        Of each stem the newest holders count only, so that the time does not grow with the registry.
        """
        weights = Counter[int]()
        newest = f"SELECT rowid AS key FROM purposes WHERE purposes MATCH ? ORDER BY rowid DESC LIMIT {MAX_HOLDERS}"
        for stem in sorted(stems, key=lambda stem: -stems[stem])[:MAX_WORDS]:
            rows = f"SELECT e.key FROM ({newest}) JOIN entries e USING (key) WHERE {_STANDS}"
            for (key,) in self._connection.execute(rows, (f'"{stem.lstrip(">")}"', *self._at)):
                weights[key] += stems[stem]
        best = sorted(weights, key=lambda key: (-weights[key], -key))[:MAX_SHARING]
        row = f"SELECT {_HEAD}, e.yaml, p.document FROM entries e {_PARSED} WHERE e.key = ?"
        heads = [self._connection.execute(row, (key,)).fetchone() for key in best]
        return [(_head(row), purpose(row[1], _meta(self._document(_id(row), *row[7:])))) for row in heads]

    def users(self, ids: Iterable[EntryId], most: int) -> list[EntryId]:
        """As `Snapshot.users`."""
        rows = (
            "SELECT namespace, name FROM needs n JOIN entries e ON e.key = n.entry "
            f"WHERE n.target = ? AND {_STANDS} ORDER BY namespace, name"
        )
        waiting = deque(ids)
        changed = {*waiting}
        found: dict[EntryId, None] = {}
        while waiting:
            for row in self._connection.execute(rows, (str(waiting.popleft()), *self._at)):
                id = EntryId(*row)
                if id in found or id in changed:
                    continue
                if len(found) == most:
                    return [*found]
                found[id] = None
                waiting.append(id)
        return [*found]

    def problems(self, layout: Layout) -> list[Problem]:
        """As `Snapshot.problems` of all namespaces, unsorted; `layout` is that of the tree."""
        from micro_agi_kernel.registry.trees import decoded

        found: list[Problem] = []
        rows = (
            f"SELECT namespace, name, kind, problem FROM entries e WHERE (problem IS NOT NULL OR unused) AND {_STANDS}"
        )
        for namespace, name, kind, problem in self._connection.execute(rows, self._at):
            id = EntryId(namespace, name)
            path = layout.entry_path(id)
            if problem is None:
                found.append(Problem(layout.source_path(id), "the entry beside it has another source", namespace))
            else:
                reason = f"{layout.folder(id)}/{problem}".removeprefix(f"{path}: ")
                found.append(Problem(path, reason, namespace, id, kind))
        rows = f"SELECT path, reason, namespace, kind FROM strays e WHERE {_STANDS}"
        for path, reason, where, kind in self._connection.execute(rows, self._at):
            found.append(Problem(clean(decoded(path), MAX_PATH), reason, where, kind=kind))
        return found

    def last_commits(self) -> dict[EntryId, str]:
        """For every entry, the commit that last changed it."""
        rows = f"SELECT namespace, name, c.id FROM entries e JOIN commits c ON c.number = e.since WHERE {_STANDS}"
        return {EntryId(row[0], row[1]): row[2] for row in self._connection.execute(rows, self._at)}

    def last_commit(self, id: EntryId) -> str | None:
        """The commit that last changed an entry; None when there is no such entry."""
        rows = (
            "SELECT c.id FROM entries e JOIN commits c ON c.number = e.since "
            f"WHERE namespace = ? AND name = ? AND {_STANDS}"
        )
        row = self._connection.execute(rows, (id.namespace, id.name, *self._at)).fetchone()
        return row[0] if row else None

    def changing(self, id: EntryId) -> list[tuple[int, str]]:
        """Number and id of every commit that changed an entry, newest first."""
        numbers = "SELECT {} FROM entries WHERE namespace = ?1 AND name = ?2"
        rows = (
            "SELECT number, id FROM commits WHERE number <= ?3 AND number IN "
            f"({numbers.format('since')} UNION {numbers.format('until')}) ORDER BY number DESC"
        )
        return self._connection.execute(rows, (id.namespace, id.name, self.number)).fetchall()

    def changes(self) -> Iterable[tuple[str, EntryId, bool]]:
        """Each commit with each entry that it changed, and whether that can be read on either side of it."""
        readable = "namespace, name, problem IS NULL AS readable FROM entries WHERE since <= ?1"
        rows = (
            f"SELECT id, namespace, name, max(readable) FROM (SELECT since AS at, {readable} "
            f"UNION ALL SELECT until, {readable}) JOIN commits ON number = at WHERE number <= ?1 GROUP BY number, 2, 3"
        )
        for commit, namespace, name, is_readable in self._connection.execute(rows, self._at[:1]):
            yield commit, EntryId(namespace, name), bool(is_readable)

    def commit(self, number: int) -> str | None:
        """The id of an earlier commit by its number; None when it is not known here."""
        row = self._connection.execute("SELECT id FROM commits WHERE number = ?", (number,)).fetchone()
        return row[0] if row else None

    def _select(
        self, columns: str, join: str, filter: Mapping[str, Json], match: str | None = None
    ) -> Iterable[tuple[Any, ...]]:
        """Rows of readable entries, those that match `filter` and some others, in their order."""
        conditions = _conditions(filter)
        if conditions is None:
            return ()
        where, values = [_STANDS, "e.problem IS NULL"], list[object](self._at)
        for condition, value in conditions:
            where.append(condition)
            values += value
        wanted = self._rarest_first(wanted_tokens(filter))
        source, order, first = "entries e", "e.namespace, e.name", list[object]()
        if match is not None:
            source, order, first = "words CROSS JOIN entries e ON e.key = words.rowid", _RANK, [match]
            where.insert(0, "words MATCH ?")
        elif wanted:
            source, first = "meta m CROSS JOIN entries e ON e.key = m.entry", [wanted.pop(0)]
            where.insert(0, "m.token = ?")
        for token in wanted:
            where.append("EXISTS (SELECT 1 FROM meta WHERE token = ? AND entry = e.key)")
            values.append(token)
        sql = f"SELECT {columns} FROM {source} {join} WHERE {' AND '.join(where)} ORDER BY {order}"
        return self._connection.execute(sql, first + values)

    def _rarest_first(self, tokens: set[int]) -> list[int]:
        if len(tokens) < 2:
            return list(tokens)
        count = "SELECT count(*) FROM (SELECT 1 FROM meta WHERE token = ? LIMIT 10000)"
        counts = {token: self._connection.execute(count, (token,)).fetchone()[0] for token in tokens}
        return sorted(tokens, key=lambda token: (counts[token], token))

    def _document(self, id: EntryId, blob: str, kept: str | None) -> Json:
        if kept is None:
            return self._tree_entries.document(f"{id.name}.yaml", _file(blob))
        try:
            document: Json = json.loads(kept)
        except (ValueError, RecursionError) as error:
            raise Damaged(f"what {id} says is no JSON") from error
        return document


def _id(row: tuple[Any, ...]) -> EntryId:
    return EntryId(row[0], row[1])


def _head(row: tuple[Any, ...]) -> Head:
    """What the columns _HEAD say."""
    return Head(_id(row), row[2], row[3], row[4], row[5], tuple(json.loads(row[6])) if row[6] else ())


def _meta(document: Json) -> Mapping[str, Json]:
    meta = document.get("meta", {}) if isinstance(document, dict) else None
    if not isinstance(meta, dict):
        raise Damaged("a document that is no entry")
    return meta


def _file(blob: str) -> Node:
    from micro_agi_kernel.registry.trees import FILE_MODE, Node

    return Node(FILE_MODE, blob)


def _conditions(filter: Mapping[str, Json]) -> list[tuple[str, list[object]]] | None:
    """What the fields that are no meta say in SQL; None when nothing can match."""
    found: list[tuple[str, list[object]]] = []
    for key, wanted in filter.items():
        if not key.startswith("."):
            continue
        if not isinstance(wanted, str) or _plain(wanted) != wanted:
            return None
        namespace, colon, name = wanted.partition(":")
        match key:
            case ".kind":
                found.append(("e.kind = ?", [wanted]))
            case ".name":
                found.append(("e.name = ?", [wanted]))
            case ".id" if colon:
                found.append(("e.namespace = ? AND e.name = ?", [namespace, name]))
            case ".ns" if wanted.endswith("*"):
                found.append(("e.namespace >= ? AND e.namespace < ?", [wanted[:-1], wanted[:-1] + "\U0010ffff"]))
            case ".ns":
                found.append(("e.namespace = ?", [wanted]))
            case _:
                return None
    return found


def _expression(query: str) -> str | None:
    """The words of a query as FTS5 wants them: all of them, and the last may be the beginning of one."""
    words = _plain(query[:MAX_QUERY]).replace('"', " ").replace("\0", " ").split()
    phrases = [f'"{searchable(word).strip()}"' for word in words if any(map(str.isalnum, word))][:MAX_WORDS]
    return " AND ".join(phrases) + " *" if phrases else None


def _plain(text: str) -> str:
    """`text` without what no UTF-8 can say: half characters, as a command line may bring them."""
    return text.encode(errors="replace").decode()
