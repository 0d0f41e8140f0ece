"""The notebook side beside the IPython kernel and pydantic-ai-kernel, in messages and in a real JupyterLab.

* from the start of a kernel to kernel_info's reply, and to the reply of a first cell
* memory of a kernel that is idle, and after 100 cells
* a cell whose tool prints 20,000 lines
* an answer of 200 kB in deltas of 20 characters, at once and over five seconds
* the lines again, in JupyterLab in Chromium: how long the page stood still; and the answer of five seconds
* 100,000 lines into the notebook's sink, without a front end

The model is a scripted server on loopback. IPython's kernel does with a few lines of Python what the others are asked
for: "Markdown" shows the answer 16 times a second as growing Markdown, as our kernel does. Kernels take turns, each run
is in a new one. "never": the client did not hear of the end of the cell, as ZeroMQ and Jupyter's server throw away what
comes too fast.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import _in_lab
import _printing
from _kernels import Kernel, Took, ipython, ours, pydantic_ai, running
from _rows import Found, Row, Size, main
from agent import Server

LINES: dict[Size, int] = {"quick": 200, "usual": 20_000, "large": 20_000}
CELLS: dict[Size, int] = {"quick": 2, "usual": 100, "large": 100}
RUNS: dict[Size, int] = {"quick": 1, "usual": 3, "large": 7}
Heads = Sequence[tuple[str, str]]
"""Of the figures of a kernel, what each is and its unit."""


def medians(columns: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, list[float]]:
    return {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in columns.items()}


def alternate(kernels: Sequence[Kernel], runs: int, one: Callable[[Kernel], Sequence[float]]) -> dict[str, list[float]]:
    """The medians of `runs` runs of each kernel, which take turns."""
    rows: dict[str, list[Sequence[float]]] = {kernel.name: [] for kernel in kernels}
    for _ in range(runs):
        for kernel in kernels:
            rows[kernel.name].append(one(kernel))
    return medians(rows)


def compared(task: str, heads: Heads, kernels: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    """Each figure of ours, the first, beside that of each other kernel."""
    (_, ours), *others = kernels.items()
    for number, (what, unit) in enumerate(heads):
        for name, theirs in others:
            yield Row("front_end", f"{task}: {what}", ours[number], unit, name, theirs[number])


def start(kernels: Sequence[Kernel], runs: int) -> Iterator[Row]:
    def one(kernel: Kernel) -> Sequence[float]:
        with running(kernel) as started:
            started.run("first")
            return started.to_kernel_info * 1000, (time.perf_counter() - started.began) * 1000

    alternate(kernels, 1, one)  # bytecode is compiled, our registry is made
    heads = [("kernel_info", "ms"), ("a first reply", "ms")]
    yield from compared("from the start of the kernel to", heads, alternate(kernels, runs, one))


def memory(kernels: Sequence[Kernel], runs: int, many: int) -> Iterator[Row]:
    def one(kernel: Kernel) -> Sequence[float]:
        with running(kernel) as started:
            idle = started.memory()
            for _ in range(many):
                started.run("turn")
            return *idle, *started.memory()

    heads = [(f"{when}{whose}", "MB") for when in ("idle", f"after {many} cells") for whose in ("", ", with children")]
    yield from compared("resident", heads, alternate(without_markdown(kernels), max(1, runs // 3), one))


def cells(kernels: Sequence[Kernel], runs: int, task: str, title: str) -> Iterator[Row]:
    def one(kernel: Kernel) -> Sequence[float]:
        with running(kernel) as started:
            started.run("ready")
            took: Took = started.run(task)
        return took.wall * 1000, took.cpu * 1000, took.messages, took.size / 1e6, took.gap * 1000

    heads = [("to the end", "ms"), ("processor", "ms"), ("messages", ""), ("messages", "MB"), ("longest gap", "ms")]
    yield from compared(title, heads, alternate(kernels, runs, one))


def in_lab(kernels: Sequence[Kernel], runs: int, task: str, title: str) -> Iterator[Found]:
    if missing := _in_lab.why_not():
        yield f"front_end: {title} was not measured without {missing}"
        return
    seen = _in_lab.in_lab(kernels, task, min(2, runs))
    heads = [("longest frame gap", "ms"), ("in gaps over 100 ms", "ms"), ("until all is there", "ms")]
    yield from compared(
        title, heads, {name: [each.longest * 1000, each.late * 1000, each.whole * 1000] for name, each in seen.items()}
    )


def without_markdown(kernels: Sequence[Kernel]) -> list[Kernel]:
    """Where IPython shows no Markdown, it stands there once."""
    return [*kernels[:2], *kernels[3:]]


def measured(kernels: Sequence[Kernel], size: Size) -> Iterator[Found]:
    runs, few = RUNS[size], max(1, RUNS[size] // 2)
    lines = f"{LINES[size]:,} lines"
    yield from start(kernels, runs)
    yield from memory(kernels, runs, CELLS[size])
    yield from cells(without_markdown(kernels), runs, "lines", lines)
    yield from cells(kernels, runs, "answer", "200 kB at once")
    yield from cells(kernels, few, "paced", "200 kB in five seconds")
    yield from in_lab(without_markdown(kernels), runs, "lines", f"{lines} in JupyterLab")
    yield from in_lab(kernels, runs, "paced", "200 kB in JupyterLab")
    yield from _printing.rows(min(5, 2 * runs))


def rows(size: Size) -> Iterator[Found]:
    server = Server()
    for name in [name for name in os.environ if name.startswith("MICRO_AGI_")]:
        del os.environ[name]
    os.environ |= {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "anything"}
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            home = Path(folder)
            kernels = [ours(home, LINES[size]), *ipython(LINES[size])]
            if importlib.util.find_spec("pydantic_ai_kernel"):
                kernels.append(pydantic_ai(home, server.url, LINES[size]))
            else:
                yield "front_end: pydantic-ai-kernel is not installed (the extra `bench`)"
            yield from measured(kernels, size)
    finally:
        server.close()


if __name__ == "__main__":
    main(rows, __doc__)
