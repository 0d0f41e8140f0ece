"""The registry panel in JupyterLab in Chromium: used with mouse and keys, saved, and read again without its script."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from lab_kit import browser_page, needs_chromium, open_notebook, run_all, running_lab, setting
from many_tools import many_tools
from nbconvert import HTMLExporter

from micro_agi_kernel.entries import AGENT, Changeset, Entry, Operation
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.registry import CommitMessage, Person
from micro_agi_kernel.workspace import open_registry

pytestmark = needs_chromium

PERSON = Person("Ada", "ada@example.org")
HOSTILE = "</script><script>window.owned=1</script><img src=x onerror=\"window.owned=2\">' onclick='window.owned=3"
READY = ".jp-OutputArea .registry .tool"
SOURCE = '-- says when\nlocal time = require("time")\nreturn { handler = function() return time.now() end }\n'
"""Of a tool that its next version makes longer."""


def fill(home: Path) -> None:
    """20 tools: of one the source was changed, one is hostile."""
    first, evil, *others = many_tools(20)
    first = replace(first, data={**first.data, "source": SOURCE, "modules": ["time"]})
    meta = {**evil.meta, "title": HOSTILE, "llm_description": HOSTILE}
    evil = Entry(evil.id, evil.kind, meta, {**evil.data, "source": f"-- {HOSTILE}\n"})
    changed = replace(first, data={**first.data, "source": SOURCE.replace("time.now()", "time.now():unix()")})
    with open_registry(load_settings({"MICRO_AGI_HOME": str(home)})) as registry:
        for operations in (
            [Operation("create", each.id, each) for each in (first, evil, *others)],
            [Operation("update", changed.id, changed)],
        ):
            message = CommitMessage(AGENT, tests="2 passed", subject=f"A commit {HOSTILE}")
            changeset = Changeset(tuple(operations))
            registry.commit(changeset, message, author=PERSON, committer=PERSON, base=registry.snapshot())


def use(page: Any) -> None:
    """Filter, unfold and copy, with the keyboard where it can be."""
    tools = page.locator(READY)
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    box = page.get_by_label("Filter these tools")
    box.click()
    page.keyboard.type("add list INVOICES")  # JupyterLab's own keys a and d d would add and delete cells
    assert tools.locator("visible=true").count() == 0
    box.fill("list INVOICES")
    [row] = tools.locator("visible=true").all()
    assert page.locator(".registry [role=status]").inner_text() == "1 of 25 match"
    page.keyboard.press("Tab")  # to the table, which scrolls
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    row.locator("span.c", has_text="-- says when").wait_for()
    page.keyboard.press("Tab")  # the source
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    diff = row.get_by_role("region", name="what v3 changed")
    assert "-return { handler = function() return time.now() end }" in diff.inner_text()
    assert diff.locator("ins").last.inner_text() == "+return { handler = function() return time.now():unix() end }"
    line = row.locator(".line").first
    row.get_by_role("button", name=f"copy {line.inner_text()}").click()
    row.locator("button", has_text="copied").or_(row.locator("button", has_text="selected")).first.wait_for()
    assert page.evaluate("getSelection().toString()") == line.inner_text()
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert page.locator(".jp-Notebook.jp-mod-editMode").count() == 0


def scrolls_no_further_than_it_shows(page: Any) -> None:
    """With every fold open one thing scrolls, and no emptiness below it."""
    opened = """(open) => document.querySelectorAll('.registry details').forEach((each) => { each.open = open; })"""
    page.evaluate(opened, True)
    sizes = """(all) => [...all.querySelectorAll('.registry pre'), ...(function* up(at) {
        for (let each = at.parentElement; !each.matches('.jp-Cell'); each = each.parentElement) yield each;
    })(all.querySelector('.registry .all'))].map((each) => [each.className, each.scrollHeight - each.clientHeight])"""
    found = page.locator(".jp-Cell", has=page.locator(READY)).evaluate(sizes)
    assert len(found) > 30 and [(name, more) for name, more in found if more > 2] == []
    table = page.locator(".registry .all")
    assert table.evaluate("(all) => all.scrollHeight > all.clientHeight + 1000")
    page.evaluate(opened, False)


def has_colours(page: Any) -> None:
    """What differs, below the panel: in the colours of a commit, and in letters of one width."""
    diff = page.get_by_role("region", name="what changed")
    assert "--- list_invoices.lua" in diff.inner_text().split("@@")[0]
    style = "(each, name) => getComputedStyle(each)[name]"
    for tag, sign in (("ins", "+"), ("del", "-")):
        line = diff.locator(tag, has_text=f"{sign}return").first
        assert line.evaluate(style, "backgroundColor") not in ("", "rgba(0, 0, 0, 0)")
    assert "mono" in diff.locator("code").evaluate(style, "fontFamily")


def read(page: Any) -> None:
    """What is there without script and style too."""
    row = page.locator(READY.replace(".tool", "tbody") if page.locator(READY).count() else ".jp-OutputArea tbody")
    row = row.filter(has_text="list_invoices").first
    row.locator("summary").first.click()
    assert "says when" in row.inner_text()
    row.locator("details details summary").first.click()
    assert "+return { handler = function() return time.now():unix() end }" in row.inner_text()
    assert "%revert " in row.inner_text()
    assert HOSTILE in page.locator(".jp-OutputArea").first.inner_text()


def assert_inert(page: Any) -> None:
    outputs = page.locator(".jp-OutputArea")
    assert page.evaluate("window.owned") is None
    for selector in ("img", "[onclick]", "[onerror]", "iframe"):
        assert outputs.locator(selector).count() == 0, selector


@pytest.mark.filterwarnings("ignore:Your element with mimetype:UserWarning")  # the cell's revision, which is metadata
def test_the_panel_is_used_saved_and_read_again(tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    fill(home)
    work.mkdir()
    setting(tmp_path, "apputils-extension/themes", {"theme": "JupyterLab Light"})
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, ("%registry", "%diff main~1"))))
    notebook.metadata.kernelspec = {"name": "micro-agi", "display_name": "Micro AGI", "language": "markdown"}
    path = work / "x.ipynb"
    nbformat.write(notebook, path)
    argv = [sys.executable, "-m", "micro_agi_kernel", "-f", "{connection_file}"]
    environment = {"MICRO_AGI_HOME": str(home), "MICRO_AGI_MODEL": "demo"}
    with running_lab(tmp_path, "micro-agi", argv, environment) as lab, browser_page() as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        run_all(page, lab.format(path="x.ipynb"), until=READY)
        assert page.locator(READY).count() == 25
        page.get_by_role("region", name="what changed").wait_for()
        has_colours(page)
        scrolls_no_further_than_it_shows(page)
        use(page)
        page.screenshot(path=tmp_path / "panel.png")
        assert_inert(page)
        page.keyboard.press("Control+s")
        page.wait_for_function("!document.querySelector('.jp-mod-dirty')")

        setting(tmp_path, "apputils-extension/themes", {"theme": "JupyterLab Dark"})
        open_notebook(page, lab.format(path="x.ipynb"))
        page.locator(READY).first.wait_for()
        has_colours(page)
        read(page)
        page.screenshot(path=tmp_path / "reopened.png")
        assert_inert(page)

        # Another's notebook: nothing in it is trusted, its scripts and styles are left out.
        saved = json.loads(path.read_text("utf-8"))
        for cell in saved["cells"]:
            cell["metadata"].pop("trusted", None)
            cell["source"] = "%registry "
        saved["metadata"]["marked"] = "no signature knows it"
        (work / "other.ipynb").write_text(json.dumps(saved), "utf-8")
        open_notebook(page, lab.format(path="other.ipynb"))
        page.locator(".jp-OutputArea tbody").first.wait_for()
        assert page.locator(".jp-OutputArea input").count() == 0 and page.locator(".jp-OutputArea style").count() == 0
        read(page)
        page.screenshot(path=tmp_path / "untrusted.png")
        assert_inert(page)

        (tmp_path / "x.html").write_text(HTMLExporter().from_filename(str(path))[0], "utf-8")
        page.route("https://**", lambda route: route.abort())  # what nbconvert's own page loads
        page.goto((tmp_path / "x.html").as_uri())
        page.get_by_label("Filter these tools").fill("list invoices")
        assert page.locator(READY).locator("visible=true").count() == 1
        has_colours(page)
        read(page)
        page.screenshot(path=tmp_path / "nbconvert.png")
        assert page.evaluate("window.owned") is None
        assert not [error for error in errors if "require" not in error and "MathJax" not in error]
