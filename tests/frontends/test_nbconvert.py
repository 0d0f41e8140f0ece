"""nbconvert to HTML: an executed notebook reads as it did, and nothing that a model said becomes a script."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from kernel_kit import Outputs, vscode
from model_server import ModelServer, Reply, text

nbconvert = pytest.importorskip("nbconvert", reason="nbconvert is not installed")

HOSTILE = """\
Plain **words**.

<script>owned()</script> <img src=x onerror="owned()"> <svg/onload=owned()> <iframe srcdoc="<script>owned()</script>">

[click](javascript:owned()) ![](x" onerror="owned()) [data](data:text/html,<script>owned()</script>)

```html
</code></pre><script>owned()</script>
```

$\\href{javascript:owned()}{x}$ $<img src=x onerror=owned()>$

| a | b |
|---|---|
| <script>owned()</script> | `<b onclick=owned()>` |
"""


class Page(HTMLParser):
    """What of a page could run or load something, counted; and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.active: Counter[str] = Counter()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "svg", "img", "form", "base", "meta", "link"):
            self.active[tag] += 1
        for name, value in attributes:
            address = "".join((value or "").split()).lower()
            if name.startswith("on") or address.startswith(("javascript:", "data:text", "vbscript:")):
                self.active[f"{name}={value}"] += 1

    def handle_data(self, data: str) -> None:
        self.text += data


def notebook(source: str, outputs: Outputs) -> nbformat.NotebookNode:
    found = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, outputs=outputs)])
    found.metadata.kernelspec = {"name": "micro-agi", "display_name": "Micro AGI", "language": "markdown"}
    nbformat.validate(found)
    return found


def answer(request: dict[str, Any]) -> Reply:
    return text(HOSTILE if "hostile" in str(request["messages"][-1]) else "Plain **words**.")


def executed(folder: Path) -> Page:
    """The page of a notebook that nbconvert ran itself, by its command line."""
    nbformat.write(notebook("hostile", []), folder / "x.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "x.ipynb"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return Page((folder / "x.html").read_text())


def saved(source: str, outputs: Outputs) -> Page:
    """The page of a notebook that was saved by a front end in which it ran."""
    return Page(nbconvert.HTMLExporter().from_notebook_node(notebook(source, outputs))[0])


@pytest.mark.filterwarnings("ignore:Your element with mimetype")  # what holds a cell's revision has no data
def test_notebooks_as_pages(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer(answer) as server:
        monkeypatch.setenv("MICRO_AGI_MODEL", "")
        monkeypatch.setenv("OPENAI_API_KEY", "anything")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with vscode() as code:
            friendly, hostile = (saved(source, code.run(source)[1]) for source in ("friendly", "hostile"))
        pages = [(friendly, hostile), (saved("hostile", []), executed(home))]
    assert "Plain words." in friendly.text
    for harmless, page in pages:
        assert "Plain words." in page.text, "Markdown is rendered"
        assert "<script>owned()</script>" in page.text, "it is there as text"
        assert page.active == harmless.active, "and as nothing else"
