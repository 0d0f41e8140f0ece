"""Which commit each line of an entry comes from, as git says: it follows a file that sharding moved."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.git_program import ask_git
from micro_agi_kernel.registry.snapshot import Snapshot
from micro_agi_kernel.registry.store import Registry
from micro_agi_kernel.registry.versions import Version

_HEAD = re.compile(rb"([0-9a-f]{40}) \d+ \d+(?: \d+)?")


@dataclass(frozen=True, slots=True)
class BlamedLine:
    """One line of a file, without its newline, and the commit that it comes from."""

    text: str
    version: Version
    number: int | None
    """The running number of the commit; None for one that came with a merge and is not on our own line."""


def blame(registry: Registry, snapshot: Snapshot, id: EntryId) -> list[BlamedLine]:
    """Every line of the Lua source of an entry that is there, else of its YAML. Raises RegistryError."""
    if shutil.which("git") is None:
        raise RegistryError(f"blame asks git, which is not on PATH: `micro-agi registry log {id}` does without")
    layout = snapshot.layout
    source = layout.source_path(id)
    path = source if snapshot.file(source) is not None else layout.entry_path(id)
    # Whatever the repository's configuration says: no filter is run and no commit passed over.
    options = ("--porcelain", "--no-textconv", "--ignore-revs-file=")
    said = ask_git(registry.path, "blame", *options, snapshot.commit, "--", path)
    lines = list(_lines(said.encode(errors="surrogateescape")))
    commits = {commit for commit, _ in lines}
    versions = {commit: registry.version(commit) for commit in commits}
    numbers = _numbers(registry, snapshot, commits)
    return [BlamedLine(text, versions[commit], numbers.get(commit)) for commit, text in lines]


def _lines(porcelain: bytes) -> Iterator[tuple[str, str]]:
    """Each line of the file with its commit: it follows, after a tab, on a header that begins with that."""
    commit = ""
    for line in porcelain.split(b"\n"):
        if line.startswith(b"\t"):
            yield commit, line[1:].decode(errors="replace")
        elif match := _HEAD.fullmatch(line):
            commit = match[1].decode()


def _numbers(registry: Registry, snapshot: Snapshot, commits: set[str]) -> dict[str, int]:
    """The running numbers of those of `commits` that are on the first-parent line."""
    numbers: dict[str, int] = {}
    for number, commit in zip(range(snapshot.number, 0, -1), registry.history.line(snapshot.commit), strict=True):
        if commit.id in commits:
            numbers[commit.id] = number
            if len(numbers) == len(commits):
                break
    return numbers
