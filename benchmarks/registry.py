"""How fast a one-entry commit is beside `git add` and `git commit` in a work tree: python benchmarks/registry.py"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange, Operation
from micro_agi_kernel.registry import CommitMessage, Person, Registry
from micro_agi_kernel.registry.layout import FORMAT_CONTENT, FORMAT_FILE

SEED = 20
SIZES = (SEED, 1_000)
ROUNDS = 40
PERSON = Person("Benchmark", "benchmark@example.com")


def entry(namespace: str, name: str, source: str) -> Entry:
    data = {"source": f"return {{ handler = function() return {source} end }}\n", "modules": ["time"]}
    return Entry(EntryId.parse(f"{namespace}:{name}"), "function.lua", {"type": "tool"}, data)


def fill(registry: Registry, size: int) -> None:
    """`size` entries in namespaces of 50."""
    entries = [entry(f"app.n{number // 50}", f"tool_{number}", str(number)) for number in range(size)]
    operations = tuple(Operation("create", e.id, e) for e in entries)
    changeset = Changeset(operations, (FileChange(FORMAT_FILE, FORMAT_CONTENT),))
    commit(registry, changeset, "service:installer")


def commit(registry: Registry, changeset: Changeset, actor: str = "service:agent") -> None:
    registry.commit(changeset, CommitMessage(actor), author=PERSON, committer=PERSON, base=registry.snapshot())


def median_ms(step: Callable[[int], None]) -> float:
    step(-1)
    times = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        step(number)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1_000


def git(folder: Path, *args: str) -> None:
    who = {f"GIT_{role}_{what}": "b@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *args], cwd=folder, env={**os.environ, **who}, check=True, capture_output=True)


def measure(size: int, folder: Path) -> tuple[float, float]:
    """Median milliseconds of one commit: ours, and git's in a clone of the same registry."""
    with Registry.create(folder / "registry.git") as registry:
        fill(registry, size)
        git(folder, "clone", "-q", "registry.git", "clone")

        def ours(number: int) -> None:
            new = entry("app.generated", f"new_{number + 1}", str(number))
            commit(registry, Changeset((Operation("create", new.id, new),)))

        def theirs(number: int) -> None:
            place = folder / "clone" / "app" / "generated"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"new_{number + 1}.yaml").write_text("kind: function.lua\ndata:\n  source: file://x.lua\n")
            (place / f"new_{number + 1}.lua").write_text(f"return {number}\n")
            git(folder / "clone", "add", "-A")
            git(folder / "clone", "-c", "core.fsync=loose-object,reference", "commit", "-q", "-m", "Create a tool")

        return median_ms(ours), median_ms(theirs)


def main() -> None:
    print(f"{'entries':>8} {'ours, ms':>10} {'git, ms':>10} {'ours/git':>10}")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = measure(size, Path(folder))
        print(f"{size:>8} {ours:>10.1f} {theirs:>10.1f} {ours / theirs:>10.2f}")


if __name__ == "__main__":
    main()
