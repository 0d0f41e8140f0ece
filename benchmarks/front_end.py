"""The notebook side beside the IPython kernel and pydantic-ai-kernel, in messages and in a real JupyterLab.

    python benchmarks/front_end.py [PART ...] [--runs N] [--peers FOLDER | --no-peers]

    start       from the start of a kernel to kernel_info's reply, and to the reply of a first cell
    memory      of a kernel that is idle, and after 100 cells
    lines       a cell whose tool prints 20,000 lines
    answer      an answer of 200 kB in deltas of 20 characters, at once and over five seconds
    lab-lines   the lines again, in JupyterLab in Chromium: how long the page stood still
    lab-answer  the answer of five seconds in JupyterLab
    printing    100,000 lines into the notebook's sink, without a front end

The model is a scripted server on loopback. IPython's kernel does with a few lines of Python what the others are asked
for: "Markdown" shows the answer 16 times a second as growing Markdown, as our kernel does. pydantic-ai-kernel is
installed from PyPI into an environment below FOLDER (a temporary one unless told). Kernels take turns, each run is in a
new one, and figures are medians: rows of one table can be compared, machines cannot. "never": the client did not hear
of the end of the cell, as ZeroMQ and Jupyter's server throw away what comes too fast.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import _in_lab
import _printing
from _kernels import Kernel, Took, ipython, ours, pydantic_ai, running
from agent import Server, installed

PARTS = ("start", "memory", "lines", "answer", "lab-lines", "lab-answer", "printing")
PEER = "pydantic-ai-kernel"
LINES = 20_000
CELLS = 100


def medians(columns: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, list[float]]:
    return {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in columns.items()}


def alternate(kernels: Sequence[Kernel], runs: int, one: Callable[[Kernel], Sequence[float]]) -> dict[str, list[float]]:
    """The medians of `runs` runs of each kernel, which take turns."""
    rows: dict[str, list[Sequence[float]]] = {kernel.name: [] for kernel in kernels}
    for _ in range(runs):
        for kernel in kernels:
            rows[kernel.name].append(one(kernel))
    return medians(rows)


def show(title: str, heads: Sequence[str], rows: Mapping[str, Sequence[float]]) -> None:
    """A table; behind each figure, how many times ours it is, where ours is not nothing."""
    print(f"{title:32}" + "".join(f"{head:>22}" for head in heads))
    first = next(iter(rows.values()))
    for name, row in rows.items():
        cells = (figures(figure, mine) for figure, mine in zip(row, first, strict=True))
        print(f"{name:32}" + "".join(cells), flush=True)
    print()


def figures(figure: float, mine: float) -> str:
    if math.isnan(figure):
        return f"{'never':>14}{'':8}"
    return f"{figure:14,.{digits(figure)}f}" + (f"{figure / mine:8.2f}" if mine else f"{'':8}")


def digits(figure: float) -> int:
    return 0 if figure >= 1000 else 1


def start(kernels: Sequence[Kernel], runs: int) -> None:
    def one(kernel: Kernel) -> Sequence[float]:
        with running(kernel) as started:
            started.run("first")
            return started.to_kernel_info * 1000, (time.perf_counter() - started.began) * 1000

    alternate(kernels, 1, one)  # bytecode is compiled, our registry is made
    show("from the start of the kernel", ["ms to kernel_info", "ms to a first reply"], alternate(kernels, runs, one))


def memory(kernels: Sequence[Kernel], runs: int) -> None:
    def one(kernel: Kernel) -> Sequence[float]:
        with running(kernel) as started:
            idle = started.memory()
            for _ in range(CELLS):
                started.run("turn")
            return *idle, *started.memory()

    heads = ["MB idle", "with children", f"MB after {CELLS} cells", "with children"]
    show("resident", heads, alternate(kernels[:2] + kernels[3:], max(1, runs // 3), one))


def cells(kernels: Sequence[Kernel], runs: int, task: str, title: str) -> None:
    def one(kernel: Kernel) -> Sequence[float]:
        with running(kernel) as started:
            started.run("ready")
            took: Took = started.run(task)
        return took.wall * 1000, took.cpu * 1000, took.messages, took.size / 1e6, took.gap * 1000

    heads = ["ms", "CPU ms", "messages", "MB", "longest gap, ms"]
    show(title, heads, alternate(kernels, runs, one))


def lines(kernels: Sequence[Kernel], runs: int) -> None:
    cells(kernels[:2] + kernels[3:], runs, "lines", f"{LINES:,} lines")


def answer(kernels: Sequence[Kernel], runs: int) -> None:
    cells(kernels, max(1, runs // 2), "answer", "200 kB at once")
    cells(kernels, max(1, runs // 2), "paced", "200 kB in five seconds")


def in_lab(kernels: Sequence[Kernel], runs: int, task: str, title: str) -> None:
    if missing := _in_lab.why_not():
        print(f"{title}: not measured without {missing}\n")
        return
    seen = _in_lab.in_lab(kernels, task, max(1, min(3, runs // 2)))
    heads = ["longest frame gap, ms", "in gaps > 100 ms, ms", "ms until all is there"]
    rows = {name: [each.longest * 1000, each.late * 1000, each.whole * 1000] for name, each in seen.items()}
    show(title, heads, dict(sorted(rows.items(), key=lambda row: row[0] == "a page at rest")))


def lab_lines(kernels: Sequence[Kernel], runs: int) -> None:
    in_lab([*kernels[:2], *kernels[3:]], runs, "lines", f"{LINES:,} lines in JupyterLab")


def lab_answer(kernels: Sequence[Kernel], runs: int) -> None:
    in_lab(kernels, runs, "paced", "200 kB in JupyterLab")


def printing(kernels: Sequence[Kernel], runs: int) -> None:
    _printing.report()


MEASURES: dict[str, Callable[[Sequence[Kernel], int], None]] = dict(
    zip(PARTS, (start, memory, lines, answer, lab_lines, lab_answer, printing), strict=True)
)


def measure(parts: Sequence[str], runs: int, peers: Path | None, folder: Path) -> None:
    server = Server()
    for name in [name for name in os.environ if name.startswith("MICRO_AGI_")]:
        del os.environ[name]
    os.environ |= {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "anything"}
    try:
        kernels = [ours(folder, LINES), *ipython(LINES)]
        if peers is not None:
            try:
                kernels.append(pydantic_ai(installed(peers / PEER, PEER), folder, server.url, LINES))
            except (OSError, subprocess.SubprocessError) as error:
                reason = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1:]
                print(f"{PEER}: not measured: {''.join(reason)[:100]}\n", flush=True)
        print(f"median of {runs} runs (fewer where they are long); behind each figure, how many times ours it is\n")
        for part in parts:
            MEASURES[part](kernels, runs)
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them unless named")
    parser.add_argument("--runs", type=int, default=7, help="runs of each (default 7)")
    parser.add_argument("--peers", type=Path, help="folder for the environment of the other kernel, kept")
    parser.add_argument("--no-peers", action="store_true", help="leave the other kernel out")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        peers = None if chosen.no_peers else (chosen.peers or Path(temporary) / "peers").absolute()
        measure(chosen.parts or PARTS, chosen.runs, peers, Path(temporary))


if __name__ == "__main__":
    main()
