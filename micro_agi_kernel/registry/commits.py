"""A commit as bytes: made of its parts, and read leniently, since a remote or a person may have written it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from dulwich.objects import Commit, ObjectID

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.layout import ID
from micro_agi_kernel.registry.message import clean
from micro_agi_kernel.registry.storing import NewObject, new_object

_IDENTITY = re.compile(r"(.*?) ?<([^<>]*)> (-?\d{1,12}) ([+-])(\d\d)(\d\d)")


@dataclass(frozen=True, slots=True)
class CommitObject:
    """A commit as it is stored."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: str
    email: str
    time: datetime
    message: bytes


def new_commit(
    tree: str,
    parents: Sequence[str],
    author: str,
    committer: str,
    message: bytes,
    sign: Callable[[bytes], bytes] | None = None,
) -> NewObject:
    """A commit of now. `author` and `committer` are `Name <email>`; `sign` makes a signature of its content."""
    now = time.time()
    offset = datetime.fromtimestamp(now).astimezone().utcoffset() or timedelta()
    commit = Commit()
    commit.tree = ObjectID(tree.encode())
    commit.parents = [ObjectID(parent.encode()) for parent in parents]
    commit.author, commit.committer = author.encode(), committer.encode()
    commit.author_time = commit.commit_time = int(now)
    commit.author_timezone = commit.commit_timezone = int(offset.total_seconds())
    commit.message = message
    if sign is not None:
        commit.gpgsig = sign(commit.as_raw_string())
    return new_object(Commit.type_num, commit.as_raw_string())


def parse_commit(id: str, raw: bytes) -> CommitObject:
    """The commit that is stored so, whoever wrote it. Raises RegistryError when it names no tree."""
    head, _, message = raw.partition(b"\n\n")
    tree, parents, who = "", [], None
    for line in head.decode(errors="replace").split("\n"):
        key, _, value = line.partition(" ")
        if key == "tree":
            tree = value
        elif key == "parent":
            parents.append(value)
        elif key == "author":
            who = _IDENTITY.fullmatch(value)
    if not all(re.fullmatch(ID, oid) for oid in (tree, *parents)):
        raise RegistryError(f"commit {id} of the registry is malformed")
    if who is None:
        return CommitObject(id, tree, tuple(parents), "unknown", "", datetime.fromtimestamp(0, UTC), message)
    name, email, seconds, sign, hours, minutes = who.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    try:
        when = datetime.fromtimestamp(int(seconds), timezone(offset))
    except (ValueError, OverflowError, OSError):
        when = datetime.fromtimestamp(0, UTC)
    return CommitObject(id, tree, tuple(parents), clean(name) or "unknown", clean(email), when, message)
