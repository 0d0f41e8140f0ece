"""The registry beside git and pygit2, with the seed alone and with 1,000 and 10,000 entries (`--large`: 100,000).

Each size is measured twice: in namespaces of 50 entries, and with all entries in app.generated, as an agent writes
them, which shards it. Ours, git and pygit2 take turns. All of ours is synced to the disk; so is what git writes; what
pygit2 writes is not. Reading stands beside a git command that reads the same: `git show` of a file, `git grep` of all.
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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path

from _rows import Found, Row, Size, main
from sandbox import python_megabytes

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
MOST: dict[Size, int] = {"quick": 0, "usual": 10_000, "large": 100_000}
GENERATED = "app.generated"
ROUNDS: dict[Size, int] = {"quick": 8, "usual": 15, "large": 15}
"""Commits of one entry, of which the first does not count; the seventh is the one that is looked for in the seed."""
CHANGESET: dict[Size, int] = {"quick": 10, "usual": 1_000, "large": 1_000}
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

    async def single(self, rounds: int) -> dict[str, float]:
        """Median seconds of a commit of one entry, by way."""
        taken: dict[str, list[float]] = {}
        for _ in range(rounds):
            new = self._new(1)
            files = self._files(new)
            await asyncio.sleep(0.05)  # the jail has a child ready by then, as after the pause of a model
            taken.setdefault("ours", []).append(await seconds(lambda: self._publish(new)))  # noqa: B023
            taken.setdefault("git", []).append(await seconds(lambda: self._git.commit(files)))  # noqa: B023
            if other := self._pygit2:
                taken.setdefault("pygit2", []).append(await seconds(lambda: other.commit(files)))  # noqa: B023
        return {way: statistics.median(found[1:]) for way, found in taken.items()}

    async def many(self, count: int) -> dict[str, float]:
        """Median seconds of a changeset of `count` entries."""
        taken: dict[str, list[float]] = {}
        for _ in range(3):
            new = self._new(count)
            taken.setdefault("ours", []).append(await seconds(lambda: self._publish(new)))  # noqa: B023
            files = self._files(new)
            taken.setdefault("objects", []).append(await seconds(lambda: self._write(files)))  # noqa: B023
            if other := self._pygit2:
                taken.setdefault("pygit2", []).append(await seconds(lambda: other.commit(files)))  # noqa: B023
        return {way: statistics.median(found) for way, found in taken.items()}

    def reading(self) -> list[tuple[float, float]]:
        """Ours and git's: milliseconds to open and get, to find for the first time, to find again; the megabytes of our
        process and of a bare Python."""
        shutil.rmtree(self.path / "micro-agi")  # the index, which the first question builds
        snapshot = self._workspace.registry.snapshot()
        id = next(iter(snapshot.ids(self._namespace)))
        path = snapshot.layout.entry_path(id)
        said = [
            subprocess.check_output([sys.executable, "-c", READER, self.path, str(id)], text=True).split()
            for _ in range(4)
        ]
        first, again = [float(word) for word in said[0]], [[float(word) for word in line] for line in said[1:]]
        opening, finding = (statistics.median(line[n] for line in again) for n in (0, 2))
        show, grep = (self._by_git(*words) for words in (("show", f"{REF}:{path}"), ("grep", "-q", "color 7$", REF)))
        most = max(line[3] for line in [first, *again])
        return [(opening, show), (first[1], grep), (finding, grep), (most, python_megabytes())]

    def _by_git(self, *words: str) -> float:
        """The median of three runs of a git command, in milliseconds."""
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run(["git", "-C", self.path, *words], check=False, capture_output=True)
            taken.append((time.perf_counter() - start) * 1000)
        return statistics.median(taken)

    async def close(self) -> None:
        self._objects.close()
        await self._workspace.close()


def compared(where: str, entries: int, one: dict[str, float], count: int, many: dict[str, float]) -> Iterator[Row]:
    aim = {0: 0.5, 10_000: 0.2}.get(entries)

    def row(what: str, ours: float, beside: str, theirs: float, most: float | None = None) -> Row:
        return Row("registry", f"{where}: {what}", ours * 1000, "ms", beside, theirs * 1000, most=most)

    yield row("commit of one entry", one["ours"], "git add and commit", one["git"], aim)
    if pygit2:
        yield row("commit of one entry", one["ours"], "objects by pygit2", one["pygit2"])
        yield row(f"{count:,} entries in one commit", many["ours"], "objects by pygit2", many["pygit2"], 6)
        yield row(
            f"{count:,} entries in one commit, our objects alone",
            many["objects"],
            "objects by pygit2",
            many["pygit2"],
            2,
        )


READS = (
    ("open and get", "ms", "git show", 50),
    ("first find, which makes the index", "ms", "git grep", None),
    ("find by meta", "ms", "git grep", 25),
    ("memory at most", "MB", "a bare Python", 150),
)
"""What is read, its unit, what stands beside it, and the aim with 100,000 entries."""


async def rows(size: Size) -> AsyncIterator[Found]:
    if not pygit2:
        yield "registry: pygit2 is not installed (the extra `bench`)"
    most, grown = MOST[size], dict[tuple[int, bool], float]()
    for entries in (entries for entries in SIZES if entries <= most):
        for crowded in (False, True) if entries else (True,):
            place = "in app.generated" if crowded else "in namespaces of 50"
            where = f"{entries:,} entries {place}" if entries else "the seed alone"
            with tempfile.TemporaryDirectory() as folder:
                measured = Measured(Path(folder), entries, crowded)
                one, many = await measured.single(ROUNDS[size]), await measured.many(CHANGESET[size])
                for row in compared(where, entries, one, CHANGESET[size], many):
                    yield row
                for (what, unit, beside, aim), (ours, theirs) in zip(READS, measured.reading(), strict=True):
                    limit = aim if entries == 100_000 else None
                    yield Row("registry", f"{where}: {what}", ours, unit, beside, theirs, limit=limit)
                await measured.close()
            grown[entries, crowded] = one["ours"]
            if entries > 1_000:
                ours, theirs = one["ours"] * 1000, grown[1_000, crowded] * 1000
                aim = 3 if entries == 100_000 else None
                what = f"{where}: commit of one entry"
                yield Row("registry", what, ours, "ms", f"1,000 entries {place}", theirs, most=aim)


if __name__ == "__main__":
    main(rows, __doc__)
