"""What tests put into a registry by hand, and what they find in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from micro_agi_kernel.entries import Changeset, Entry, EntryId, Operation
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.registry import CommitMessage, Person
from micro_agi_kernel.workspace import open_registry

ADA = Person("Ada", "ada@example.org")


def add_policy(effect: str, actions: str, resources: str, group: str) -> None:
    """A policy as a person writes it, in the registry that the settings name."""
    policy = {"actions": actions, "resources": resources, "effect": effect}
    entry = Entry(EntryId("app", "of_the_test"), "security.policy", {}, {"policy": policy, "groups": [group]})
    with open_registry(load_settings()) as registry:
        changeset, message = Changeset((Operation("create", entry.id, entry),)), CommitMessage("user:Ada")
        registry.commit(changeset, message, author=ADA, committer=ADA, base=registry.snapshot())


def made_in(folder: Path) -> list[str]:
    """What was made in the one registry below `folder`, the newest first, by Git's log."""
    [registry] = folder.rglob("registry.git")
    log = subprocess.check_output(["git", "-C", str(registry), "log", "--format=%s"], text=True)
    return [line for line in log.splitlines() if line.startswith("Create app.generated")]
