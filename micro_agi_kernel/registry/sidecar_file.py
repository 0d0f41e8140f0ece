"""The sidecar's SQLite database: its tables, how it is opened, and how a damaged file is replaced."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite3 import Connection, Error

FORMAT = 4
"""Raise it when tables change, or when the same commit would now give other rows: then all but `parses` is dropped."""
BUSY_SECONDS = 0.5
"""How long SQLite itself waits for another writer; short, since nothing can interrupt it."""
NEVER = (1 << 62) - 1
"""`until` of what still stands."""

_APPLICATION = 0x6D616769
_PASSING = frozenset({3, 5, 6, 7, 8, 9, 10, 13, 14, 15})
"""SQLite's codes that speak of the moment or the place, not of the file: busy, read-only, disk full ..."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS parses (    -- YAML by the id of its blob, as JSON; of any commit
    blob TEXT PRIMARY KEY,
    document TEXT NOT NULL
);
CREATE TABLE commits (                 -- the first-parent line, numbered from 1
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE
);
CREATE TABLE entries (                 -- every state of every entry: it stood from commit `since` to before `until`
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT,
    type TEXT,
    title TEXT,
    comment TEXT,
    modules TEXT,                      -- a list as JSON
    code TEXT,                         -- of a tool: the hash of its source, see code_hash
    yaml TEXT NOT NULL,                -- ids of blobs
    lua TEXT,
    problem TEXT,                      -- why it cannot be read
    damaged INTEGER NOT NULL,          -- whether an object is to blame, which may be mended
    unused INTEGER NOT NULL,           -- whether the Lua file beside it is not its source
    since INTEGER NOT NULL,
    until INTEGER NOT NULL
);
CREATE INDEX entries_by_id ON entries (namespace, name, until);
CREATE INDEX entries_by_kind ON entries (kind, until);
CREATE INDEX entries_by_code ON entries (code, until) WHERE code IS NOT NULL;
CREATE INDEX entries_with_problems ON entries (until) WHERE problem IS NOT NULL OR unused;
CREATE INDEX entries_damaged ON entries (key) WHERE damaged;
CREATE TABLE meta (                    -- see filters.tokens
    token INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (token, entry)
) WITHOUT ROWID;
CREATE TABLE needs (                   -- what a Lua entry imports and calls
    target TEXT NOT NULL,              -- an id
    entry INTEGER NOT NULL,
    PRIMARY KEY (target, entry)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (id, title, comment, description, content = '', tokenize = 'unicode61');
CREATE VIRTUAL TABLE purposes          -- of tools, see words.purpose
    USING fts5 (stems, content = '', tokenize = 'unicode61');
CREATE TABLE strays (                  -- files that are no part of an entry, likewise
    folder TEXT NOT NULL,
    path BLOB NOT NULL,                -- the bytes that Git has, which may be no text
    namespace TEXT,
    reason TEXT NOT NULL,
    kind TEXT,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL
);
CREATE INDEX strays_by_folder ON strays (folder, until);
"""


class Damaged(Exception):
    """What the database says cannot be."""


def is_damage(error: Error | Damaged) -> bool:
    """Whether an error says that the file is no sidecar of ours, or a broken one."""
    return isinstance(error, Damaged) or getattr(error, "sqlite_errorcode", 1) & 0xFF not in _PASSING


def open_file(file: Path) -> Connection:
    """A connection to the sidecar at `file`, made if need be. Raises OSError, sqlite3.Error or Damaged."""
    import sqlite3

    file.parent.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # SQLite's other files take its mode
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if _pragma(connection, "application_id") not in (0, _APPLICATION):
            raise Damaged("another program's database")
        refuse_queries(connection)
        # A power cut may cost the newest commits, which are read again; never the order of what is written.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA journal_size_limit = 4194304")
        if _pragma(connection, "user_version") != FORMAT:
            connection.execute("PRAGMA journal_mode = WAL")
            with writing(connection):
                if _pragma(connection, "user_version") != FORMAT:  # another process may have been faster
                    make_tables(connection)
        return connection
    except BaseException:
        connection.close()
        raise


def refuse_queries(connection: Connection) -> None:
    """Raise Damaged for a database that holds queries of its own, which might never end; ours has tables only."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE type IN ('view', 'trigger') LIMIT 1").fetchone():
        raise Damaged("a database with views or triggers")


def open_memory() -> Connection:
    """An empty index that lives in memory."""
    import sqlite3

    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with writing(connection):
        make_tables(connection)
    return connection


def make_tables(connection: Connection) -> None:
    """Drop everything but what the YAML files say, and make the tables."""
    for name in ("words", "purposes", "commits", "entries", "meta", "needs", "strays"):
        connection.execute(f"DROP TABLE IF EXISTS {name}")
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")


@contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """A transaction that writes: all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def reading(connection: Connection) -> Iterator[None]:
    """A transaction that sees one state of the database, whoever writes meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _pragma(connection: Connection, name: str) -> int:
    found: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return found


class Lease:
    """Held by whoever has the file open: a file that another process has open too must not be removed.

    SQLite removes the files beside it by their names when it closes, so two files of one name, one of them
    removed, would spoil each other. Windows removes no file that is open, and needs no lease.
    """

    def __init__(self, file: Path) -> None:
        self._fd = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._fd, shared=True)
        except BaseException:
            os.close(self._fd)
            raise

    def release(self) -> None:
        os.close(self._fd)


def remove(file: Path) -> None:
    """Remove a damaged sidecar. Raises OSError when it is not to be had alone."""
    fd = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(fd, shared=False)
        for suffix in ("", "-wal", "-shm", "-journal"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    finally:
        os.close(fd)


if sys.platform == "win32":

    def _lock(fd: int, *, shared: bool) -> None: ...

else:
    import fcntl

    def _lock(fd: int, *, shared: bool) -> None:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
