"""The registry beside git and pygit2, with the seed alone and with many entries. `python benchmarks/registry.py [MOST]`

MOST entries are the largest registry measured: 10,000 unless told otherwise, the aims are for 100,000 (a few minutes).
Each size is measured twice: in namespaces of 50 entries, and with all entries in app.generated, as an agent writes
them, which shards it. A row is one run: ours, git and pygit2 take turns, and only the ratios of a row can be compared
between machines. All of ours is synced to the disk; so is what git writes; what pygit2 writes is not.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from micro_agi_kernel.entries import Changeset, Entry, EntryId, Operation, to_files
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.commits import new_commit
from micro_agi_kernel.registry.layout import FLAT, FORMAT_FILE, SHARD_ABOVE, Layout, format_content
from micro_agi_kernel.registry.objects import Objects, Written
from micro_agi_kernel.registry.storing import NewObject
from micro_agi_kernel.workspace import Workspace, open_registry

try:
    import pygit2
except ImportError:  # pip install "micro-agi-kernel[bench]"
    pygit2 = None

SIZES = (0, 1_000, 10_000, 100_000)
GENERATED = "app.generated"
ROUNDS = 15
CHANGESET = 1_000
WHO = "Benchmark <benchmark@example.com>"
REF = "refs/heads/main"

READER = """
import sys, time
from pathlib import Path
from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.registry import Registry
path, id, what = Path(sys.argv[1]), EntryId.parse(sys.argv[2]), {"meta.color": "color 7"}
Registry.open(path).close()  # what is imported once in a process is not what is measured
def timed(action):
    start = time.perf_counter()
    found = action()
    return found, (time.perf_counter() - start) * 1000
def open_and_get():
    opened = Registry.open(path)
    return opened, opened.snapshot().get(id)
