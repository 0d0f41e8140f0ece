"""The registry: entries in a bare Git repository, where a version is a commit.

    with Registry.open(path) as registry:
        before = registry.snapshot()
        version = registry.commit(changeset, message, author=agent, committer=person, base=before)

`Registry` opens, reads and writes; a `Snapshot` is what one commit holds; a `Version` is what one commit
says about itself. dulwich is loaded by the first `open` or `create`, not by importing this package. The
registry knows neither policies nor kinds: whether a changeset may be written is for the caller to decide.
"""

from micro_agi_kernel.registry.care.history import Step, audit
from micro_agi_kernel.registry.care.objects import Finding, Progress, check_files, check_objects
from micro_agi_kernel.registry.care.upkeep import Upkeep
from micro_agi_kernel.registry.changes import changeset_between, operation_between, same_entry
from micro_agi_kernel.registry.files.seed import seed_changeset
from micro_agi_kernel.registry.message import CommitMessage
from micro_agi_kernel.registry.sidecar_query import Head
from micro_agi_kernel.registry.snapshot import Snapshot
from micro_agi_kernel.registry.store import Registry
from micro_agi_kernel.registry.tree_entries import Problem
from micro_agi_kernel.registry.versions import Person, Version

__all__ = [
    "CommitMessage",
    "Finding",
    "Head",
    "Person",
    "Problem",
    "Progress",
    "Registry",
    "Snapshot",
    "Step",
    "Upkeep",
    "Version",
    "audit",
    "changeset_between",
    "check_files",
    "check_objects",
    "operation_between",
    "same_entry",
    "seed_changeset",
]
