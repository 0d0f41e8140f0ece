"""JupyterLab in Chromium: how a cell looks while it runs and afterwards, in light and dark, and with the keyboard."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import nbformat
from lab_kit import browser_page, needs_chromium, open_notebook, run_all, running_lab

pytestmark = needs_chromium

SCRIPTED = Path(__file__).parents[1] / "jupyter" / "scripted_kernel.py"
THEMES = "config/lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings"
SOURCE = """\
-- Tells the time: $x^2$ <img src=x onerror="window.owned=1">
local time = require("time")
return { handler = function(input) return { utc = time.now():utc() } end }"""
DIFF = "--- clock.lua\n-return 1\n+return 2\n same\n"
ANSWER = (
    "The **time** is:\n\n| zone | time |\n|---|---|\n| UTC | noon |\n\n```lua\nlocal x = 1\n```\n\nAnd $E = mc^2$.\n"
    "It costs $5 and $6, not \\$7 and \\$8, nor &#36;9 and &#36;10.\n\n| a | b |\n|---|---|\n| $0.1 | $0.2 |\n"
)
HOSTILE = "</pre><img src=x onerror='window.owned=2'> $\\\\href{javascript:window.owned=3}{x}$ </style><script>"
CREATE = json.dumps({"name": "clock", "source": SOURCE})
CELLS = (
    f"""\
