"""A JupyterLab of a test's own, and the browser that looks at it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
SECONDS = 60

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium")


@contextmanager
def running_lab(
    folder: Path, name: str, argv: list[str], environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """JupyterLab on `folder`/work with one kernel `name`; its address, with `{path}` for what to open."""
    kernel = folder / "share" / "kernels" / name
    kernel.mkdir(parents=True)
    spec = {"argv": argv, "display_name": "Micro AGI", "language": "markdown", "interrupt_mode": "message"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    work = folder / "work"
    work.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(8)
    own = {
        "HOME": str(folder),
        "JUPYTER_PATH": str(folder / "share"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ip=127.0.0.1", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}"]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (folder / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, env={**os.environ, **own, **(environment or {})}, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server)
        yield f"http://127.0.0.1:{port}/lab/tree/{{path}}?reset&token={token}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:  # it waits for a kernel that is at work
            server.kill()
            server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(SECONDS * 5):
        assert server.poll() is None, "JupyterLab ended at once"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail("JupyterLab did not start")


def setting(folder: Path, name: str, values: dict[str, str]) -> None:
    """Set what the JupyterLab in `folder` reads with its next page."""
    path = folder / "config" / "lab" / "user-settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def open_notebook(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=SECONDS * 1000)


def run_all(page: Any, address: str, until: str) -> None:
    """Open the notebook and run it until `until` matches; once more if the server lost the race for its websocket."""
    for attempt in (1, 2):
        try:
            open_notebook(page, address)
            page.click("text=Run >> nth=0")
            page.click("text=Run All Cells >> nth=0")
            page.wait_for_selector(until, timeout=SECONDS * 250)
            return
        except playwright.TimeoutError:
            if attempt == 2:
                raise


@contextmanager
def browser_page() -> Iterator[Any]:
    """A page of a headless Chromium."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser.new_page(viewport={"width": 1200, "height": 1900})
        browser.close()
