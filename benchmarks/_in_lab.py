"""Cells in a real JupyterLab in Chromium: how long the page stood still, and when all was there.

A script in the page notes when each of its frames is drawn, and when an output changed.
"""

from __future__ import annotations

import importlib.util
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
from _kernels import Kernel
from _model_process import LAST, PRINTED

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))

PATIENCE = 15
"""Seconds in which all has to be there."""

START = 60
"""Seconds in which a kernel has to be ready."""

WATCH = """
window.watched = {started: 0, frame: 0, longest: 0, late: 0, changed: 0};
window.watchAnew = () => {
  const now = performance.now();
  window.watched = {started: now, frame: now, longest: 0, late: 0, changed: now};
};
const frame = () => {
  const now = performance.now(), gap = now - window.watched.frame;
  window.watched.longest = Math.max(window.watched.longest, gap);
  window.watched.late += gap > 100 ? gap : 0;
  window.watched.frame = now;
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
new MutationObserver(changes => {
  const output = change => (change.target.parentElement || change.target).closest?.(".jp-OutputArea");
  if (changes.some(output)) window.watched.changed = performance.now();
}).observe(document, {subtree: true, childList: true, characterData: true});
"""
FIRST_RAN = "() => /[0-9]/.test(document.querySelector('.jp-CodeCell .jp-InputArea-prompt').textContent)"
WHOLE = """end => {
  const outputs = [...document.querySelectorAll(".jp-OutputArea-output")].slice(-5);
  return outputs.some(output => output.textContent.includes(end))
    && document.querySelector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    && performance.now() - window.watched.changed > 700;
}"""
"""Is the end there, the kernel idle, and the page at rest."""


@dataclass(frozen=True)
class Seen:
    """Seconds: the longest between two frames, the sum of those over 0.1 s, and until all was there (NaN: never)."""

    longest: float
    late: float
    whole: float


def why_not() -> str:
    """What is missing for it; empty when nothing is."""
    needed = [name for name in ("pytest", "playwright", "jupyterlab") if importlib.util.find_spec(name) is None]
    return ", ".join(needed + ([] if Path("/usr/bin/chromium").exists() else ["/usr/bin/chromium"]))


def in_lab(kernels: Sequence[Kernel], task: str, runs: int) -> dict[str, Seen]:
    """The medians of each kernel, which take turns, and of a page in which nothing happens."""
    from lab_kit import browser_page, running_lab

    seen: dict[str, list[Seen]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        names = [f"k{number}" for number in range(len(kernels))]
        for name, kernel in zip(names, kernels, strict=True):
            notebook(folder / "work", name, kernel.cells["ready"], kernel.cells[task])
        for name, kernel in zip(names[1:], kernels[1:], strict=True):
            register(folder, name, kernel)
        first = kernels[0]
        address = stack.enter_context(running_lab(folder, names[0], first.argv, first.environment))
        page = stack.enter_context(browser_page())
        page.set_default_timeout(START * 1000)
        page.add_init_script(WATCH)
        for _ in range(runs):
            for name, kernel in zip(names, kernels, strict=True):
                before = seen.setdefault(kernel.name, [])
                if before and math.isnan(before[-1].whole):
                    continue  # once is enough of a page that is stuck
                before.append(one(page, address.format(path=f"{name}.ipynb"), task))
                print(f"{kernel.name}: {before[-1]}", file=sys.stderr, flush=True)
                if kernel is kernels[0]:
                    seen.setdefault("a page at rest", []).append(at_rest(page))
    return {name: median(all) for name, all in seen.items()}


def one(page: Any, address: str, task: str) -> Seen:
    """The second cell of the notebook in a new kernel, after the first has warmed it."""
    import lab_kit

    lab_kit.open_notebook(page, address)
    page.click(".jp-Notebook .jp-Cell >> nth=0")
    page.keyboard.press("Escape")
    page.keyboard.press("0")  # twice: a new kernel
    page.keyboard.press("0")
    page.click(".jp-Dialog .jp-mod-accept")
    page.wait_for_timeout(500)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    page.click(".jp-Notebook .jp-Cell >> nth=0")
    page.keyboard.press("Shift+Enter")
    page.wait_for_function(FIRST_RAN)
    page.wait_for_timeout(500)
    page.evaluate("watchAnew()")
    page.keyboard.press("Shift+Enter")
    try:
        page.wait_for_function(WHOLE, arg=PRINTED if task == "lines" else LAST, timeout=PATIENCE * 1000)
    except lab_kit.playwright.TimeoutError:
        return replace(watched(page), whole=math.nan)
    return watched(page)


def at_rest(page: Any) -> Seen:
    page.evaluate("watchAnew()")
    page.wait_for_timeout(1000)
    return watched(page)


def watched(page: Any) -> Seen:
    found = page.evaluate("watched")
    return Seen(found["longest"] / 1000, found["late"] / 1000, (found["changed"] - found["started"]) / 1000)


def median(all: Sequence[Seen]) -> Seen:
    return Seen(*(statistics.median(getattr(each, name) for each in all) for name in ("longest", "late", "whole")))


def notebook(work: Path, name: str, *cells: str) -> None:
    work.mkdir(exist_ok=True)
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    content.metadata["kernelspec"] = {"name": name, "display_name": name}
    nbformat.write(content, work / f"{name}.ipynb")


def register(folder: Path, name: str, kernel: Kernel) -> None:
    place = folder / "share" / "kernels" / name
    place.mkdir(parents=True)
    spec = {"argv": kernel.argv, "display_name": name, "language": "python", "interrupt_mode": "message"}
    (place / "kernel.json").write_text(json.dumps(spec | {"env": dict(kernel.environment)}))
