"""Bringing the sidecar up to date: what each commit changed, found by comparing trees, becomes rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from micro_agi_kernel.code_hash import code_hash
from micro_agi_kernel.entries import Action, Entry, EntryId, source_file
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LUA_KINDS, read_lua
from micro_agi_kernel.registry.filters import tokens
from micro_agi_kernel.registry.layout import DOCS
from micro_agi_kernel.registry.sidecar_file import NEVER, writing
from micro_agi_kernel.registry.tree_entries import Broken, EntryFiles, Parsed
from micro_agi_kernel.registry.words import purpose, searchable
from micro_agi_kernel.values import Json

if TYPE_CHECKING:
    from sqlite3 import Connection

    from micro_agi_kernel.registry.tree_entries import TreeEntries
    from micro_agi_kernel.registry.trees import Node
    from micro_agi_kernel.registry.versions import History

Progress = Callable[[int, int], None]
"""How many steps are done, and of how many; the second number may still grow."""

Written = Mapping[tuple["Node | None", "Node | None"], Entry]
_Stray = tuple[str, bytes, str | None, str, str | None]
"""Folder, path, namespace, reason and kind."""

ROWS = 2_000
"""Rows from which on a transaction ends with the commit that brought them."""
_CHUNK = 500
"""Entries that are read before their rows are written."""

_INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_END = f"UPDATE entries SET until = ? WHERE namespace = ? AND name = ? AND until = {NEVER}"


class Update:
    """Brings the rows of a database to a commit."""

    def __init__(
        self,
        connection: Connection,
        tree_entries: TreeEntries,
        history: History,
        written: Written,
        progress: Progress | None = None,
    ) -> None:
        """`written` are entries that need not be read, by what lies where their files belong."""
        self._connection = connection
        self._tree_entries = tree_entries
        self._history = history
        self._written = written
        self._progress = progress
        self.done = 0
        """Steps taken: one for each commit, and one for each entry that it changed."""
        self._total = 0

    def run(self, head: str, most: int | None = None) -> None:
        """Continue to `head` along the first parents, in transactions of whole commits.

        With `most`, only what continues the rows that are there within so many commits (or begins with the very
        first); else nothing is done. Rows of another line are cut back to where it parted. Raises RegistryError
        when the history cannot be read.
        """
        line: list[str] = []
        for commit in self._history.line(head):
            if self.number(commit.id):
                break
            line.append(commit.id)
            if most is not None and len(line) > most:
                return
        else:
            if most is not None and len(line) > 1:
                return
        line.reverse()
        while line:
            with writing(self._connection):
                # Another process may have come further meanwhile, or have cut off what this line stands on.
                line = line[next((n for n in range(len(line), 0, -1) if self.number(line[n - 1])), 0) :]
                if not line:
                    return
                parents = self._tree_entries.objects.commit(line[0]).parents
                number = self.number(parents[0]) if parents else 0
                if number is None:
                    return
                self._cut(number)
                self._total = self.done + len(line)
                line = line[self._batch(line, number) :]

    def number(self, commit: str) -> int | None:
        """The number of a commit that the database holds."""
        row = self._connection.execute("SELECT number FROM commits WHERE id = ?", (commit,)).fetchone()
        return row[0] if row else None

    def _cut(self, number: int) -> None:
        """Forget what came after commit `number`."""
        if self._connection.execute("SELECT 1 FROM commits WHERE number > ?", (number,)).fetchone() is None:
            return
        self._connection.execute("DELETE FROM commits WHERE number > ?", (number,))
        for table in ("entries", "strays"):  # rows beside them whose entry is gone are never met again
            self._connection.execute(f"DELETE FROM {table} WHERE since > ?", (number,))
            self._connection.execute(f"UPDATE {table} SET until = {NEVER} WHERE until > ?", (number,))

    def _batch(self, line: Sequence[str], number: int) -> int:
        """Add the first commits of `line`, the first of which follows `number`; how many."""
        last = self._connection.execute("SELECT id FROM commits ORDER BY number DESC LIMIT 1").fetchone()
        before = self._history.tree(last[0]) if last else ""
        start = self.done
        for count, id in enumerate(line, 1):
            self._connection.execute("SAVEPOINT step")
            try:
                tree = self._history.tree(id)
                self.step(number + count, before, tree)
            except RegistryError:  # its trees cannot be read: what it changed is seen with the next
                self._connection.execute("ROLLBACK TO step")
                self._connection.execute("RELEASE step")
                continue
            self._connection.execute("RELEASE step")
            self._connection.execute("INSERT INTO commits VALUES (?, ?)", (number + count, id))
            before = tree
            if self.done - start >= ROWS:
                break
        return count

    def step(self, number: int, before: str, tree: str) -> None:
        """Add the rows of one commit, which turned the tree `before` into `tree`. Raises RegistryError."""
        found, files = self._history.changes(before, tree, skip=DOCS)
        layout = self._tree_entries.layout(tree)
        # By folder, each of which is then read once.
        operations = sorted(found, key=lambda operation: (layout.folder(operation[1]), operation[1]))
        self._total += len(operations)
        self._tick(1)
        folders, more = self._touched(before, tree, operations, files)
        changed = [id for _, id in operations]
        changed += sorted(more.difference(changed))
        self._connection.executemany(_END, [(number, id.namespace, id.name) for id in changed if before])
        self._strays(number, tree, folders)
        self._docs(number, before, tree)
        for start in range(0, len(changed), _CHUNK):
            chunk = changed[start : start + _CHUNK]
            self._add([(id, self._tree_entries.files(tree, id), number, NEVER) for id in chunk])
            self._tick(len(chunk))

    def mend(self) -> None:
        """Read again what a damaged object kept from being read, in case someone brought it back."""
        rows = "SELECT key, namespace, name, since, until, id FROM entries JOIN commits ON number = since WHERE damaged"
        for key, namespace, name, since, until, commit in self._connection.execute(rows).fetchall():
            id = EntryId(namespace, name)
            with suppress(RegistryError):
                files = self._tree_entries.files(self._history.tree(commit), id)
                if files[0] is not None:
                    self._tree_entries.read(id, EntryFiles(files[0], files[1]), self._tree_entries.document)
                    with writing(self._connection):
                        self._connection.execute("DELETE FROM entries WHERE key = ?", (key,))
                        self._add([(id, files, since, until)])

    def _touched(
        self, before: str, tree: str, operations: Iterable[tuple[Action, EntryId]], files: Iterable[str]
    ) -> tuple[set[str], set[EntryId]]:
        """The folders in which other files may have become strays, or ceased to be; and entries to look at again."""
        layouts = {self._tree_entries.layout(before), self._tree_entries.layout(tree)}
        folders: set[str] = set()
        entries: set[EntryId] = set()
        if len(layouts) > 1:
            folders.update(folder.path for folder in self._tree_entries.walk(tree))
            folders.update(row[0] for row in self._connection.execute("SELECT DISTINCT folder FROM strays"))
        for action, id in operations:
            other = before if action == "create" else tree if action == "delete" else ""
            if other and self._tree_entries.files(other, id)[1]:  # a source without its YAML
                folders.add(self._tree_entries.layout(other).folder(id))
        for path in files:
            parts = path.split("/")
            for layout in layouts:
                place = ""
                for part in parts:
                    folders.add(place)
                    place = f"{place}/{part}" if place else part
                    if layout.namespace(place) is None:
                        break
                # A folder with the name of an entry's YAML: an entry, as far as its name goes.
                if (found := layout.entry_id(place)) is not None:
                    entries.add(found)
        return folders, entries

    def _strays(self, number: int, tree: str, folders: Iterable[str]) -> None:
        from micro_agi_kernel.registry.trees import encoded

        layout = self._tree_entries.layout(tree)
        for path in folders:
            node = self._tree_entries.node(tree, path) if path else None
            id = tree if not path else node.id if node is not None and node.is_folder else ""
            found = set[_Stray]()
            if id:
                folder = self._tree_entries.folder(id, path, layout)
                for name, reason in folder.strays.items():
                    whole = encoded(f"{path}/{name}" if path else name)
                    kind = self._kind(name, self._tree_entries.objects.tree(id)[name])
                    found.add((path, whole, folder.namespace or None, reason, kind))
            self._replace_strays(number, "folder = ?", path, found)

    def _docs(self, number: int, before: str, tree: str) -> None:
        """Among the pages only what is no file is a stray. However many folders there are, the entries are found."""
        from micro_agi_kernel.registry.trees import encoded

        nodes = [self._tree_entries.node(each, DOCS) if each else None for each in (before, tree)]
        old, new = (node.id if node is not None and node.is_folder else "" for node in nodes)
        if old == new:
            return
        one, whole = f"folder = '{DOCS}' AND path = ?", encoded(DOCS)
        if self._connection.execute(f"SELECT 1 FROM strays WHERE {one} AND until = {NEVER}", (whole,)).fetchone():
            old = ""
            self._replace_strays(number, "folder = ?", DOCS, set())
        try:
            for path, was, now in self._tree_entries.objects.changed(old, new):
                if any(node is not None and not node.is_file for node in (was, now)):
                    page, stray = encoded(f"{DOCS}/{path}"), now is not None and not now.is_file
                    found: set[_Stray] = {(DOCS, page, None, "not an ordinary file", None)} if stray else set()
                    self._replace_strays(number, one, page, found)
        except RegistryError as error:
            self._replace_strays(number, one, whole, {(DOCS, whole, None, f"cannot be read: {error}", None)})

    def _replace_strays(self, number: int, where: str, value: str | bytes, found: set[_Stray]) -> None:
        """Make `found` the strays that stand where `where` holds for `value`."""
        rows = f"SELECT folder, path, namespace, reason, kind, rowid FROM strays WHERE {where} AND until = {NEVER}"
        standing = {row[:5]: row[5] for row in self._connection.execute(rows, (value,))}
        gone = [(number, rowid) for row, rowid in standing.items() if row not in found]
        self._connection.executemany("UPDATE strays SET until = ? WHERE rowid = ?", gone)
        new = [(*row, number, NEVER) for row in found if row not in standing]
        self._connection.executemany("INSERT INTO strays VALUES (?, ?, ?, ?, ?, ?, ?)", new)

    def _kind(self, name: str, node: Node) -> str | None:
        if not name.endswith((".yaml", ".yml")):
            return None
        try:
            return self._tree_entries.kind(name, node)
        except RegistryError:
            return None

    def _add(self, states: Iterable[tuple[EntryId, tuple[Node | None, Node | None], int, int]]) -> None:
        """Add rows for states of entries, each with its files, `since` and `until`; none for one without YAML."""
        sequence = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
        key = sequence[0] if sequence else 0
        entries, words, meta = list[tuple[object, ...]](), list[tuple[object, ...]](), list[tuple[int, int]]()
        purposes: list[tuple[int, str]] = []
        needs: list[tuple[str, int]] = []
        for id, (yaml, lua), since, until in states:
            if yaml is None:
                continue
            key += 1
            found, damaged = self._read(id, yaml, lua)
            ids = yaml.id, lua.id if lua is not None else None
            if isinstance(found, Broken):
                reason = found.reason.encode(errors="replace").decode()
                state: tuple[object, ...] = (found.kind, None, None, None, None, None, *ids, reason, damaged, False)
            else:
                entry = found.entry
                title, comment = entry.text("title"), entry.text("comment")
                description = f"{entry.text('description')} {entry.text('llm_description')}"
                modules = json.dumps(entry.modules) if entry.modules else None
                code = (
                    code_hash(entry.source) if entry.kind == FUNCTION_KIND and entry.is_tool and entry.source else None
                )
                state = (entry.kind, entry.type, title, comment, modules, code, *ids, None, False, found.unused_source)
                texts = (f"{id.namespace} {id.name}", title, comment, description)
                words.append((key, *map(searchable, texts)))
                if entry.is_tool:
                    purposes.append((key, " ".join(purpose(id.name, entry.meta))))
                meta += [(token, key) for token in tokens(entry.meta)]
                needs += [(target, key) for target in _needs(entry)]
            entries.append((key, id.namespace, id.name, *state, since, until))
        self._connection.executemany(_INSERT, entries)
        insert = "INSERT INTO words (rowid, id, title, comment, description) VALUES (?, ?, ?, ?, ?)"
        self._connection.executemany(insert, words)
        self._connection.executemany("INSERT INTO purposes (rowid, stems) VALUES (?, ?)", purposes)
        self._connection.executemany("INSERT INTO meta VALUES (?, ?)", sorted(meta))
        self._connection.executemany("INSERT INTO needs VALUES (?, ?)", sorted(needs))

    def _read(self, id: EntryId, yaml: Node, lua: Node | None) -> tuple[Parsed | Broken, bool]:
        """The entry that these files hold, and whether an object is damaged."""
        if (entry := self._written.get((yaml, lua))) is not None:
            data = entry.data if lua is None else {**entry.data, "source": f"file://{source_file(id)}"}
            document: dict[str, Json] = {"kind": entry.kind, "meta": dict(entry.meta), "data": dict(data)}
            self._keep(yaml.id, {key: value for key, value in document.items() if value != {}})
            return Parsed(entry, False), False
        try:
            return self._tree_entries.read(id, EntryFiles(yaml, lua), self._document), False
        except RegistryError as error:
            return Broken(f"{id.name}.yaml: {error}", None), True

    def _document(self, name: str, node: Node) -> Json:
        """What a YAML file says. Raises EntryError."""
        row = self._connection.execute("SELECT document FROM parses WHERE blob = ?", (node.id,)).fetchone()
        if row is not None and node.is_file:
            found: Json = json.loads(row[0])
            return found
        document = self._tree_entries.document(name, node)
        self._keep(node.id, document)
        return document

    def _keep(self, blob: str, document: Json) -> None:
        with suppress(ValueError):  # a number of thousands of digits, which Python neither prints nor reads
            row = (blob, json.dumps(document, ensure_ascii=False, separators=(",", ":")))
            self._connection.execute("INSERT OR IGNORE INTO parses VALUES (?, ?)", row)

    def _tick(self, count: int) -> None:
        self.done += count
        if self._progress is not None:
            self._progress(self.done, max(self._total, self.done))


def _needs(entry: Entry) -> set[str]:
    """The ids of all that a Lua entry imports and calls; of one that says it wrongly, nothing."""
    if entry.kind not in LUA_KINDS:
        return set()
    try:
        lua = read_lua(entry)
    except EntryError:
        return set()
    return set(map(str, lua.needs))
