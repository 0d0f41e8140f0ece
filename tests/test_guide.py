"""The user guide: its commands and cells are run, its notebook too, and the site is built from it without a warning."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import nbformat
import pytest
from documents_kit import EXAMPLES, ROOT, prepare, read_blocks, reader, run, text_of
from model_server import ModelServer, Reply, text

from micro_agi_kernel.environment import load_settings

GUIDE = ROOT / "docs/guide"
PAGES = re.findall(r"^guide/(\w+)$", (ROOT / "docs/index.md").read_text(), re.MULTILINE)

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

NOT_RUN = {
    "python3 -m venv .venv && . .venv/bin/activate": "installs from the network",
    "jupyter lab": "starts a front end: the cells below it are run by a kernel with the same environment",
    "ollama pull qwen3:8b": "needs Ollama",
}
"""Blocks of the guide that no test runs, by their beginning, and why."""

PRICED = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
ANSWERS: dict[str, list[Reply]] = {
    "model": [text("I answer, and write tools where I lack one."), text("Hello.", usage=PRICED)],
    "local": [text("A small language.")],
}
"""What the model says in the pages for which the demo is not enough, in order."""

ADDRESSES = {"model": "https://models.example.com/v1", "local": "http://localhost:11434/v1"}
"""The server that such a page names."""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MICRO_AGI_SANDBOX_REQUIRE", "limits")  # what this machine can do is for other tests
    return prepare(tmp_path, monkeypatch)


def entry_for_a_local_server(address: str) -> str:
    """The commands that the page on local models sends its reader to, without the prompt at their end."""
    [commands] = [c for kind, c in read_blocks(EXAMPLES / "local_server.md") if c.startswith("git clone")]
    return commands.replace(ADDRESSES["local"], address).rpartition("micro-agi ask")[0]


def put_a_model_server(page: str, shell: Path, open: ExitStack, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A server on loopback in place of the one that the page names; what is to be replaced in the page."""
    server = open.enter_context(ModelServer(ANSWERS[page]))
    if page == "local":
        run(entry_for_a_local_server(server.url), shell)
    else:
        # In place of OpenAI's own address. Another name than the entry's: a key for this one is not for that one.
        monkeypatch.setenv("OPENAI_BASE_URL", server.url.replace("127.0.0.1", "localhost"))
    return {ADDRESSES[page]: server.url}


def test_every_block_is_one_that_a_reader_here_can_try() -> None:
    """A block of another kind would be passed over; settings are read by a test of their own."""
    found = {page: read_blocks(GUIDE / f"{page}.md") for page in PAGES}
    assert {kind for blocks in found.values() for kind, _ in blocks} == {"console", "cell", "output", "toml"}
    assert all(len(re.findall("```", (GUIDE / f"{page}.md").read_text())) == 2 * len(found[page]) for page in PAGES)
    sources = [source for blocks in found.values() for _, source in blocks]
    assert all(any(source.startswith(beginning) for source in sources) for beginning in NOT_RUN)


def test_the_settings_of_the_guide_are_settings(tmp_path: Path) -> None:
    for file in GUIDE.glob("*.md"):
        for kind, source in read_blocks(file):
            if kind == "toml":
                (tmp_path / "config.toml").write_text(source)
                load_settings({"MICRO_AGI_CONFIG": str(tmp_path / "config.toml")})


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_happens(page: str, shell: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = read_blocks(GUIDE / f"{page}.md")
    assert blocks
    with ExitStack() as open:
        replacements = put_a_model_server(page, shell, open, monkeypatch) if page in ANSWERS else {}
        open.enter_context(reader(shell, replacements)).read(blocks, NOT_RUN)


def test_the_tour_runs(shell: Path) -> None:
    """Charts, progress, history, undoing and replay; what is stored has no outputs."""
    stored = json.loads((EXAMPLES / "tour.ipynb").read_text())
    nbformat.validate(stored)
    quickstart = json.loads((EXAMPLES / "quickstart.ipynb").read_text())
    assert stored["metadata"] == quickstart["metadata"]
    cells = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    with reader(shell) as one:
        one.shell.run("cd examples")
        one.read(read_blocks(EXAMPLES / "tour.ipynb"), {})
        ran = {cell["id"]: one.run_cell("".join(cell["source"])) for cell in cells}
    forms = {form for output in ran["primes"] if "data" in output for form in output.data}
    assert {"application/vnd.vegalite.v5+json", "text/markdown"} <= forms
    shown = {name: text_of(outputs) for name, outputs in ran.items()}
    assert "[10/10] up to 10000" in shown["primes"] and '"primes": 1229' in shown["primes"]
    assert "Create app.generated:current_time_utc" in shown["log"] and "+local time = require" in shown["diff"]
    assert "Create app.generated:current_time_utc" in shown["revert"].partition("Reverts ")[2]
    assert "Delete app.generated:current_time_utc" in shown["again"].partition("Reverts ")[2]
    assert "app.generated:current_time_utc" in shown["registry"]
    assert "[+] app.generated:base64_text" in shown["replayed"] and "aGVsbG8=" in shown["replayed"]
    assert not [name for name, text in shown.items() if re.search("Error|Refused", text)]


def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("furo", reason="the extra docs is not installed")
    pytest.importorskip("myst_parser", reason="the extra docs is not installed")
    recipe = subprocess.run(["make", "-n", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [options] = re.findall(r"-m sphinx (.*) build/docs$", recipe, re.MULTILINE)
    command = [sys.executable, "-m", "sphinx", *options.split(), tmp_path / "site"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert {path.stem for path in pages} >= {"index", "by_hand", "registry", *PAGES}
    loads = re.compile(r"<(?:script|img|iframe)[^>]* src=\"(?:https?:)?//|<link[^>]* href=\"(?:https?:)?//")
    fetches = re.compile(r"@import|url\([\"']?(?:https?:)?//")
    assert not [page.name for page in pages if loads.search(page.read_text())]
    assert not [style.name for style in (tmp_path / "site").rglob("*.css") if fetches.search(style.read_text())]
