"""What differs between two states of the registry, line by line: for people, by entry, wherever its files lie."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from micro_agi_kernel.entries import Action, EntryId, action_between, source_file
from micro_agi_kernel.registry.snapshot import Snapshot

if TYPE_CHECKING:
    from micro_agi_kernel.registry.store import Registry
    from micro_agi_kernel.registry.trees import Node

MAX_COMPARED = 4_000_000
"""Lines before times lines after: what comparing costs where hardly a line is the same."""

_UNENDED = "\n\\ No newline at end of file"


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of one entry, or of one file that is none."""

    action: Action
    id: EntryId | None
    path: str
    """Of a file that is no entry; "" for an entry."""
    text: str
    """A unified diff of its source, then of its YAML. Whatever stands in the files, control characters and all."""


def differences(registry: Registry, before: Snapshot, after: Snapshot) -> Iterator[Difference]:
    """What turns `before` into `after`: the entries by id, then pages and other files by path.

    As their files stand, readable or not. An entry that only moved, as sharding does, is not named.
    """
    operations, paths = before.changes_to(after)
    for action, id in operations:
        if text := entry_difference(registry, id, before, after):
            yield Difference(action, id, "", text)
    for path in paths:
        old, new = before.file(path), after.file(path)
        if old != new:
            changed = action_between(old is not None, new is not None)
            yield Difference(changed, None, path, _unified(path.rpartition("/")[2], old, new))


def entry_difference(
    registry: Registry, id: EntryId, before: Snapshot | None, after: Snapshot, *, most: int = MAX_COMPARED
) -> str:
    """The text of a Difference for one entry, whatever else differs; "" when it is the same.

    `before` is None for what is before the first commit, `most` is as MAX_COMPARED. What is too much to compare is left
    out, with a line that says so; a question to the person may not do that, see `question_content.entry_diff`.
    """
    names = (f"{id.name}.yaml", source_file(id))
    pairs = [*zip(names, before.nodes(id) if before else (None, None), after.nodes(id), strict=True)]
    return "".join(
        _unified(name, _blob(registry, old), _blob(registry, new), most) for name, old, new in reversed(pairs)
    )


def _blob(registry: Registry, node: Node | None) -> bytes | None:
    return registry.objects.blob(node.id) if node is not None and node.is_file else None


def _unified(name: str, old: bytes | None, new: bytes | None, most: int = MAX_COMPARED) -> str:
    if old == new:
        return ""
    before, after = _lines(old), _lines(new)
    if len(before) * len(after) > most:
        return f"{name}: {len(before)} lines before, {len(after)} after: too many to compare here, `git diff` can\n"
    there, here = ("/dev/null" if content is None else name for content in (old, new))
    return "".join(f"{line}\n" for line in difflib.unified_diff(before, after, there, here, lineterm=""))


def _lines(content: bytes | None) -> list[str]:
    """The lines of a file, as a diff shows them."""
    lines = (content or b"").decode(errors="replace").split("\n")
    last = lines.pop()
    return [*lines, last + _UNENDED] if last else lines
