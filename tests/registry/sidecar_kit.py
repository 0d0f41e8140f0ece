"""What the tests of the sidecar share: its files, and the same answers from Git's objects alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.registry.message import clean
from micro_agi_kernel.registry.tree_entries import Broken, Parsed


def index_file(registry: Registry) -> Path:
    return registry.path / "micro-agi" / "index.sqlite"


def lose(registry: Registry) -> None:
    """Delete the sidecar, whoever has it open."""
    for file in index_file(registry).parent.glob("index.sqlite*"):
        file.unlink()


def walked(registry: Registry, snapshot: Snapshot) -> dict[str, Any]:
    """The answers of `asked`, found by a walk through all folders and the whole history."""
    index, history = registry.tree_entries, registry.history
    entries, problems, ids = [], set(), []
    for folder in index.walk(snapshot.tree):
        base = f"{folder.path}/" if folder.path else ""
        problems |= {(clean(base + name), reason, folder.namespace or None) for name, reason in folder.strays.items()}
        for name, files in folder.entries.items():
            id = EntryId(folder.namespace, name)
            ids.append(id)
            found = index.entry(id, files)
            if isinstance(found, Parsed):
                entries.append(found.entry)
            if isinstance(found, Broken):
                path = f"{base}{name}.yaml"
                problems.add((path, f"{base}{found.reason}".removeprefix(f"{path}: "), folder.namespace))
            elif found.unused_source:
                problems.add((f"{base}{name}.lua", "the entry beside it has another source", folder.namespace))
    pages = registry.objects.changed("", snapshot.folder("docs"))
    problems |= {(clean(f"docs/{path}"), "not an ordinary file", None) for path, _, n in pages if n and not n.is_file}
    line = list(history.line(snapshot.commit)) if snapshot.commit else []
    return {
        "ids": sorted(ids),
        "entries": sorted(entries, key=lambda entry: entry.id),
        "problems": sorted(problems, key=str),
        "namespaces": sorted({id.namespace for id in ids}),
        "last": history.last_changes(snapshot.commit, set(ids)),
        "number": len(line),
        "histories": {id: [c.id for c in line if history._touches(c, id)] for id in sorted(ids)[:3]},
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


def agree(registry: Registry, snapshot: Snapshot | None = None, *, but: str = "") -> None:
    """Assert that the sidecar says of a snapshot what Git holds, `but` for one answer."""
    snapshot = snapshot or registry.snapshot()
    said, true = asked(registry, snapshot), walked(registry, snapshot)
    wrong = {key: (said[key], true[key]) for key in true if key != but and said[key] != true[key]}
    assert not wrong, wrong


def is_made(registry: Registry, commit: str) -> bool:
    """Whether the file holds a commit, without bringing it up to date."""
    return registry.history.sidecar.number(commit) is not None
