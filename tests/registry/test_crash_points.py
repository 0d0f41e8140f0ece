"""A writer that is killed at each step of the write path, one after the other: nothing acknowledged is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from registry_kit import fsck, git, rounds

from micro_agi_kernel.registry import Registry, audit, check_files

HERE = Path(__file__).parent

WRITER = """
import json, os, sys
from itertools import count
from pathlib import Path
import registry_kit as kit
from micro_agi_kernel.registry import Registry, lock, sidecar, sidecar_update
from micro_agi_kernel.registry.objects import Objects

path, stride, many = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
lock.STALE_SECONDS = 0.0  # what the dead one left is old at once
left = None  # steps that the writer may still take; None: nobody counts
steps = []

def step(name):
    global left
    if left is None:
        return
    steps.append(name)
    left -= 1
    if left < 0:
        os._exit(9)

def watch(event, arguments):
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.utime", "sqlite3.connect"):
        if isinstance(arguments[0], (str, bytes)) and str(path) in os.fsdecode(arguments[0]):
            step(event)

def counted(owner, name):
    real = getattr(owner, name)
    def wrapped(*args, **kwargs):
        step(f"before {name}")
        done = real(*args, **kwargs)
        step(f"after {name}")
        return done
    setattr(owner, name, wrapped)

sys.addaudithook(watch)
for owner, names in {
    os: ["fsync"],
    lock.WriteLock: ["__enter__", "__exit__", "_mark", "sweep"],
    Objects: ["new_tree", "write", "swap_head"],
    sidecar.Sidecar: ["follow"],
    sidecar_update.Update: ["step", "_add"],
}.items():
    for name in names:
        counted(owner, name)

def write(name, changes):
    with Registry.open(path) as registry:
        return kit.write(registry, kit.create(*(kit.tool(f"{name}_{n}") for n in range(changes)))).commit

kit.plant(Registry.create(path))
acknowledged, names = [write("first", 1)], []
for n in count(0, stride):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        registry = Registry.open(path)
        left = n
        commit = kit.write(registry, kit.create(*(kit.tool(f"killed{n}_{i}") for i in range(many)))).commit
        left = None
        os.write(writer, json.dumps([commit, steps]).encode())
        os._exit(0)
    os.close(writer)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = os.read(reader, 1 << 20)
    os.close(reader)
    acknowledged.append(write(f"next{n}", 1))  # goes on by itself
    with Registry.open(path) as registry:
        ids = [id.name for id in registry.snapshot().ids()]
        assert f"next{n}_0" in ids and sum(id.startswith(f"killed{n}_") for id in ids) in (0, many)
    if ended == 0:
        acknowledged.append(json.loads(said)[0])
        print(json.dumps([acknowledged, json.loads(said)[1]]))
        break
    assert ended == 9, ended
"""


def test_a_writer_killed_at_any_step_leaves_no_commit_or_the_whole_one(tmp_path: Path) -> None:
    for many in (1, 60):  # loose objects, and a pack
        path = tmp_path / f"{many}.git"
        # A fork is what it is about, whatever Python 3.12 and later say of threads that wait.
        quiet = ["-W", "ignore::DeprecationWarning"]
        command = [sys.executable, *quiet, "-c", WRITER, path, str(rounds(7, 1)), str(many)]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        acknowledged, steps = json.loads(done.stdout)
        assert {"after __enter__", "before swap_head", "after swap_head", "after write", "before follow"} <= set(steps)
        assert set(git(path, "rev-list", "main").split()) > set(acknowledged)
        fsck(path)
        with Registry.open(path) as registry:
            found = [*check_files(path, set()), *audit(registry)]
        assert "fail" not in {finding.status for finding in found}
        assert {"files", "objects", "index", "trailers"} <= {finding.check for finding in found}
