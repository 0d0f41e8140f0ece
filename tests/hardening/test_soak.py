"""Turn after turn in one session and in one kernel: no file, process or memory stays behind for each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from soak import Soaked, in_kernel, in_session

FULL = os.environ.get("MICRO_AGI_FULL") == "1"
PROCESSES = 8
"""The zygote, spares and one at work are five."""
PER_TURN = 200 << 10
"""Bytes of memory: many times what a turn's messages take, a fiftieth of what a child of the jail has."""


def check(soaked: Soaked) -> None:
    assert soaked.files[-1] <= soaked.files[1] + 3, soaked.files
    assert max(soaked.processes) <= PROCESSES, soaked.processes
    assert soaked.growth < PER_TURN, soaked.memory


async def test_a_session(tmp_path: Path) -> None:
    check(await in_session(2_000 if FULL else 40, tmp_path))


@pytest.mark.skipif(not FULL, reason="two thousand cells take minutes: make test-full")
def test_a_kernel(tmp_path: Path) -> None:
    check(in_kernel(2_000, tmp_path))
