"""The audit of files and objects: what Git itself and a look at each file say of the repository."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.care.damage import find_damage, is_ours, shown
from micro_agi_kernel.registry.git_program import run_git
from micro_agi_kernel.registry.layout import ID
from micro_agi_kernel.registry.message import clean

MAX_LINES = 20
"""Lines of one fsck that are shown: one lost object can make it say thousands."""

_GONE = re.compile(rf"(?:missing \w+|to\s+\w+|sha1 pointer|or missing:|object) ({ID})")


Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `registry verify`."""

    status: Literal["ok", "warn", "fail"]
    check: str
    message: str
    commit: str | None = None
    id: EntryId | None = None


def check_files(repository: Path, broken: set[str]) -> Iterator[Finding]:
    """What is wrong with the files of a registry; the ids of damaged objects are added to `broken`."""
    if not is_ours(repository):
        return
    sound = True
    for damage in find_damage(repository):
        sound = sound and damage.is_harmless
        if damage.kind == "object":
            broken.add(damage.file.parent.name + damage.file.name)
        status: Literal["warn", "fail"] = "warn" if damage.is_harmless else "fail"
        yield Finding(status, "files", f"{shown(repository, damage.file)}: {damage.what}")
    if sound:
        yield Finding("ok", "files", "no file is damaged")


def check_objects(repository: Path, broken: set[str]) -> Iterator[Finding]:
    """Git's own fsck; the ids of objects that are damaged or missing are added to `broken`."""
    if shutil.which("git") is None:
        yield _check_without_git(repository)
        return
    done = run_git(repository, "fsck", "--strict", "--full", "--no-dangling", "--no-progress")
    said = [text for line in (done.stdout + done.stderr).decode(errors="replace").splitlines() if (text := clean(line))]
    if done.returncode == 0:
        yield Finding("ok", "objects", "git fsck --strict finds nothing wrong")
        return
    broken.update(id for line in said for id in _GONE.findall(line))
    for line in said[:MAX_LINES]:
        yield Finding("fail", "objects", f"git fsck: {line}")
    if len(said) > MAX_LINES:
        yield Finding("fail", "objects", f"git fsck: {len(said) - MAX_LINES} lines more")
    if not said:
        yield Finding("fail", "objects", f"git fsck ended with {done.returncode}")


def _check_without_git(repository: Path) -> Finding:
    """Every object that the branch reaches, to the first that is not sound."""
    from micro_agi_kernel.registry.objects import Objects

    objects = Objects(repository)
    seen: set[str] = set()
    try:
        todo = [head] if (head := objects.head()) else []
        while todo:
            if (id := todo.pop()) not in seen:
                seen.add(id)
                todo += objects.check(id)
    except RegistryError as error:
        return Finding("fail", "objects", str(error))
    finally:
        objects.close()
    return Finding("ok", "objects", f"{len(seen)} objects are sound (git is not on PATH: checked without it)")
