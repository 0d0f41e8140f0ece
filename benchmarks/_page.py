"""The page docs/benchmarks.md: how its table is read, on which machine it was made, the table, and the aims missed."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from _rows import Found, Row, head, line

LIBRARIES = (
    *("ipykernel", "openai", "pydantic-ai-kernel", "pydantic-ai-slim", "smolagents", "llm", "pygit2"),
    *("jupyterlab", "jsonschema", "PyYAML", "google-re2"),
)
PROGRAMS = ("git", "chromium")

INTRODUCTION = """\
# Benchmarks

`make bench` runs every benchmark and prints one table; `make bench WRITE=docs/benchmarks.md` writes this page too.
`python -m benchmarks --only PART` runs one part, `--large` goes to the largest sizes, and `--quick` only tries whether
all of it runs. The extra `bench` installs those that stand beside ours; the git command and Chromium are the system's.

## How to read it

A row is one figure of ours beside the same of something known, from the same run: the two take turns where that can be.
*Times* is ours divided by theirs: below 1 ours is less, and less is better in every row. These ratios can be compared
between machines, milliseconds and megabytes cannot. Figures are medians unless a row says otherwise. *Never*: a client
did not hear of the end of a cell. An aim is for the ratio, or for our own figure where it has a unit.

What each part measures, and how, is told at the top of its script in `benchmarks/`. The model is a scripted server on
loopback that takes no time to think unless a row says so: what the programs themselves add is nearly all that is seen.
All live in one environment, which resolves; pydantic's plugins are off in it, as pydantic-ai would bring logfire into
every program that uses the `openai` client.
"""
NOT_YET = """
## The run

No run stands here yet: `make bench WRITE=docs/benchmarks.md` writes it.
"""


def page(found: Sequence[Found], seconds: float) -> str:
    """The page of a run that took `seconds`; without anything found, the page before any run."""
    if not found:
        return INTRODUCTION + NOT_YET
    rows = [each for each in found if isinstance(each, Row)]
    missed = [f"* {row.part}: {row.what}, beside {row.beside}" for row in rows if row.missed]
    said = [f"* {each}" for each in found if isinstance(each, str)]
    return "\n".join(
        [
            INTRODUCTION,
            f"## The run\n\n{_run(seconds)}\n",
            f"## The table\n\n{head()}",
            *map(line, rows),
            *(["\n## Besides\n", *said] if said else []),
            "\n## Aims that were not reached\n",
            *(missed or ["None."]),
            "",
        ]
    )


def _run(seconds: float) -> str:
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}, {seconds / 60:.0f} minutes",
        "commit": _said("git", "describe", "--always", "--dirty"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "beside ours": ", ".join([*map(_library, LIBRARIES), *(_said(name, "--version") for name in PROGRAMS)]),
    }
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {fact} |" for name, fact in facts.items())])


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((each.split(": ", 1)[1] for each in lines if each.startswith("model name")), platform.machine())


def _library(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} not installed"


def _said(*command: str) -> str:
    """The first line of what a program says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    except (OSError, subprocess.SubprocessError):
        return f"{command[0]} not there"
    return done.stdout.strip().partition("\n")[0]
