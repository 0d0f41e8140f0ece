"""Makes the pictures of the documentation anew: `make pictures`. A real JupyterLab, kernel and demo model.

What stands in the picture is what the kernel showed just now. Look at it before you commit it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from lab_kit import browser_page, run_all, running_lab

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs/images"
LARGEST = 150_000
"""Bytes of a picture: it is part of every clone."""


PICTURES = (
    ("notebook", ("what time is it?", '%call app.mine:primes {"upto": 10000}'), ".vega-embed", "reference"),
    ("approval", ("what time is it?",), ".jp-Stdin-input", "guarded"),
)
"""Name, cells, the last thing in the picture, profile."""


def photograph(page: Any, last: str, picture: Path) -> None:
    """The cells down to `last`, with the source of the new tool unfolded, without the controls around them."""
    controls = ".jp-cell-toolbar, .jp-Collapser, .jp-OutputArea-promptOverlay, .vega-embed summary"
    page.add_style_tag(content=f"{controls} {{ visibility: hidden !important }}")
    page.evaluate("document.querySelectorAll('details:has(code.language-lua)').forEach((each) => { each.open = true })")
    page.keyboard.press("Escape")
    page.wait_for_timeout(1000)  # what unfolds, and the chart, are drawn
    cell, end = (page.locator(place).first.bounding_box() for place in (".jp-Cell", last))
    height = end["y"] + end["height"] - cell["y"] + 8
    page.screenshot(path=picture, clip={**cell, "y": cell["y"] - 4, "height": height})
    assert picture.stat().st_size < LARGEST, f"{picture} has {picture.stat().st_size} bytes"


def take(name: str, cells: tuple[str, ...], last: str, profile: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        own = {"MICRO_AGI_HOME": str(folder / "home"), "MICRO_AGI_MODEL": "demo", "MICRO_AGI_PROFILE": profile}
        command = [Path(sys.executable).with_name("micro-agi"), "registry", "import", ROOT / "examples/tools"]
        subprocess.run(command, check=True, env={**os.environ, **own, "HOME": scratch})
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "micro-agi", "display_name": "Micro AGI", "language": "markdown"}
        (folder / "work").mkdir()
        nbformat.write(notebook, folder / "work/tour.ipynb")
        argv = [sys.executable, "-m", "micro_agi_kernel", "-f", "{connection_file}"]
        with running_lab(folder, "micro-agi", argv, own) as lab, browser_page() as page:
            page.set_viewport_size({"width": 1100, "height": 1800})
            run_all(page, lab.format(path="tour.ipynb"), until=last)
            photograph(page, last, IMAGES / f"{name}.png")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for each in PICTURES:
        take(*each)
