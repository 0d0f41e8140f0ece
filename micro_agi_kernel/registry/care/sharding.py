"""Namespaces that hold too many entries in one folder get 64 folders, each namespace in a commit by the installer."""

from __future__ import annotations

from collections.abc import Iterable

from micro_agi_kernel.entries import INSTALLER
from micro_agi_kernel.registry.message import CommitMessage
from micro_agi_kernel.registry.store import Registry
from micro_agi_kernel.registry.versions import Person

_WHY = "a commit costs what the folders above it hold, so its entries go into 64 folders."


def shard_crowded(registry: Registry, person: Person, namespaces: Iterable[str]) -> list[str]:
    """Shard those of the namespaces that are crowded, changing no entry; which these were.

    `person` is the committer. Raises RegistryError when something lies where a folder belongs.
    """
    done = []
    for namespace in sorted(namespaces):
        if registry.snapshot().is_crowded(namespace):
            message = CommitMessage(actor=INSTALLER, body=f"{namespace} has grown: {_WHY}")
            if registry.shard(namespace, message, author=Person.of_service(INSTALLER), committer=person) is not None:
                done.append(namespace)
    return done
