"""Every benchmark, as one table: python -m benchmarks [--only PART] [--quick | --large] [--write docs/benchmarks.md]"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _page import page
from _rows import Found, Row, Size, add_size, from_json, head, line

HERE = Path(__file__).parent
PARTS = ("agent", "creation", "data_modules", "expr", "front_end", "registry", "sandbox", "soak")
"""Each is a script of this folder whose `rows` gives its rows."""


def measured(part: str, size: Size) -> Iterator[Found]:
    """What a script finds, in a process of its own: no part runs in what another left behind."""
    words: list[str | Path] = [
        sys.executable,
        HERE / f"{part}.py",
        "--json",
        *([] if size == "usual" else [f"--{size}"]),
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from map(from_json, process.stdout)
    if process.returncode:
        raise SystemExit(f"{part}: stopped with exit code {process.returncode}; nothing was written")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Runs every benchmark: one table.")
    parser.add_argument("--only", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write a page with the table too: a whole run")
    add_size(parser)
    chosen = parser.parse_args()
    if chosen.write and (chosen.only or chosen.size == "quick"):
        parser.error("--write is for a whole run: leave --only and --quick out")
    began, found = time.monotonic(), list[Found]()
    print(head())
    for part in [chosen.only] if chosen.only else PARTS:
        for each in measured(part, chosen.size):
            found.append(each)
            print(line(each) if isinstance(each, Row) else each, flush=True)
    if chosen.write:
        chosen.write.write_text(page(found, time.monotonic() - began))


if __name__ == "__main__":
    main()
