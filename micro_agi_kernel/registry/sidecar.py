"""The sidecar: an SQLite index beside Git's objects, for what a walk through all folders would answer too slowly.

It can be deleted at any time and is never the truth. Rows are per commit, so nothing is answered from a file that
does not hold the very commit that is asked about: the file is brought up to date first, made anew when it is damaged,
and where neither can be done the rows of that one commit are made in memory. What policies are read from never
comes from here.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.lock import FOLDER
from micro_agi_kernel.registry.sidecar_file import (
    BUSY_SECONDS,
    Damaged,
    Lease,
    is_damage,
    open_file,
    open_memory,
    reading,
    remove,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

    from micro_agi_kernel.entries import Entry
    from micro_agi_kernel.registry.commits import CommitObject
    from micro_agi_kernel.registry.sidecar_query import CommitRows
    from micro_agi_kernel.registry.sidecar_update import Progress, Update, Written
    from micro_agi_kernel.registry.tree_entries import TreeEntries
    from micro_agi_kernel.registry.versions import History

T = TypeVar("T")

FILE = "index.sqlite"
WAIT_SECONDS = 60.0
"""How long a reader waits while another process fills the file; that takes about 30 s for 100,000 entries."""
FOLLOWED = 64
"""Commits that a writer makes up for; whoever asks next makes up for more."""
_WRITER_WAITS = 0.1


class Sidecar:
    """Answers questions about commits. Safe to use from several threads, and from several processes at once."""

    def __init__(self, repository: Path, tree_entries: TreeEntries, history: History) -> None:
        self._path = repository / FOLDER / FILE
        self._tree_entries = tree_entries
        self._history = history
        self._lock = threading.RLock()
        self._open: tuple[Connection, Lease] | None = None
        self._memory: tuple[str, Connection] | None = None
        self.progress: Progress | None = None
        """Is told of each step while rows are made; None: nobody is."""

    def close(self) -> None:
        with self._lock:
            self._close_file()
            if self._memory is not None:
                self._memory[1].close()
                self._memory = None

    def ask(self, commit: str, tree: str, question: Callable[[CommitRows], T]) -> T:
        """What `question` finds in the rows of `commit`, whose tree is `tree`. Raises RegistryError.

        It must not keep the state. Takes long when the rows have to be made first: never ask on an event loop.
        """
        import sqlite3

        from micro_agi_kernel.registry.sidecar_query import CommitRows

        end = time.monotonic() + WAIT_SECONDS
        replaced = False
        with self._lock:
            while True:
                try:
                    connection = self._file()
                    if self._is_there(connection, commit):
                        with reading(connection):
                            if number := self._update(connection).number(commit):
                                return question(CommitRows(connection, self._tree_entries, number, whole=True))
                    break
                except (sqlite3.DatabaseError, Damaged) as error:
                    if isinstance(error, sqlite3.ProgrammingError):
                        raise
                    if is_damage(error):
                        if replaced or not self._replace():
                            break
                        replaced = True
                    elif _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                        break
                except (OSError, RegistryError):
                    break  # no file can be had, or the history cannot be read: what stands in `tree` may be readable
            return question(CommitRows(self._in_memory(tree), self._tree_entries, 1, whole=False))

    def number(self, commit: str) -> int | None:
        """The number of a commit, if the file holds it; nothing is brought up to date for that."""
        import sqlite3

        if (self._open is None and not os.path.isfile(self._path)) or not self._lock.acquire(timeout=_WRITER_WAITS):
            return None
        try:
            return self._update(self._file()).number(commit)
        except (sqlite3.DatabaseError, OSError, Damaged):
            return None  # whoever asks for more finds out why
        finally:
            self._lock.release()

    def follow(self, commit: CommitObject, entries: Iterable[Entry]) -> None:
        """Add the rows of `commit`, which just wrote `entries`, if the file is up to date but for a few commits.

        Never fails, and never keeps a writer waiting: what is not done here is done for whoever asks.
        """
        import sqlite3

        if not self._lock.acquire(timeout=_WRITER_WAITS):
            return
        try:
            connection = self._file()
            connection.execute(f"PRAGMA busy_timeout = {round(_WRITER_WAITS * 1_000)}")
            try:
                written = {self._tree_entries.files(commit.tree, entry.id): entry for entry in entries}
                self._update(connection, written).run(commit.id, FOLLOWED)
            finally:
                connection.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1_000)}")
        except (sqlite3.DatabaseError, Damaged, OSError, RegistryError) as error:
            if not isinstance(error, (OSError, RegistryError)) and is_damage(error):
                self._replace()
        finally:
            self._lock.release()

    def _is_there(self, connection: Connection, commit: str) -> bool:
        """Whether the file holds `commit`, after bringing it up to date if it does not."""
        from micro_agi_kernel.registry.sidecar_update import ROWS

        update = self._update(connection)
        if update.number(commit) is None:
            head = self._tree_entries.objects.head()
            if head is None or update.number(head) is not None:
                return False  # it is up to date, and the commit is none of the branch
            update.run(head)
            if update.done > ROWS:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else it stays as large as all of this
        if connection.execute("SELECT 1 FROM entries WHERE damaged LIMIT 1").fetchone():
            update.mend()
        return update.number(commit) is not None

    def _update(self, connection: Connection, written: Written | None = None) -> Update:
        from micro_agi_kernel.registry.sidecar_update import Update

        return Update(connection, self._tree_entries, self._history, written or {}, self.progress)

    def _in_memory(self, tree: str) -> Connection:
        """The rows of one tree alone; those of the last one asked for are kept."""
        if self._memory is None or self._memory[0] != tree:
            connection = open_memory()
            try:
                self._update(connection).step(1, "", tree)
            except BaseException:
                connection.close()
                raise
            if self._memory is not None:
                self._memory[1].close()
            self._memory = tree, connection
        return self._memory[1]

    def _file(self) -> Connection:
        if self._open is None:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            lease = Lease(self._path)
            try:
                self._open = open_file(self._path), lease
            except BaseException:
                lease.release()
                raise
        return self._open[0]

    def _close_file(self) -> None:
        if self._open is not None:
            connection, lease = self._open
            self._open = None
            connection.close()
            lease.release()

    def _replace(self) -> bool:
        """Remove the file, so that the next use makes a new one; False when others have it open."""
        self._close_file()
        try:
            remove(self._path)
        except OSError:
            return False
        return True


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
