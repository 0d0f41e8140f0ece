"""JupyterLab in Chromium, the shipped kernel, the guarded profile: a person is asked, answers, and types with Tab."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from lab_kit import SECONDS, browser_page, needs_chromium, run_all, running_lab

from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.workspace import open_registry

pytestmark = needs_chromium

ASKED = ".jp-Stdin-input"
DONE = '.jp-OutputArea p:has-text("The current UTC time is 20")'
MOST = 6
"""Questions of one cell: to write the tool, to load it, to call it."""


def answer_all(page: Any) -> list[str]:
    """Say yes to each question of the cell until it is answered; what stood in the output at each."""
    asked = []
    while len(asked) < MOST:
        page.wait_for_selector(f"{ASKED}, {DONE}", timeout=SECONDS * 1000)
        if not page.locator(ASKED).count():
            break
        asked.append(page.locator(".jp-CodeCell .jp-OutputArea").first.inner_text())
        line = page.locator(ASKED).first.element_handle()
        line.fill("y")
        line.press("Enter")
        line.wait_for_element_state("hidden")  # the next question has a line of its own
    page.wait_for_selector(DONE)
    return asked


def test_a_person_is_asked_and_types_with_tab(tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    work.mkdir()
    cells = [nbformat.v4.new_code_cell("what time is it?"), nbformat.v4.new_code_cell("")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "micro-agi", "display_name": "Micro AGI", "language": "markdown"}
    nbformat.write(notebook, work / "x.ipynb")
    argv = [sys.executable, "-m", "micro_agi_kernel", "-f", "{connection_file}"]
    own = {"MICRO_AGI_HOME": str(home), "MICRO_AGI_MODEL": "demo", "MICRO_AGI_PROFILE": "guarded"}
    with running_lab(tmp_path, "micro-agi", argv, own) as lab, browser_page() as page:
        run_all(page, lab.format(path="x.ipynb"), until=ASKED)
        asked = answer_all(page)
        assert "registry.create on app.generated:current_time_utc" in asked[0]
        for part in ("local time = require", "modules", "tests"):
            assert part in asked[0], asked[0]

        page.locator(".jp-CodeCell").nth(1).locator(".cm-content").click()
        page.keyboard.type("%re")
        page.keyboard.press("Tab")
        page.locator(".jp-Completer-item", has_text="%revert").first.click(timeout=SECONDS * 500)
        page.keyboard.type(" v")
        page.keyboard.press("Tab")
        page.wait_for_selector(".jp-Completer-item:has-text('v2')")
        page.screenshot(path=tmp_path / "tab.png")
        page.keyboard.press("Escape")
        page.keyboard.press("Home")
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+Tab")
        page.wait_for_selector(".jp-Tooltip:has-text('Undo what the commit REV did')")
        page.screenshot(path=tmp_path / "tip.png")
    with open_registry(load_settings({"MICRO_AGI_HOME": str(home)})) as registry:
        assert "approved by" in registry.version("main").trailers["Policy"]