say I look it up.
call doc_search {{"query": "time"}}
finish doc_search
call create_tool {CREATE}
commit {json.dumps([SOURCE, ""])}
finish create_tool
call load_tool {{"id": "app.generated:clock"}}
finish load_tool
load app.generated:clock
call clock {json.dumps({"zone": HOSTILE})}
print {json.dumps(HOSTILE)}
finish clock
markdown {base64.b64encode(ANSWER.encode()).decode()}
spend""",
    f"commit {json.dumps([SOURCE, DIFF])}\ncall fetch {CREATE}\nfail_tool fetch\nerror no key: set OPENAI_API_KEY",
    'call slow {"n": 1}\nprint_lines 300\nprogress [3, 10, "pages"]\nstall',
)
CONTRAST = """(element) => {
  const channels = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
  let ground = [255, 255, 255];
  const over = [];
  for (let at = element; at; at = at.parentElement) over.unshift(channels(getComputedStyle(at).backgroundColor));
  const mix = (under, [r, g, b, a = 1]) => under.map((value, n) => value * (1 - a) + [r, g, b][n] * a);
  for (const color of over) ground = mix(ground, color);
  const light = (color) => {
    const [r, g, b] = color.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const [a, b] = [light(ground), light(mix(ground, channels(getComputedStyle(element).color)))];
  return Math.max(a, b) / Math.min(a, b);
}"""
"""How much a text stands out from what is behind it: 1 is not at all, 3 is what large or bold text needs."""


def check_first(cell: Any) -> None:
    """Calls fold, the tool is Lua in colours, the answer is rendered, the footer stands last."""
    shown = cell.inner_text()
    lines = ["I look it up", "doc_search ok", "create_tool ok", "commit", "load_tool ok", "clock ok", "The time is"]
    places = [shown.index(line) for line in [*lines, "2 steps, 1,200 tokens"]]
    assert places == sorted(places)
    assert cell.locator("summary >> text=doc_search").locator("..").get_attribute("open") is None
    code = cell.locator("code.language-lua")
    assert code.first.text_content() == SOURCE
    assert code.first.locator(".k").first.text_content() == "local"
    assert "no policy speaks of it: permitted (app:deny) · tests: 2 passed · modules: time" in shown
    assert cell.locator("td").all_text_contents() == ["UTC", "noon", "$0.1", "$0.2"]
    assert "It costs $5 and $6, not $7 and $8, nor $9 and $10." in shown
    assert cell.locator("mjx-container").count() == 1, "the answer's formula, and none of the tool's"


def check_second(cell: Any) -> None:
    """What changed is marked by signs and by colour; an error says what failed and what to do."""
    assert cell.locator("del").all_text_contents() == ["-return 1"]
    assert cell.locator("ins").all_text_contents() == ["+return 2"]
    assert "fetch error 0.1 s no such host" in cell.inner_text()
    assert "ModelError: no key: set OPENAI_API_KEY" in cell.inner_text()


def check_keyboard(page: Any, cell: Any) -> None:
    """Summaries are reached and opened without a mouse."""
    summary = cell.locator("summary >> text=clock ok")
    summary.focus()
    page.keyboard.press("Enter")
    assert summary.locator("..").get_attribute("open") is not None
    assert "</pre><img" in cell.locator("pre[aria-label=printed]").last.text_content()
    page.keyboard.press("Space")
    assert summary.locator("..").get_attribute("open") is None


def check_contrast(page: Any) -> None:
    page.evaluate("document.querySelectorAll('.magi details').forEach((each) => { each.open = true; })")
    for selector in (".magi .ok", ".magi .bad", ".magi .dim", ".magi pre", ".magi ins", ".magi del", ".magi .s"):
        for element in page.locator(selector).all():
            assert element.evaluate(CONTRAST) >= 3, (selector, element.text_content())


def test_cells_look_right_live_in_light_and_reopened_in_dark(tmp_path: Path) -> None:
    (tmp_path / THEMES).parent.mkdir(parents=True)
    (tmp_path / THEMES).write_text('{"theme": "JupyterLab Light"}')
    cells = [nbformat.v4.new_code_cell(cell, metadata={"tags": ["raises-exception"]}) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "scripted", "display_name": "Micro AGI", "language": "markdown"}
    (tmp_path / "work").mkdir()
    path = tmp_path / "work" / "x.ipynb"
    nbformat.write(notebook, path)
    argv = [sys.executable, str(SCRIPTED), "-f", "{connection_file}"]
    with running_lab(tmp_path, "scripted", argv) as lab, browser_page() as page:
        run_all(page, lab.format(path="x.ipynb"), until=".magi progress")
        first, second, third = page.locator(".jp-CodeCell .jp-OutputArea").all()
        page.wait_for_selector("mjx-container")
        check_first(first)
        check_second(second)
        assert third.locator("[role=status]").text_content() == "running"
        assert third.locator("pre").text_content().split() == [w for n in range(288, 300) for w in ("line", str(n))]
        page.screenshot(path=tmp_path / "running.png")
        page.click("[data-command='notebook:interrupt-kernel'], [title^='Interrupt']")
        page.wait_for_selector(".magi >> text=slow interrupted")
        check_keyboard(page, first)
        check_contrast(page)
        assert page.evaluate("window.owned") is None
        page.keyboard.press("Escape")
        page.keyboard.press("Control+s")
        page.wait_for_function("!document.querySelector('.jp-mod-dirty')")
        (tmp_path / THEMES).write_text('{"theme": "JupyterLab Dark"}')
        open_notebook(page, lab.format(path="x.ipynb"))
        page.wait_for_selector(".magi >> text=slow interrupted")
        page.wait_for_selector("[data-jp-theme-light=false]", state="attached")
        check_first(page.locator(".jp-CodeCell .jp-OutputArea").first)
        check_second(page.locator(".jp-CodeCell .jp-OutputArea").nth(1))
        check_contrast(page)
        assert page.evaluate("window.owned") is None
        page.screenshot(path=tmp_path / "reopened.png")
    saved = nbformat.read(path, as_version=4)
    texts = ["".join(o.data.get("text/plain", "") for o in cell.outputs if "data" in o) for cell in saved.cells]
    assert (
        "  [create_tool] ok\n  commit 5d6e7f800000 Create app.generated:clock\n  [load_tool] ok\n  [+] app" in texts[0]
    )
    assert "  | [3/10] pages\n  [slow] interrupted\n" in texts[2] and "running" not in texts[2]
