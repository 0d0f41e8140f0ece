"""What the tests of sharing share: houses on one remote, and a third party that writes to it past every check."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from house_kit import House, Operation, git

from micro_agi_kernel.entries import Changeset, Entry, to_files
from micro_agi_kernel.intake import Wishes
from micro_agi_kernel.syncing import Pulled, Syncing

Enter = Callable[..., House]


class Hub:
    """A bare repository in a folder, as a Git server keeps it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        folder.mkdir()
        git(folder, "init", "-q", "--bare", "-b", "main")

    @property
    def head(self) -> str:
        return git(self.path, "rev-parse", "main")

    def files(self) -> dict[str, str]:
        """Every path with the id of its content."""
        lines = git(self.path, "ls-tree", "-r", "main").splitlines()
        return {path: line.split()[2] for line, path in (line.split("\t") for line in lines)}

    def write(self, files: Mapping[str, bytes | None], message: str = "by hand", mode: str = "100644") -> str:
        """One commit on top, whatever it holds (None removes a file); its id."""
        who = "committer Eve <eve@example.com> 1700000000 +0000"
        parts = [f"commit refs/heads/main\n{who}\ndata {len(message.encode())}\n{message}\n".encode()]
        parts.append(b"from refs/heads/main^0\n")
        for path, content in files.items():
            if content is None:
                parts.append(f'D "{path}"\n'.encode())
            else:
                parts.append(f'M {mode} inline "{path}"\ndata {len(content)}\n'.encode() + content + b"\n")
        git(self.path, "fast-import", "--quiet", stdin=b"".join(parts))
        return self.head


class Sharer:
    """A house and its person, with the hub as the remote."""

    def __init__(self, house: House, hub: Hub) -> None:
        self.house = house
        self.syncing = Syncing(house, house.settings.home)
        self.syncing.remote.set(os.fspath(hub.path))

    def write(self, *operations: Operation) -> str:
        return self.house.write(*operations, actor="service:agent").commit

    async def publish(self, *operations: Operation) -> None:
        """As a person does, through the checks."""
        await self.house.publishing.publish(Changeset(operations), self.house.context("user:ada"))

    async def pull(self, *, accept: str = "", reject: str = "") -> Pulled:
        wishes = Wishes(frozenset(accept.split()), frozenset(reject.split())) if accept or reject else None
        return await self.syncing.pull(wishes)

    async def push(self) -> str:
        return await self.syncing.push()

    async def sync(self) -> Pulled:
        done = await self.pull()
        await self.push()
        return done

    def sources(self, namespace: str = "app.generated") -> dict[str, str]:
        """The tools by name, with their sources."""
        return {entry.id.name: entry.source or "" for entry in self.house.registry.snapshot().entries(namespace)}


def fates(done: Pulled) -> dict[str, str]:
    return {str(item.subject): item.fate for item in done.items}


def files_of(*entries: Entry) -> dict[str, bytes | None]:
    return {
        f"{entry.id.namespace.replace('.', '/')}/{name}": content
        for entry in entries
        for name, content in to_files(entry).items()
    }
