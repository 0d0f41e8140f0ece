"""A person's files: opened without harm, with where they really lie, and named for completion. Blocks: use a thread.

Whether a file may be read is decided on what was opened, by the path that the system has for that: a name, or a link in
it, may lead elsewhere a moment later.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import MIB

READ = 8 * MIB
"""Bytes of a file that are read: enough to count the rows of most tables, in about 0.2 s, whatever the file's size."""

MOST_NAMES = 50
"""Names that are offered: more is no help."""

_LOOKED_AT = 5_000
"""Entries of a folder that are looked at: some milliseconds, and folders of a million files exist."""

_AT = r"(?<![\w@./\\+-])@"

MENTION = re.compile(_AT + r'(?:"([^"\n]{1,1000})"|(?=([^\s"@][^\s"]{0,999})))')
"""Where a prompt names a file: in quotes, or up to a space, and then what may stand behind the name with it."""

MENTION_BEGUN = re.compile(_AT + r'("[^"\n]*|(?:[^\s"@][^\s"]*)?)\Z')
"""The same at its end, of which only the beginning is typed."""

_KERNELS = ("/proc", "/sys")
"""What lies there looks like files, and is the system's state: environments with keys, endless logs, switches."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of a file."""

    data: bytes
    """Its first READ bytes."""
    size: int
    path: str
    """Where it lies: absolute, without a link in it."""


@dataclass(frozen=True, slots=True)
class Outside:
    """A file that does not lie in the working folder, and was not read."""

    path: str
    size: int


def working_folder() -> Path:
    """The folder that the process is in; an empty path, in which nothing lies, when that one is gone."""
    try:
        return Path(os.getcwd())
    except OSError:
        return Path()


def read_file(folder: Path, name: str, approved: Collection[str] = ()) -> Content | Outside:
    """What stands in the file that `name` leads to, as a path from `folder`, `~` being the person's home.

    It is not read when it lies outside of `folder` at none of the paths `approved`. Raises OSError as opening does, and
    Refused for what is no file: nothing but a plain file is ever opened.
    """
    with _seen(os.path.join(folder, os.path.expanduser(name))) as seen:
        found = os.fstat(seen)
        path = _path_of(seen)
        if stat.S_ISDIR(found.st_mode):
            raise Refused(ErrorKind.INVALID, "it is a folder: name a file in it")
        if not stat.S_ISREG(found.st_mode) or _is_system_state(path, found.st_dev):
            raise Refused(ErrorKind.INVALID, "it is no plain file, and is not read")
        if not _is_inside(path, folder) and path not in approved:
            return Outside(path, found.st_size)
        with _readable(seen) as file:
            parts, left = [], READ
            while left and (part := os.read(file, left)):
                parts.append(part)
                left -= len(part)
    data = b"".join(parts)
    return Content(data, max(found.st_size, len(data)), path)


def names(folder: Path, typed: str) -> list[str]:
    """The files and folders of `folder` that could stand behind an `@` where `typed` stands now, sorted.

    Paths from `folder`, those of folders with a `/` at the end, in quotes where the name needs them; hidden ones only
    when their dot is typed, and none that lie outside.
    """
    quoted = typed.startswith('"')
    above, slash, begun = typed.removeprefix('"').rpartition("/")
    if above.startswith(("~", "/")) or (slash and not above):
        return []
    listed = (name for name in _entries(folder, above) if name.startswith(begun))
    found = (above + slash + name for name in listed if begun.startswith(".") or not name.startswith("."))
    return list(islice((_written(name, quoted=quoted) for name in found if _can_be_written(name)), MOST_NAMES))


def nearest(folder: Path, name: str) -> str:
    """The file of `folder` whose name is most like `name`, in the same folder below it; empty when none is."""
    above, slash, last = name.rpartition("/")
    if above.startswith(("~", "/")):
        return ""
    lower = {entry.lower(): entry for entry in _entries(folder, above) if not entry.endswith("/")}
    near = difflib.get_close_matches(last.lower(), lower, n=1)
    return above + slash + lower[near[0]] if near else ""


def _entries(folder: Path, above: str) -> list[str]:
    """The names of files and folders in the folder `above` of `folder`, sorted, folders with a `/`.

    None when that lies outside of `folder`, and without links that lead out of it.
    """
    path = os.path.join(folder, above)
    entries = []
    with suppress(OSError, ValueError):
        if not _is_inside(os.path.realpath(path), folder):
            return []
        with os.scandir(path) as listed:
            for entry in islice(listed, _LOOKED_AT):
                if entry.is_symlink() and not _is_inside(os.path.realpath(entry.path), folder):
                    continue
                if entry.is_dir():
                    entries.append(f"{entry.name}/")
                elif entry.is_file():
                    entries.append(entry.name)
    return sorted(entries)


def _can_be_written(name: str) -> bool:
    return name.isprintable() and '"' not in name


def _written(name: str, *, quoted: bool) -> str:
    """`name` as it stands behind an `@`; the quote of a folder's stays open, for what lies in it."""
    if not quoted and not any(character.isspace() for character in name):
        return name
    return f'"{name}' if name.endswith("/") else f'"{name}"'


def _is_inside(path: str, folder: Path) -> bool:
    return folder.is_absolute() and os.path.join(path, "").startswith(os.path.join(os.path.realpath(folder), ""))


def _is_system_state(path: str, device: int) -> bool:
    if path.startswith(tuple(f"{place}/" for place in _KERNELS)):
        return True
    # The same, mounted somewhere else.
    return device in {os.stat(place).st_dev for place in _KERNELS if os.path.ismount(place)}


@contextmanager
def _seen(path: str) -> Iterator[int]:
    """A descriptor of what `path` leads to. On Linux it is not opened by that: no device or pipe notices."""
    if sys.platform == "win32":
        raise Refused(ErrorKind.INVALID, "files are not read on Windows yet: paste what the model is to see")
    if sys.platform == "linux":
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    else:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Refused(ErrorKind.INVALID, "it is no plain file, and is not read")
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


@contextmanager
def _readable(seen: int) -> Iterator[int]:
    """A descriptor to read the very file of `seen` by."""
    if sys.platform != "linux":
        yield seen
        return
    file = os.open(f"/proc/self/fd/{seen}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def _path_of(seen: int) -> str:
    """Where the file of a descriptor lies, by the system's word."""
    if sys.platform == "linux":
        return os.readlink(f"/proc/self/fd/{seen}")
    import fcntl

    return os.fsdecode(fcntl.fcntl(seen, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
