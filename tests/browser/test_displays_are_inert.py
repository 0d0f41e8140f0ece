"""What tools display, in JupyterLab in Chromium: charts, pictures and tables are drawn; hostile ones do nothing."""

from __future__ import annotations

import base64
import json
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import nbformat
from display_payloads import ASK, BAR, HTML, MARKDOWN, SVG, VEGA_REFUSED, VEGA_TRIMMED
from lab_kit import browser_page, needs_chromium, open_notebook, run_all, running_lab, setting

from micro_agi_kernel.frontends.displays import safe_bundle

pytestmark = needs_chromium

SCRIPTED = Path(__file__).parents[1] / "jupyter" / "scripted_kernel.py"
CHART = "application/vnd.vegalite.v5+json"
TABLE = """\
<table><caption>Sold in a week</caption><thead><tr><th>day</th><th>sold</th></tr></thead><tbody>
<tr><td>Mon</td><td style="text-align:right">3</td></tr><tr><td>Tue</td><td style="text-align:right">7</td></tr>
<tr><td>all</td><td style="text-align:right;color:white;background-color:#800">$10, not $12</td></tr></tbody></table>"""
PICTURE = """\
<svg viewBox="0 0 200 60" width="200" height="60"><defs><linearGradient id="g"><stop offset="0" stop-color="gold"/>
<stop offset="1" stop-color="teal"/></linearGradient></defs><rect width="200" height="60" rx="9" fill="url(#g)"/>
<text x="20" y="38" font-size="24">drawn as SVG</text></svg>"""
LAST = "The last display."

TOUCH_ALL = """() => {
  for (const element of document.querySelectorAll(".jp-Notebook .jp-OutputArea-output *")) {
    for (const name of ["mouseover", "mousemove", "focus", "toggle", "animationstart"])
      element.dispatchEvent(new MouseEvent(name, {bubbles: true, clientX: 150, clientY: 150}));
    if (!element.closest("a[href^=http]")) element.dispatchEvent(new MouseEvent("click", {bubbles: true}));
  }
}"""
OUT_OF_PLACE = """() => [...document.querySelectorAll(".jp-OutputArea-output [role=group] *")].filter((element) =>
  ["fixed", "absolute", "sticky"].includes(getComputedStyle(element).position) || element.id || element.className
).map((element) => element.outerHTML)"""
"""What leaves its place or imitates others, of what a tool's HTML made."""
PUT_IN_TWICE = """(markups) => {
  const mended = [];
  for (const markup of markups) {
    const place = document.createElement("div");
    document.body.append(place);
    place.innerHTML = markup;
    const once = place.innerHTML;
    place.innerHTML = once;
    if (place.innerHTML !== once) mended.push(markup);
    for (const element of place.querySelectorAll("*")) {
      for (const name of ["mouseover", "toggle"]) element.dispatchEvent(new MouseEvent(name, {bubbles: true}));
      if (!element.closest("a[href^=http]")) element.dispatchEvent(new MouseEvent("click", {bubbles: true}));
    }
  }
  return mended;
}"""


