"""What a push brings, read before Git takes it: which commits and files, and whether their form can stand.

Git keeps pushed objects in a folder of their own until the hook has agreed, and removes it when it does not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from micro_agi_kernel.entries import MAX_FILE_BYTES, source_file
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry.git_program import ask_git
from micro_agi_kernel.registry.layout import DOCS, FORMAT_FILE, check_file_path, read_format
from micro_agi_kernel.registry.message import claims_service, clean, parse_message
from micro_agi_kernel.registry.sharing.sizes import check_sizes
from micro_agi_kernel.registry.snapshot import Snapshot
from micro_agi_kernel.registry.tree_entries import Broken, EntryFiles
from micro_agi_kernel.values import short_commit

if TYPE_CHECKING:
    from micro_agi_kernel.registry.store import Registry
    from micro_agi_kernel.registry.trees import Node

MAX_COMMITS = 1_000
"""Commits of one push."""

_AUTHOR = re.compile(rb"^author ([^<>\n]*) <[^<>\n]*> \d{1,12} [+-]\d{4}$", re.MULTILINE)


def pushed_commits(repository: Path, objects: Path | None, old: str, new: str) -> list[str]:
    """The commits that lead to `new` and not to `old`, newest first; `objects` is the folder of the push.

    Raises RegistryError when there are more than MAX_COMMITS, or an object is larger than it may be: that is found
    out before any of them is read.
    """
    most = f"--max-count={MAX_COMMITS + 1}"
    commits = ask_git(repository, "rev-list", most, new, "--not", old, "--", pushed=objects).split()
    if len(commits) > MAX_COMMITS:
        raise RegistryError(f"more than {MAX_COMMITS} commits in one push: push them in parts, or make them one")
    check_sizes(repository, new, old, pushed=objects, file_bytes=MAX_FILE_BYTES)
    return commits


def pushed_line(registry: Registry, old: str, new: str) -> list[str] | None:
    """The first-parent line from `old`, which is not in it, to `new`; None when `new` does not go on from there."""
    line: list[str] = []
    for commit in islice(registry.history.line(new), MAX_COMMITS + 1):
        if commit.id == old:
            return line[::-1]
        line.append(commit.id)
    return None


def commit_problem(registry: Registry, id: str) -> str:
    """What is wrong with the form of a pushed commit; "" when nothing is."""
    raw = registry.objects.stored(id).raw
    head, _, message = raw.partition(b"\n\n")
    author = _AUTHOR.search(head)
    if author is None:
        return "its author's line cannot be read"
    if claims_service(message):
        return "claims `Actor: service:...`, which no push can be: what another registry made comes by `registry pull`"
    actor = parse_message(message).actor
    if actor is not None and actor != f"user:{clean(author[1].decode(errors='replace'))}":
        return f"says `Actor: {actor}`, who is not its author: leave the trailer out"
    return ""


def step_problems(registry: Registry, parent: str, commit: str) -> list[str]:
    """What a commit of a pushed line, which is not its last, did to files that no later one can mend.

    Whoever reads the history meets every state of it. What an entry means is asked of the newest alone: a broken
    tool may be mended in the next commit.
    """
    before, after = registry.snapshot(parent), registry.snapshot(commit)
    found: dict[str, str] = {}
    try:
        for path, _, node in registry.objects.changed(before.tree, after.tree):
            if node is not None and (reason := _node_problem(node) or _place_problem(after, path)):
                found[path] = reason
        if reason := _format_problem(before, after):
            found[FORMAT_FILE] = reason
    except RegistryError as error:
        return [f"commit {short_commit(commit)}: {error}"]
    return [f"commit {short_commit(commit)}: {path}: {reason}" for path, reason in sorted(found.items())]


def file_problems(registry: Registry, before: Snapshot, after: Snapshot) -> Iterator[tuple[str, str]]:
    """Path and reason for each changed file that cannot stand as it is, without looking at what an entry means."""
    checked: dict[str, Counter[str]] = {}
    for path, _, node in registry.objects.changed(before.tree, after.tree):
        if node is not None:
            reason = _node_problem(node) or _place_problem(after, path) or _twin(registry, after, path, checked)
            id = after.layout.entry_id(path)
            if not reason and id is not None and after.nodes(id)[0] is None:
                reason = after.layout.why_stray(path, False)
            if reason:
                yield path, reason
    if reason := _format_problem(before, after):
        yield FORMAT_FILE, reason
    for _, id in before.changes_to(after)[0]:
        yaml, lua = after.nodes(id)
        folder = after.layout.folder(id)
        if yaml is None:
            if lua is not None:
                yield f"{folder}/{source_file(id)}", "a Lua source without an entry's YAML beside it"
            continue
        found = registry.tree_entries.entry(id, EntryFiles(yaml, lua))
        if isinstance(found, Broken):
            name, _, reason = found.reason.partition(": ")
            yield f"{folder}/{name}", reason
        elif found.unused_source:
            yield f"{folder}/{source_file(id)}", "the entry beside it has another source"


def _node_problem(node: Node) -> str:
    if not node.is_file:
        return "not an ordinary file: links and submodules cannot be here"
    if node.mode & 0o111:
        return "marked as executable: run `git update-index --chmod=-x` on it"
    return ""


def _place_problem(after: Snapshot, path: str) -> str:
    """Why no file can lie there."""
    layout = after.layout
    if layout.entry_id(path) is not None:
        return ""
    if path.endswith((".yaml", ".yml", ".lua")) and path != FORMAT_FILE and not path.startswith(f"{DOCS}/"):
        return layout.why_stray(path, False)
    try:
        check_file_path(path)
    except EntryError as error:
        return str(error)
    return ""


def _twin(registry: Registry, after: Snapshot, path: str, checked: dict[str, Counter[str]]) -> str:
    """Why `path` cannot be checked out everywhere: a name beside it, or beside a folder of it, differs in case only."""
    parts = path.split("/")
    for end in range(len(parts)):
        folder = "/".join(parts[:end])
        if folder not in checked:
            nodes: Mapping[str, Node] = registry.objects.tree(after.folder(folder))
            checked[folder] = Counter(name.lower() for name in nodes)
        if checked[folder][parts[end].lower()] > 1:
            return f"{parts[end]!r} has a twin beside it that differs in case only"
    return ""


def _format_problem(before: Snapshot, after: Snapshot) -> str:
    content = after.file(FORMAT_FILE)
    if content is None:
        return "cannot be removed: without it this is no registry"
    if content == before.file(FORMAT_FILE):
        return ""
    try:
        layout = read_format(content)
    except RegistryError as error:
        return str(error).removeprefix(f"{FORMAT_FILE}: ")
    if layout == before.layout or not _has_format(before):  # a broken one may be mended
        return ""
    return "says where files lie, which no push changes: Micro AGI moves them itself"


def _has_format(snapshot: Snapshot) -> bool:
    try:
        read_format(snapshot.file(FORMAT_FILE) or b"")
    except RegistryError:
        return False
    return True
