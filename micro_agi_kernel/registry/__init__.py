"""The registry: entries in a bare Git repository, where a version is a commit.

    with Registry.open(path) as registry:
        before = registry.snapshot()
        version = registry.commit(changeset, message, author=agent, committer=person, base=before)

`Registry` opens, reads and writes; a `Snapshot` is what one commit holds; a `Version` is what one commit
says about itself. dulwich is loaded by the first `open` or `create`, not by importing this package. The
registry knows neither policies nor kinds: whether a changeset may be written is for the caller to decide.
"""

from micro_agi_kernel.registry.audit import Finding, audit, history_pairs
from micro_agi_kernel.registry.changes import changeset_between
from micro_agi_kernel.registry.message import CommitMessage
from micro_agi_kernel.registry.seed import seed_changeset
from micro_agi_kernel.registry.snapshot import Problem, Snapshot
from micro_agi_kernel.registry.store import Registry
from micro_agi_kernel.registry.versions import Person, Version

__all__ = [
    "CommitMessage",
    "Finding",
    "Person",
    "Problem",
    "Registry",
    "Snapshot",
    "Version",
    "audit",
    "changeset_between",
    "history_pairs",
    "seed_changeset",
]
