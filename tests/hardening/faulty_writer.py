"""Run by test_faulty_disk.py under the preloaded faults.c: one write for each call of the write path that may fail.

Arguments: the library, a folder for registries, the name of a fault, how many steps are left out between two, and how
many entries a changeset has. Prints what was seen as JSON.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import sys
from collections import Counter
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))

import registry_kit as kit
import sidecar_kit

from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.registry import Registry, lock

NAMES, WRITES, SYNCS, LOCKS, REMOVES = 1, 2, 4, 8, 16
ALL = NAMES | WRITES | SYNCS | LOCKS | REMOVES
FAULTS = {
    "disk full": (errno.ENOSPC, True, NAMES | WRITES),
    "disk full for a moment": (errno.ENOSPC, False, NAMES | WRITES),
    "disk broken": (errno.EIO, True, ALL),
    "disk broken for a moment": (errno.EIO, False, ALL),
    "permission lost": (errno.EACCES, True, NAMES | REMOVES),
    "read-only": (errno.EROFS, True, NAMES | WRITES | REMOVES),
    "too many open files": (errno.EMFILE, True, NAMES),
    "a signal": (errno.EINTR, False, ALL),
    "half a write": (0, False, WRITES),
    "no locks": (errno.ENOLCK, True, LOCKS),
}


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def main(library: str, folder: Path, fault: str, stride: int, many: int) -> None:
    lock.STALE_SECONDS = 0.0  # what could not be removed is old at once
    faults = ctypes.CDLL(library)
    faults.faults_last.restype, faults.faults_clock.argtypes = ctypes.c_char_p, [ctypes.c_long]
    error, lasting, kinds = FAULTS[fault]
    path = folder / f"{fault.replace(' ', '-')}-{many}.git"
    with Registry.create(path) as registry:
        kit.plant(registry)
        kit.write(registry, kit.create(kit.tool("warm_up")))  # what is made once, is made: threads, imports
    seen: Counter[str] = Counter()
    before = open_files()
    for n in count(0, stride):
        with Registry.open(path) as registry:
            if n % 2:
                registry.snapshot().ids()  # the index is open already
            changes = kit.create(*(kit.tool(f"faulty{n}_{i}") for i in range(many)))
            faults.faults_arm(os.fsencode(path), n, error, lasting, kinds)
            try:
                kit.write(registry, changes)
                said = ""
            except MicroAgiError as failure:
                said = str(failure)
            finally:
                hits = faults.faults_disarm()
            at = re.sub(r"[0-9a-f_]{8,}", "*", faults.faults_last().decode())
            where = f"{fault} at {n}: {at}: {said}"
            ids = {id.name for id in registry.snapshot().ids()}
            there = sum(f"faulty{n}_{i}" in ids for i in range(many))
            assert there == (0 if said else many), where
            assert "\n" not in said and "Errno" not in said and len(said) < 300, where
            assert lasting or not (path / "refs" / "heads" / "main.lock").exists(), where
            seen["refused" if said else "written"] += 1
            kit.write(registry, kit.create(kit.tool(f"next{n}")))  # in the process that met the fault
            sidecar_kit.agree(registry)
        assert open_files() == before, where
        if not hits:
            break
    kit.fsck(path)
    jump(faults, path)
    print(json.dumps({"steps": n, **seen}))


def jump(faults: ctypes.CDLL, path: Path) -> None:
    """Writes while the clock on the wall stands somewhere else."""
    with Registry.open(path) as registry:
        for year, seconds in (("1970", 1), ("before", 1_700_000_000), ("2038", 1 << 31), ("2100", 4_102_444_800)):
            faults.faults_clock(seconds)
            commit = kit.write(registry, kit.create(kit.tool(f"in_{year}")))
            faults.faults_clock(0)
            assert int(commit.time.timestamp()) == seconds, (year, commit.time)
        kit.write(registry, kit.create(kit.tool("now_again")))
        sidecar_kit.agree(registry)
    kit.fsck(path)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