def png() -> str:
    """80 by 40 pixels, red, as base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xd0\x20\x20" * 80) * 40
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 80, 40, 8, 2, 0, 0, 0))
    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    ).decode()


def displays(form: str, *contents: Any) -> str:
    """A cell that displays each."""
    return "\n".join(f"display {json.dumps({form: content})}" for content in contents)


def cells() -> list[str]:
    good = [displays("text/html", TABLE), displays("image/svg+xml", PICTURE), displays("image/png", png())]
    good += [displays("text/markdown", "*Markdown* with `code`"), displays("application/json", {"a": [1, 2]})]
    good += [displays(CHART, {**BAR, "mark": {"type": "bar", "tooltip": True}}), 'progress [3, 10, "three of ten"]']
    made = ["start show\n" + "\n".join(good)]
    for form, payloads in (
        ("text/html", HTML),
        ("image/svg+xml", SVG),
        ("text/markdown", MARKDOWN),
        (CHART, VEGA_REFUSED + VEGA_TRIMMED),
    ):
        made += [
            f"start show\n{displays(form, *payloads[n : n + 12])}\nfinish show" for n in range(0, len(payloads), 12)
        ]
    return [*made, f"say {LAST}"]


def check(page: Any) -> None:
    page.wait_for_selector(f".jp-RenderedMarkdown >> text={LAST}")
    first = page.locator(".jp-Notebook .jp-OutputArea").first
    first.locator(".vega-embed canvas, .vega-embed svg.marks").first.wait_for()
    assert page.evaluate("document.querySelectorAll('.vega-embed .error').length") == 0
    for kind in ("image/svg+xml", "image/png"):
        picture = first.locator(f"[data-mime-type='{kind}'] img")
        assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") in (80, 200)
    assert first.locator("td").all_text_contents() == ["Mon", "3", "Tue", "7", "all", "$10, not $12"]
    assert first.locator("progress").first.evaluate("(bar) => bar.position") == 0.3
    assert page.locator(".jp-OutputArea [role=group] mjx-container, .jp-OutputArea [role=group] .MathJax").count() == 0
    assert page.evaluate("window.owned") is None
    page.evaluate(TOUCH_ALL)
    page.wait_for_timeout(200)  # a tooltip comes, and what it would load
    assert page.evaluate("window.owned") is None
    assert page.evaluate(OUT_OF_PLACE) == []
    outputs = page.locator(".jp-Notebook .jp-OutputArea-output:not(:has(.vega-embed))")  # that one has an empty form
    for selector in (
        "script",
        "iframe",
        "form",
        "[role=group] style",
        "[onerror]",
        "[onclick]",
        "a[href^=javascript]",
        "base",
    ):
        assert outputs.locator(selector).count() == 0, selector


def picture_of(page: Any, path: Path) -> None:
    """For people to look at: the first cell, its call unfolded."""
    bar = page.locator(".jp-Notebook .jp-OutputArea progress").first
    page.evaluate("document.querySelector('.jp-WindowedPanel-outer')?.scrollTo(0, 0)")
    if not bar.is_visible():
        page.locator(".jp-Notebook .jp-OutputArea summary").first.click()
    assert bar.is_visible()
    page.screenshot(path=path)


def test_displays_are_drawn_and_hostile_ones_do_nothing(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells()])
    for cell in notebook.cells:
        cell.metadata["jupyter"] = {"source_hidden": True}
    notebook.metadata.kernelspec = {"name": "scripted", "display_name": "Micro AGI", "language": "markdown"}
    (tmp_path / "work").mkdir()
    setting(tmp_path, "notebook-extension/tracker", {"windowingMode": "none"})  # all cells are in the page
    nbformat.write(notebook, tmp_path / "work" / "x.ipynb")
    argv = [sys.executable, str(SCRIPTED), "-f", "{connection_file}"]
    with running_lab(tmp_path, "scripted", argv) as lab, browser_page() as page:
        requested: list[str] = []
        opened: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        page.on("popup", lambda popup: opened.append(f"popup {popup.url}"))
        page.on("dialog", lambda dialog: (opened.append(dialog.type), dialog.accept()))
        run_all(page, lab.format(path="x.ipynb"), until=f".jp-RenderedMarkdown >> text={LAST}")
        check(page)
        picture_of(page, tmp_path / "displays.png")
        page.keyboard.press("Escape")
        page.keyboard.press("Control+s")
        page.wait_for_function("!document.querySelector('.jp-mod-dirty')")
        setting(tmp_path, "apputils-extension/themes", {"theme": "JupyterLab Dark"})
        open_notebook(page, lab.format(path="x.ipynb"))
        check(page)
        picture_of(page, tmp_path / "reopened.png")

        # A page that puts markup in by itself, as other front ends do: nothing is mended into something else.
        page.goto("about:blank")
        made = [safe_bundle({form: text}) for form, all in _MARKUPS for text in all]
        markups = [bundle[form] for bundle in made for form, _ in _MARKUPS if form in bundle]
        assert len(markups) > 70
        assert page.evaluate(PUT_IN_TWICE, markups) == []
        assert page.evaluate("window.owned") is None
        assert set(opened) <= {"beforeunload"}, "JupyterLab asks before a notebook is left"
        assert [url for url in requested if url.startswith(("https:", ASK)) or ":9/" in url] == []


_MARKUPS = (("text/html", HTML), ("image/svg+xml", SVG))
