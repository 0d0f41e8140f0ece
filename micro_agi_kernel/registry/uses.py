"""How often each entry was called on this machine, and how often that failed: a small database beside the index.

It is no part of the history: a clone begins at nothing. Calls are counted in memory and written now and then, by a
thread of its own, so that no call waits for a disk and none fails with it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.registry.lock import FOLDER
from micro_agi_kernel.registry.sidecar_file import (
    BUSY_SECONDS,
    Damaged,
    Lease,
    is_damage,
    refuse_queries,
    remove,
    writing,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

FILE = "uses.sqlite"
UNWRITTEN = 256
"""Versions of entries with calls that are not written yet, beyond which they are, whatever else happens."""

_TABLE = """
CREATE TABLE IF NOT EXISTS uses (
    id TEXT NOT NULL,
    version TEXT NOT NULL,
    calls INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    last INTEGER NOT NULL,    -- higher for what was called later
    PRIMARY KEY (id, version)
)
"""


@dataclass(frozen=True, slots=True)
class Uses:
    """Calls of one entry."""

    calls: int = 0
    failed: int = 0
    """Of these, those that ended with an error."""

    def __add__(self, other: Uses) -> Uses:
        return Uses(self.calls + other.calls, self.failed + other.failed)


class UseCounter:
    """Counts the calls of a registry's entries. Safe to use from several threads, and from several processes."""

    def __init__(self, repository: Path) -> None:
        self._path = repository / FOLDER / FILE
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        """Held while the file is asked, so that nothing lies between memory and file."""
        self._pending: dict[tuple[EntryId, str], Uses] = {}
        """Not written yet, by id and version, in the order of the last calls."""
        self._writer = ThreadPoolExecutor(1, "uses")

    def count(self, id: EntryId, version: str, *, ok: bool) -> None:
        """`id` was called, as it was in `version`, a short text of the caller's. Never blocks, and never fails."""
        key = id, version
        with self._lock:
            self._pending[key] = self._pending.pop(key, Uses()) + Uses(1, 0 if ok else 1)  # at the end: called last
            is_much = len(self._pending) > UNWRITTEN
        if is_much:
            self.save()

    def save(self) -> None:
        """Have what was counted written. Never blocks, and never fails: what cannot be written now is tried again."""
        if self._pending:
            with suppress(RuntimeError):  # closed, or the process is about to end
                self._writer.submit(self._write)

    def close(self) -> None:
        """Write what was counted. Blocks; harmless when repeated."""
        self.save()
        self._writer.shutdown()

    def of(self, id: EntryId) -> Uses:
        """What is known of an entry, all versions together. Blocks."""
        return sum(self.versions(id).values(), start=Uses())

    def versions(self, id: EntryId) -> dict[str, Uses]:
        """What is known of the versions of an entry, that which was called last at the end. Blocks."""
        with self._saving:
            with self._lock:
                pending = {version: uses for (of, version), uses in self._pending.items() if of == id}
            found = self._ask(lambda database: dict(_rows(database, id))) or {}
        for version, uses in pending.items():
            found[version] = found.pop(version, Uses()) + uses
        return found

    def latest(self, namespace: str, limit: int) -> list[EntryId]:
        """The entries of a namespace that were called last, newest first. Blocks."""
        with self._saving:
            with self._lock:
                found = [id for id, _ in reversed(self._pending) if id.namespace == namespace]
            found += self._ask(lambda database: _newest(database, namespace, limit)) or []
        return list(dict.fromkeys(found))[:limit]

    def _write(self) -> None:
        """In the writer's thread: add what was counted to what the file says."""
        with self._saving:
            with self._lock:
                counted, self._pending = self._pending, {}
            if not self._ask(lambda database: _add(database, counted)):
                with self._lock:
                    newer, self._pending = self._pending, counted
                    for key, uses in newer.items():
                        self._pending[key] = self._pending.pop(key, Uses()) + uses

    def _ask(self, work: Callable[[Connection], T]) -> T | None:
        """What `work` gives; None when the file cannot be had now. A damaged one is made anew, once."""
        import sqlite3

        for _ in range(2):
            try:
                self._path.parent.mkdir(mode=0o700, exist_ok=True)
                lease = Lease(self._path)
                try:
                    with closing(_open(self._path)) as database:
                        return work(database)
                finally:
                    lease.release()
            except (sqlite3.DatabaseError, Damaged) as error:
                if not is_damage(error):
                    break
                with suppress(OSError):
                    remove(self._path)
            except OSError:
                break
        return None


def _open(file: Path) -> Connection:
    import sqlite3

    with suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # SQLite's other files take its mode
    database = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = OFF")  # numbers that a power cut may take are not worth a wait
        refuse_queries(database)
        database.execute(_TABLE)
        return database
    except BaseException:
        database.close()
        raise


def _rows(database: Connection, id: EntryId) -> Iterator[tuple[str, Uses]]:
    rows = "SELECT version, calls, failed FROM uses WHERE id = ? ORDER BY last"
    for version, calls, failed in database.execute(rows, (str(id),)):
        if not (isinstance(calls, int) and isinstance(failed, int) and 0 <= failed <= calls):
            raise Damaged(f"no uses: {calls}, {failed}")
        yield str(version), Uses(calls, failed)


def _newest(database: Connection, namespace: str, limit: int) -> list[EntryId]:
    newest = "SELECT id FROM uses WHERE id >= ? AND id < ? GROUP BY id ORDER BY max(last) DESC LIMIT ?"
    try:
        return [EntryId.parse(id) for (id,) in database.execute(newest, (f"{namespace}:", f"{namespace};", limit))]
    except (EntryError, TypeError) as error:
        raise Damaged(str(error)) from error


def _add(database: Connection, counted: Mapping[tuple[EntryId, str], Uses]) -> bool:
    add = (
        "INSERT INTO uses VALUES (?, ?, ?, ?, (SELECT ifnull(max(last), 0) + 1 FROM uses)) ON CONFLICT (id, version) "
        "DO UPDATE SET calls = calls + excluded.calls, failed = failed + excluded.failed, last = excluded.last"
    )
    with writing(database):
        database.executemany(
            add, [(str(id), version, uses.calls, uses.failed) for (id, version), uses in counted.items()]
        )
    return True
