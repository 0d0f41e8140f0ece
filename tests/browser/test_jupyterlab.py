"""JupyterLab in Chromium: an answer grows and renders, and hostile Markdown runs nothing, live and reopened."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from lab_kit import browser_page, needs_chromium, open_notebook, run_all, running_lab

pytestmark = needs_chromium

SCRIPTED = Path(__file__).parents[1] / "jupyter" / "scripted_kernel.py"
ANSWER = """\
The current UTC time is **noon**: `if a < b` and [a page](https://example.com).

```python
if a < b:
    print("<b>not bold</b>")
```

| unit | value |
|---|---|
| hours | 12 |

1. First:
   ```html
   <b>shown</b>
   ```
2. Second, with $x < y$ inside.
"""
HOSTILE = """\
<img src=x onerror="window.owned=1"> <script>window.owned=2</script> <svg/onload=window.owned=3>

[click](javascript:window.owned=4) ![](x" onerror="window.owned=5) ![remote](https://127.0.0.1:9/pixel.png)

[a]: /url "x
```"
<img src=x onerror="window.owned=6">
```

> - ```
<img src=x onerror="window.owned=7">

https://e.com/$" onmouseover="window.owned=8" style="position:fixed;inset:0"$

$\\href{javascript:window.owned=9}{mathsclick}$ and $<img src=x onerror=window.owned=10>$ &#96;&#96;&#96;

```mermaid
graph TD; A["<img src=x onerror=window.owned=11>"]
```

~~~html
<img src=x onerror="window.owned=12">
~~~

The end of the hostile answer.
"""

TOUCH_ALL = """() => {
  for (const element of document.querySelectorAll(".jp-Notebook .jp-OutputArea-output *")) {
    element.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
    if (!element.closest("a[href^=http]")) element.dispatchEvent(new MouseEvent("click", {bubbles: true}));
  }
}"""


def script(text: str) -> str:
    return f"markdown {base64.b64encode(text.encode()).decode()}"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    with running_lab(tmp_path, "scripted", [sys.executable, str(SCRIPTED), "-f", "{connection_file}"]) as address:
        yield address


def assert_inert(page: Any) -> None:
    """No script ran, nothing waits to be clicked or hovered, nothing remote was asked for."""
    outputs = page.locator(".jp-Notebook .jp-OutputArea")
    assert page.evaluate("window.owned") is None
    for selector in ("script", "img", "svg[onload]", "[onerror]", "[onload]", "[onmouseover]", "a[href^=javascript]"):
        assert outputs.locator(selector).count() == 0, selector
    page.evaluate(TOUCH_ALL)
    assert page.evaluate("window.owned") is None


def test_answers_render_and_hostile_ones_stay_text(lab: str, tmp_path: Path) -> None:
    cells = [
        f"tool doc_search\npublish app.generated:current_time_utc\ntool create_tool\ntool load_tool\n"
        f'load app.generated:current_time_utc\nstart current_time_utc\nprint "asking the clock\\n"\n'
        f"finish current_time_utc\n{script(ANSWER)}",
        script(HOSTILE),
        "say Saved so far.\nerror no key: set OPENAI_API_KEY, or choose the demo model",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "scripted", "display_name": "Micro AGI", "language": "markdown"}
    path = tmp_path / "work" / "x.ipynb"
    nbformat.write(notebook, path)
    with browser_page() as page:
        requested: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        run_all(page, lab.format(path="x.ipynb"), until=".jp-RenderedText[data-mime-type$=stderr]")
        page.wait_for_selector(".jp-RenderedMarkdown >> text=The end of the hostile answer")
        outputs = page.locator(".jp-Notebook .jp-OutputArea")
        answer = outputs.nth(0)
        assert "doc_search ok" in answer.locator("summary, .magi").first.text_content()
        assert answer.locator("strong").text_content() == "noon"
        assert answer.locator("td").all_text_contents() == ["hours", "12"]
        assert 'print("<b>not bold</b>")' in answer.text_content()
        assert "<b>shown</b>" in answer.text_content()
        assert answer.locator("mjx-container").count() == 1
        page.screenshot(path=tmp_path / "live.png")
        assert_inert(page)
        page.keyboard.press("Escape")
        page.keyboard.press("Control+s")
        page.wait_for_function("!document.querySelector('.jp-mod-dirty')")

        open_notebook(page, lab.format(path="x.ipynb"))
        page.wait_for_selector(".jp-RenderedMarkdown >> text=The end of the hostile answer")
        page.screenshot(path=tmp_path / "reopened.png")
        assert_inert(page)
        assert not [url for url in requested if "127.0.0.1:9/" in url or url.startswith("https:")]
    saved = nbformat.read(path, as_version=4)
    nbformat.validate(saved)
    assert saved.cells[0].outputs[-1].metadata["micro_agi"]["registry"] == "b" * 40
    assert [output.output_type for output in saved.cells[2].outputs][-1] == "error"
