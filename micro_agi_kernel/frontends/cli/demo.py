"""`micro-agi demo`: two cells through a real kernel, with a model that needs no key, and the commits they leave."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click

from micro_agi_kernel.entries import Changeset, Entry, EntryId, Operation
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.frontends.cli.output import print_text
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.settings import load_settings
from micro_agi_kernel.values import Json
from micro_agi_kernel.workspace import Workspace

SHOWN_ADDRESS = "203.0.113.42"
"""What the demo's server says that the caller's address is: one of those reserved for documentation (RFC 5737)."""

CELL_SECONDS = 120


@click.command()
def demo() -> None:
    """Watch two prompts become two tools and two commits: no key, no network, nothing kept.

    A real kernel answers them with the embedded offline model, on a throw-away registry. The second
    prompt fetches from a small server on this machine, which a policy entry permits.
    """
    with tempfile.TemporaryDirectory(prefix="micro-agi-demo-") as home, _server() as address:
        environment = {**os.environ, "MICRO_AGI_HOME": home, "MICRO_AGI_MODEL": "demo"}
        environment = {key: value for key, value in environment.items() if key != "MICRO_AGI_REGISTRY"}
        registry = Path(home) / "registry.git"
        asyncio.run(_permit_server(environment))
        _run_cells(environment, ["what time is it?", f"fetch {address}/get and show my ip"])
        _show_log(registry)


async def _permit_server(environment: dict[str, str]) -> None:
    """Allow tools to reach this machine: a policy entry, written by the person who runs the demo."""
    workspace = Workspace(load_settings(environment))
    id = EntryId("app", "allow_demo_server")
    policy: Json = {"actions": "http_client.private_ip", "resources": "127.0.0.1", "effect": "allow"}
    entry = Entry(
        id,
        "security.policy",
        {
            "title": "The demo's server may be reached",
            "comment": "Opens 127.0.0.1 to tools, for the demo's second cell",
        },
        {"policy": policy, "groups": ["tool_security"]},
    )
    context = CallContext(f"user:{workspace.person.name}", lambda event: None, lambda text: None)
    try:
        await workspace.publishing.publish(Changeset((Operation("create", id, entry),)), context)
    finally:
        await workspace.close()


def _run_cells(environment: dict[str, str], prompts: list[str]) -> None:
    """Answer the prompts in one kernel and print what it sends, as it comes. Raises MicroAgiError when a cell fails."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import KernelManager

    manager = KernelManager()
    manager._kernel_spec = KernelSpec(  # a spec of our own: the demo needs no registered kernel
        argv=[sys.executable, "-m", "micro_agi_kernel", "-f", "{connection_file}"], interrupt_mode="message"
    )
    manager.start_kernel(env=environment)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=CELL_SECONDS)
        for prompt in prompts:
            print_text(f"> {prompt}")
            reply = client.execute_interactive(
                prompt, allow_stdin=True, output_hook=_print_message, stdin_hook=None, timeout=CELL_SECONDS
            )
            if reply["content"]["status"] != "ok":
                raise MicroAgiError(f"the cell {prompt!r} failed: {reply['content'].get('evalue')}")
            click.echo()
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def _print_message(message: dict[str, Any]) -> None:
    content = message["content"]
    if message["msg_type"] == "stream":
        print_text(content["text"], end=False)
    elif message["msg_type"] == "error":
        print_text(content["evalue"], to_stderr=True)


def _show_log(registry: Path) -> None:
    """The commits that the cells left, newest first, as git prints them."""
    git = shutil.which("git")
    if git is None:
        click.echo("git is not on PATH; `micro-agi registry log` reads such a registry without it")
        return
    arguments = ["log", "--no-decorate", "--grep=^Actor: service:agent"]
    click.echo("$ git " + " ".join(arguments))
    done = subprocess.run(
        [git, f"--git-dir={registry}", "--no-pager", *arguments], capture_output=True, text=True, check=True
    )
    print_text(done.stdout, end=False)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET /get like a service that tells callers their address."""

    def do_GET(self) -> None:
        body = json.dumps({"origin": SHOWN_ADDRESS, "url": self.path}).encode()
        self.send_response(200 if self.path == "/get" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    log_message: Callable[..., None] = lambda *_: None


@contextmanager
def _server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
