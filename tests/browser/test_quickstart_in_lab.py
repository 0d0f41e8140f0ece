"""The quickstart notebook as a newcomer sees it: JupyterLab, a real browser, the demo model, real commits."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
from lab_kit import browser_page, needs_chromium, run_all, running_lab

from micro_agi_kernel.entries import Changeset, Entry, EntryId, Operation
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.registry import CommitMessage, Person
from micro_agi_kernel.workspace import open_registry

pytestmark = needs_chromium

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"
PUBLIC = "https://httpbin.org/get"
ADDRESS = "203.0.113.9"
PERSON = Person("Ada", "ada@example.org")


@pytest.fixture
def service() -> Iterator[str]:
    """Stands on loopback for the public server that the notebook names: no test leaves this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"origin": ADDRESS}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/get"
        server.shutdown()


def permit_loopback(home: Path) -> None:
    policy = {"actions": "http_client.private_ip", "resources": "127.0.0.1", "effect": "allow"}
    entry = Entry(EntryId("app", "permit"), "security.policy", {}, {"policy": policy, "groups": ["tool_security"]})
    changeset = Changeset((Operation("create", entry.id, entry),))
    with open_registry(load_settings({"MICRO_AGI_HOME": str(home)})) as registry:
        base = registry.snapshot()
        registry.commit(changeset, CommitMessage("user:Ada"), author=PERSON, committer=PERSON, base=base)


def test_the_quickstart_runs_and_looks_right(tmp_path: Path, service: str) -> None:
    home = tmp_path / "home"
    permit_loopback(home)
    (tmp_path / "work").mkdir()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(PUBLIC, service)
    nbformat.write(notebook, tmp_path / "work" / "quickstart.ipynb")
    argv = [sys.executable, "-m", "micro_agi_kernel", "-f", "{connection_file}"]
    environment = {"MICRO_AGI_HOME": str(home), "MICRO_AGI_MODEL": "demo"}
    with running_lab(tmp_path, "micro-agi", argv, environment) as lab, browser_page() as page:
        run_all(page, lab.format(path="quickstart.ipynb"), until=f".jp-OutputArea >> text=Your IP is {ADDRESS}.")
        page.wait_for_selector(".jp-OutputArea >> text=The current UTC time is 20")  # rendered by and by
        page.screenshot(path=tmp_path / "quickstart.png")
        page.keyboard.press("Escape")
        page.keyboard.press("Control+s")
        page.wait_for_function("!document.querySelector('.jp-mod-dirty')")
        first, second = (page.locator(".jp-CodeCell .jp-OutputArea").nth(n).inner_text() for n in (0, 1))
    saved = nbformat.read(tmp_path / "work" / "quickstart.ipynb", as_version=4)
    assert [len(cell.outputs) > 0 for cell in saved.cells if cell.cell_type == "code"] == [True, True]
    assert saved.metadata == notebook.metadata, "to open the shipped notebook would mark it as unsaved"
    lines = ["doc_search ok", "create_tool ok", "Create app.generated:current_time_utc", "load_tool ok"]
    lines += ["+ app.generated:current_time_utc", "current_time_utc ok", "The current UTC time is 20"]
    places = [first.index(line) for line in lines]
    assert places == sorted(places)
    assert "+ app.generated:http_get" in second and "doc_search ok" not in second
    with open_registry(load_settings({"MICRO_AGI_HOME": str(home)})) as registry:
        subjects = [version.subject for version in registry.versions(2)]
    assert subjects == ["Create app.generated:http_get", "Create app.generated:current_time_utc"]
