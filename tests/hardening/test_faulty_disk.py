"""Each system call of the write path fails once, in several ways: a commit is whole or not there, and the next works.

The write path is that of a commit, and that of a turn, which publishes a tool and logs what it does.

The faults come from below Python, so that what SQLite and dulwich do is met too: `faults.c` stands before libc.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from faulty_writer import FAULTS

from micro_agi_kernel.values import many as how_many

HERE = Path(__file__).parent
FULL = os.environ.get("MICRO_AGI_FULL") == "1"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("a C compiler on Linux makes the library that the faults come from")
    made = tmp_path_factory.mktemp("faults") / "faults.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", made, HERE / "faults.c", "-ldl"], check=True)
    return made


@pytest.mark.parametrize("entries", [1, 120], ids=lambda entries: how_many(entries, "entry"))
@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_of_the_write_path_fails(library: Path, tmp_path: Path, fault: str, entries: int) -> None:
    stride = (1 if entries == 1 else 7) if FULL else 41
    seen = run(library, "faulty_writer.py", tmp_path, fault, str(stride), str(entries))
    assert seen["written"] > 0  # the last round met no fault
    if FULL and FAULTS[fault][1]:
        assert seen["refused"] > 0


@pytest.mark.parametrize("fault", FAULTS if FULL else ["disk full for a moment"])
def test_a_call_of_a_turn_fails(library: Path, tmp_path: Path, fault: str) -> None:
    seen = run(library, "faulty_turns.py", tmp_path, fault, str(3 if FULL else 37))
    assert seen["log whole"] > 0 and seen["written"] > 0


def run(library: Path, program: str, folder: Path, *arguments: str) -> dict[str, int]:
    """What a program of this folder saw under the faults."""
    command = [sys.executable, HERE / program, library, folder, *arguments]
    environment = {**os.environ, "LD_PRELOAD": os.fspath(library)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found
