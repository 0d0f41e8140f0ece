"""What the tests of `micro-agi registry` share: commits without a jail, real git, and a person who pushes with it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from micro_agi_kernel.entries import Changeset, FileChange, Operation
from micro_agi_kernel.registry import CommitMessage, Person, Registry, Version

ADA = Person("ada", "ada@example.org")


def write(registry: Registry, *steps: Operation | FileChange, actor: str = "service:agent") -> Version:
    """Commit that, unasked and unchecked."""
    operations = tuple(step for step in steps if isinstance(step, Operation))
    files = tuple(step for step in steps if isinstance(step, FileChange))
    base = registry.snapshot()
    return registry.commit(Changeset(operations, files), CommitMessage(actor), author=ADA, committer=ADA, base=base)


def git(*arguments: str, folder: Path | str = ".", stdin: str | None = None) -> str:
    """Run real git as Ada; what it prints."""
    identity = {
        f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    command, env = ["git", "-C", str(folder), *arguments], {**os.environ, **identity}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True, input=stdin).stdout


def push(registry: Path, files: dict[str, bytes], message: str = "Change a file") -> str:
    """What a person does, in the folder beside the registry: clone, edit, commit, push. The new commit.

    Past the hook: what it refuses lies in registries all the same, of older versions or by `git update-ref`.
    """
    clone = registry.parent / "clone"
    if clone.exists():
        git("pull", "-q", folder=clone)
    else:
        git("clone", "-q", str(registry), str(clone))
    for path, content in files.items():
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_bytes(content)
    git("add", "-A", folder=clone)
    git("commit", "-qm", message, folder=clone)
    git("push", "-q", "--receive-pack", "git -c core.hooksPath=/dev/null receive-pack", folder=clone)
    return git("rev-parse", "HEAD", folder=clone).strip()
