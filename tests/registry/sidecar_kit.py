"""What the tests of the sidecar share: its files, and the same answers from Git's objects alone."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from registry_kit import git

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.registry.layout import _spelled
from micro_agi_kernel.registry.message import MAX_PATH, clean
from micro_agi_kernel.registry.tree_entries import Broken, Parsed


def index_file(registry: Registry) -> Path:
    return registry.path / "micro-agi" / "index.sqlite"


def lose(registry: Registry) -> None:
    """Delete the sidecar, whoever has it open."""
    for file in index_file(registry).parent.glob("index.sqlite*"):
        file.unlink()


def shown(path: str) -> str:
    return clean(path, MAX_PATH)


def told_by_git(registry: Registry, commit: str) -> tuple[list[str], dict[EntryId, list[str]]]:
    """The first-parent line, and the commits of it that changed each entry, oldest first, as real git tells them."""
    options = ("--first-parent", "--diff-merges=first-parent", "--no-renames", "--raw", "--no-abbrev", "-z")
    said = git(registry.path, "log", "--reverse", *options, "--format=%x02%H%x00", commit)
    stand: dict[EntryId, dict[str, str]] = {}
    changed: dict[EntryId, list[str]] = {}
    line: list[str] = []
    for one in said.split("\2")[1:]:
        found, *words = one.strip("\0\n").split("\0")
        line.append(found)
        words = [word.strip("\n") for word in words if word.strip("\n")]
        now = dict[EntryId, dict[str, str]]()
        for raw, path in sorted(zip(words[::2], words[1::2], strict=True), key=lambda pair: pair[0].split()[-1] != "D"):
            # Wherever it lies: what only moved into a shard did not change.
            if (id := _spelled(path)) is not None:
                files = now.setdefault(id, dict(stand.get(id, {})))
                _, mode, _, blob, action = raw.split()
                suffix = path.rpartition(".")[2]
                files.pop(suffix, None) if action == "D" else files.update({suffix: f"{mode} {blob}"})
        for id, files in now.items():
            was = stand.get(id, {})
            if files != was and "yaml" in {*files, *was}:  # a source alone is no entry
                changed.setdefault(id, []).append(found)
        stand |= now
    return line, changed


def walked(registry: Registry, snapshot: Snapshot) -> dict[str, Any]:
    """The answers of `asked`, found by a walk through all folders and the whole history."""
    index = registry.tree_entries
    entries, ids = [], []
    problems: list[tuple[str, str, str | None]] = []
    for folder in index.walk(snapshot.tree):
        base = f"{folder.path}/" if folder.path else ""
        problems += [(shown(base + name), reason, folder.namespace or None) for name, reason in folder.strays.items()]
        for name, files in folder.entries.items():
            id = EntryId(folder.namespace, name)
            ids.append(id)
            found = index.entry(id, files)
            if isinstance(found, Parsed):
                entries.append(found.entry)
            if isinstance(found, Broken):
                path = f"{base}{name}.yaml"
                problems.append((path, f"{base}{found.reason}".removeprefix(f"{path}: "), folder.namespace))
            elif found.unused_source:
                problems.append((f"{base}{name}.lua", "the entry beside it has another source", folder.namespace))
    pages = registry.objects.changed("", snapshot.folder("docs"))
    problems += [(shown(f"docs/{path}"), "not an ordinary file", None) for path, _, n in pages if n and not n.is_file]
    line, changed = told_by_git(registry, snapshot.commit) if snapshot.commit else ([], {})
    return {
        "ids": sorted(ids),
        "entries": sorted(entries, key=lambda entry: entry.id),
        "problems": sorted(problems, key=str),
        "namespaces": sorted({id.namespace for id in ids}),
        "last": {id: changed.get(id, [""])[-1] for id in ids},
        "number": len(line),
        "histories": {id: changed.get(id, [])[::-1] for id in sorted(ids)[:3]},
    }


def asked(registry: Registry, snapshot: Snapshot) -> dict[str, Any]:
    """What the snapshot answers."""
    ids = snapshot.ids()
    assert {head.id for head in snapshot.search("", {})[0]} == {entry.id for entry in snapshot.entries()}
    start = snapshot.commit or None
    return {
        "ids": ids,
        "entries": snapshot.entries(),
        "problems": sorted(((p.path, p.reason, p.namespace) for p in snapshot.problems()), key=str),
        "namespaces": snapshot.namespaces(),
        "last": snapshot.last_commits(),
        "number": snapshot.number,
        "histories": {id: [v.commit for v in registry.versions(id=id, start=start)] for id in ids[:3]},
    }


def agree(registry: Registry, snapshot: Snapshot | None = None, *, but: Collection[str] = ()) -> None:
    """Assert that the sidecar says of a snapshot what Git holds, `but` for some answers."""
    snapshot = snapshot or registry.snapshot()
    said, true = asked(registry, snapshot), walked(registry, snapshot)
    wrong = {key: (said[key], true[key]) for key in true if key not in but and said[key] != true[key]}
    assert not wrong, wrong


def is_made(registry: Registry, commit: str) -> bool:
    """Whether the file holds a commit, without bringing it up to date."""
    return registry.history.sidecar.number(commit) is not None
