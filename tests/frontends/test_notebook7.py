"""Notebook 7 in Chromium, with the demo model: an answer is rendered, the interrupt button stops a running tool."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nbformat
import pytest
from browser.lab_kit import browser_page, needs_chromium
from registries_kit import add_policy
from servers_kit import Server, free_ports, running

pytest.importorskip("notebook", reason="notebook is not installed")
pytestmark = needs_chromium

INTERRUPT = "[data-command='notebook:interrupt-kernel']"


class Stalling:
    """A server on loopback that is asked and never answers."""

    def __init__(self) -> None:
        self.asked, self.ended = threading.Event(), threading.Event()
        stalling = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stalling.asked.set()
                stalling.ended.wait()

            def log_message(self, *arguments: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def stalling() -> Iterator[Stalling]:
    service = Stalling()
    with service.server as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield service
        service.ended.set()
        server.shutdown()


def use(url: str, picture: Path, stalling: Stalling) -> None:
    """Run the three cells of the notebook at `url` one after the other, as a person does."""
    with browser_page() as page:
        page.goto(url)
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
        cells = page.locator(".jp-CodeCell")

        def run(number: int) -> Any:
            prompt = cells.nth(number).locator(".jp-InputPrompt")
            for _ in range(10):
                cells.nth(number).locator(".cm-content").click()
                page.keyboard.press("Shift+Enter")
                page.wait_for_timeout(1000)
                if prompt.inner_text() != "[ ]:":  # else it was lost, since the websocket was not there yet
                    break
            return cells.nth(number).locator(".jp-OutputArea")

        first = run(0)
        first.locator(".jp-RenderedMarkdown >> text=The current UTC time is 20").wait_for()
        second = run(1)
        assert stalling.asked.wait(30), "the tool is running"
        page.click(INTERRUPT)
        second.locator("text=Interrupted: the cell was stopped").wait_for()
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        third = run(2)
        third.locator(".jp-RenderedMarkdown >> text=/[0-9a-f]{8}-[0-9a-f]{4}-/").wait_for()
        page.screenshot(path=picture)


async def test_a_person_uses_notebook_7(home: Path, stalling: Stalling) -> None:
    add_policy("allow", "http_client.private_ip", "127.0.0.1", "tool_security")
    (home / "work").mkdir()
    fetch = f"fetch http://127.0.0.1:{stalling.server.server_port}/ and show my ip"
    sources = ["what time is it?", fetch, "make a uuid"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.metadata.kernelspec = {"name": "micro-agi", "display_name": "Micro AGI", "language": "markdown"}
    nbformat.write(notebook, home / "work" / "x.ipynb")
    [port] = free_ports(1)
    server = Server(f"http://127.0.0.1:{port}", "a-token-of-the-test")
    command = [sys.executable, "-m", "notebook", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={server.token}", f"--ServerApp.root_dir={home / 'work'}"]
    async with running(command, server, "/api/status", home / "notebook.log"):
        url = f"{server.url}/notebooks/x.ipynb?token={server.token}"
        await asyncio.to_thread(use, url, home / "notebook7.png", stalling)