(opened, entry), opening = timed(open_and_get)
_, building = timed(lambda: opened.snapshot().find(what))
found, finding = timed(lambda: opened.snapshot().find(what))
assert entry is not None and (found or "color" not in entry.meta)
opened.close()
# Not ru_maxrss, which a process inherits from the one that started it.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(opening, building, finding, int(peak) / 1024)
"""


def entry(id: str, number: int) -> Entry:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    meta = {"type": "tool", "comment": f"Tool {number}", "color": f"color {number % 5000}", "input_schema": schema}
    source = f"return {{ handler = function(input) return {number} end }}\n"
    return Entry(EntryId.parse(id), "function.lua", meta, {"source": source, "method": "handler", "modules": ["time"]})


def creating(entries: Iterable[Entry]) -> Changeset:
    return Changeset(tuple(Operation("create", each.id, each) for each in entries))


def fill(registry: Registry, size: int, crowded: bool) -> None:
    """`size` entries beside the seed, as one pack: quicker than a commit, which would check and index them."""
    head = registry.snapshot()
    layout = Layout(frozenset({GENERATED})) if crowded and size > SHARD_ABOVE else FLAT
    written: dict[str, bytes] = {FORMAT_FILE: format_content(layout)}
    for number in range(size):
        made = entry(f"{GENERATED if crowded else f'app.n{number // 50}'}:tool_{number}", number)
        files = to_files(made)
        written[layout.entry_path(made.id)] = files[f"{made.id.name}.yaml"]
        written[layout.source_path(made.id)] = files[f"{made.id.name}.lua"]
    made_objects: list[NewObject] = []
    tree = registry.objects.new_tree(head.tree, written, made_objects)
    made_objects.append(commit := new_commit(tree, [head.commit], WHO, WHO, b"Fill\n"))
    registry.objects.write(made_objects)
    assert registry.objects.swap_head(head.commit, commit.id)


class Git:
    """A clone with a work tree; git syncs what it writes, as we do."""

    def __init__(self, registry: Path) -> None:
        self._clone = registry.parent / "clone"
        self._run(registry.parent, "clone", "-q", os.fspath(registry), "clone")
        self._run(self._clone, "config", "core.fsync", "loose-object,reference")

    def commit(self, files: dict[str, bytes]) -> None:
        for path, content in files.items():
            file = self._clone / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        self._run(self._clone, "add", *files)
        self._run(self._clone, "commit", "-q", "-m", "Create a tool")

    def _run(self, folder: Path, *args: str) -> None:
        who = {f"GIT_{role}_{what}": "b@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        subprocess.run(["git", *args], cwd=folder, env={**os.environ, **who}, check=True, capture_output=True)


class Pygit2:
    """Blobs, trees and a commit, written by libgit2 into a copy of the registry."""

    def __init__(self, registry: Path) -> None:
        copy = registry.parent / "pygit2.git"
        shutil.copytree(registry, copy)
        self._repository = pygit2.Repository(os.fspath(copy))

    def commit(self, files: dict[str, bytes]) -> None:
        head = self._repository.references[REF].target
        tree = self._tree(self._repository[head].tree_id, {tuple(path.split("/")): c for path, c in files.items()})
        who = pygit2.Signature("b", "b@example.com")
        self._repository.create_commit(REF, who, who, "Create a tool", tree, [head])

    def _tree(self, old: pygit2.Oid | None, files: dict[tuple[str, ...], bytes]) -> pygit2.Oid:
        builder = self._repository.TreeBuilder(old) if old else self._repository.TreeBuilder()
        folders: dict[str, dict[tuple[str, ...], bytes]] = {}
        for (name, *rest), content in files.items():
            if rest:
                folders.setdefault(name, {})[tuple(rest)] = content
            else:
                builder.insert(name, self._repository.create_blob(content), pygit2.enums.FileMode.BLOB)
        for name, inside in folders.items():
            there = builder.get(name)
            builder.insert(name, self._tree(there.id if there else None, inside), pygit2.enums.FileMode.TREE)
        return builder.write()


async def seconds(step: Callable[[], Awaitable[object] | None]) -> float:
    os.sync()  # else whoever syncs first pays for what the others wrote
    start = time.perf_counter()
    if (waiting := step()) is not None:
        await waiting
    return time.perf_counter() - start


class Measured:
    """One registry: what each way of writing takes, in turns."""

    def __init__(self, folder: Path, size: int, crowded: bool) -> None:
        path = folder / "registry.git"
        settings = load_settings(registry=os.fspath(path))
        with open_registry(settings) as registry:
            if size:
                fill(registry, size, crowded)
            self._layout = registry.snapshot().layout  # of the clones; ours may shard meanwhile
        self.path, self._namespace = path, GENERATED if crowded or not size else "app.n0"
        self._git, self._pygit2 = Git(path), Pygit2(path) if pygit2 else None
        # A copy too: what is written past the index would have to be caught up with by the next commit.
        self._objects = Objects(shutil.copytree(path, folder / "objects.git"))
        self._workspace = Workspace(settings)
        self._count = 0

    def _new(self, count: int) -> list[Entry]:
        first = self._count = self._count + count
        return [entry(f"{self._namespace}:new_{n}", n) for n in range(first, first + count)]

    def _files(self, entries: Iterable[Entry]) -> dict[str, bytes]:
        folder = self._layout.folder
        return {f"{folder(e.id)}/{name}": content for e in entries for name, content in to_files(e).items()}

    def _publish(self, entries: list[Entry]) -> Awaitable[object]:
        actor = "service:agent" if self._namespace == GENERATED else "user:Benchmark"
        return self._workspace.publishing.publish(creating(entries), CallContext(actor))

    def _write(self, files: Written) -> None:
        """Our own objects and branch, without policies, checks and index: what pygit2 does."""
        objects, made = self._objects, list[NewObject]()
        head = objects.head() or ""
        tree = objects.new_tree(objects.commit(head).tree, files, made)
        made.append(commit := new_commit(tree, [head], WHO, WHO, b"Create a tool\n"))
        objects.write(made)
        objects.swap_head(head, commit.id)

    async def single(self) -> dict[str, float]:
        """Median seconds of a commit of one entry, by way."""
        taken: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            new = self._new(1)
            files = self._files(new)
            await asyncio.sleep(0.05)  # the jail has a child ready by then, as after the pause of a model
            taken.setdefault("ours", []).append(await seconds(lambda: self._publish(new)))  # noqa: B023
            taken.setdefault("git", []).append(await seconds(lambda: self._git.commit(files)))  # noqa: B023
            if other := self._pygit2:
                taken.setdefault("pygit2", []).append(await seconds(lambda: other.commit(files)))  # noqa: B023
        return {way: statistics.median(found[1:]) for way, found in taken.items()}

    async def many(self) -> dict[str, float]:
        """Median seconds of a changeset of CHANGESET entries."""
        taken: dict[str, list[float]] = {}
        for _ in range(3):
            new = self._new(CHANGESET)
            taken.setdefault("ours", []).append(await seconds(lambda: self._publish(new)))  # noqa: B023
            files = self._files(new)
            taken.setdefault("objects", []).append(await seconds(lambda: self._write(files)))  # noqa: B023
            if other := self._pygit2:
                taken.setdefault("pygit2", []).append(await seconds(lambda: other.commit(files)))  # noqa: B023
        return {way: statistics.median(found) for way, found in taken.items()}

    def reading(self) -> list[float]:
        """Milliseconds to open and get, to find for the first time, to find again; megabytes of the process."""
        shutil.rmtree(self.path / "micro-agi")  # the index, which the first question builds
        id = str(next(iter(self._workspace.registry.snapshot().ids(self._namespace))))
        said = [
            subprocess.check_output([sys.executable, "-c", READER, self.path, id], text=True).split() for _ in range(4)
        ]
        first, again = [float(word) for word in said[0]], [[float(word) for word in line] for line in said[1:]]
        opening, finding = (statistics.median(line[n] for line in again) for n in (0, 2))
        return [opening, first[1], finding, max(line[3] for line in [first, *again])]

    async def close(self) -> None:
        self._objects.close()
        await self._workspace.close()


def ratio(found: dict[str, float], way: str, by: str) -> str:
    return f"{found[way] / found[by]:.2f}" if by in found else "-"


async def main(most: int) -> None:
    heads = ("one entry, ms", "/ git", "/ pygit2", "1,000 entries, ms", "/ pygit2", "objects / pygit2")
    reads = ("open + get, ms", "first find, ms", "find, ms", "MB")
    print(f"{'entries':>8} {'in':16} " + " ".join(f"{head:>{max(8, len(head))}}" for head in heads + reads))
    grown: dict[tuple[int, bool], float] = {}
    for size in (size for size in SIZES if size <= most):
        for crowded in (False, True) if size else (True,):
            with tempfile.TemporaryDirectory() as folder:
                measured = Measured(Path(folder), size, crowded)
                one, many = await measured.single(), await measured.many()
                row = [f"{one['ours'] * 1000:.1f}", ratio(one, "ours", "git"), ratio(one, "ours", "pygit2")]
                row += [f"{many['ours'] * 1000:.0f}", ratio(many, "ours", "pygit2"), ratio(many, "objects", "pygit2")]
                row += [f"{value:.1f}" for value in measured.reading()]
                await measured.close()
            where = "the seed" if not size else "app.generated" if crowded else "namespaces of 50"
            cells = (f"{cell:>{max(8, len(head))}}" for cell, head in zip(row, heads + reads, strict=True))
            print(f"{size or 'seed':>8} {where:16} " + " ".join(cells), flush=True)
            grown[size, crowded] = one["ours"]
    if most > 1_000:
        growth = (f"{grown[most, crowded] / grown[1_000, crowded]:.1f}" for crowded in (False, True))
        print(f"\none entry, {most:,} entries against 1,000: {' and '.join(growth)} times")
    print("aims: one entry 0.5 of git in the seed, 0.2 at 10,000, 3 times from 1,000 to 100,000; 1,000 entries 6 times")
    print("pygit2, their objects 2 times; at 100,000 open + get 50 ms, find 25 ms, 150 MB")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 10_000))
