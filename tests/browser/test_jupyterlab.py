"""JupyterLab in Chromium: an answer grows and renders, and hostile Markdown runs nothing, live and reopened."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium")

SCRIPTED = Path(__file__).parents[1] / "jupyter" / "scripted_kernel.py"
SECONDS = 60

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
    """A JupyterLab of the test's own; its address with `{path}` for what to open."""
    kernel = tmp_path / "share" / "kernels" / "scripted"
    kernel.mkdir(parents=True)
    argv = [sys.executable, str(SCRIPTED), "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Micro AGI", "language": "markdown", "interrupt_mode": "message"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    work = tmp_path / "work"
    work.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(8)
    environment = os.environ | {
        "HOME": str(tmp_path),
        "JUPYTER_PATH": str(tmp_path / "share"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ip=127.0.0.1", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}"]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (tmp_path / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server)
        yield f"http://127.0.0.1:{port}/lab/tree/{{path}}?reset&token={token}"
    finally:
        server.terminate()
        server.wait(20)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(SECONDS * 5):
        assert server.poll() is None, "JupyterLab ended at once"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail("JupyterLab did not start")


def open_notebook(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=SECONDS * 1000)


def run_all(page: Any, address: str) -> None:
    """Open the notebook and run it to its error; once more when the server lost the race for its websocket."""
    for attempt in (1, 2):
        try:
            open_notebook(page, address)
            page.click("text=Run >> nth=0")
            page.click("text=Run All Cells >> nth=0")
            page.wait_for_selector(".jp-RenderedText[data-mime-type$=stderr]", timeout=SECONDS * 250)
            return
        except playwright.TimeoutError:
            if attempt == 2:
                raise


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
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1200, "height": 1900})
        requested: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        run_all(page, lab.format(path="x.ipynb"))
        page.wait_for_selector(".jp-RenderedMarkdown >> text=The end of the hostile answer")
        outputs = page.locator(".jp-Notebook .jp-OutputArea")
        answer = outputs.nth(0)
        assert "  [doc_search] ok\n" in answer.locator("pre").first.text_content()
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
        browser.close()
    saved = nbformat.read(path, as_version=4)
    nbformat.validate(saved)
    assert saved.cells[0].outputs[-1].metadata["micro_agi"]["registry"] == "b" * 40
    assert [output.output_type for output in saved.cells[2].outputs][-1] == "error"
