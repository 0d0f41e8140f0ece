"""`micro-agi demo`: two cells through a real kernel, with a model that needs no key, and the commits they leave."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click

from micro_agi_kernel.entries import AGENT, Changeset, Entry, EntryId, Operation
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.frontends.cli.output import print_text
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.policy.policies import POLICY_KIND
from micro_agi_kernel.resources import resource
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.values import Json
from micro_agi_kernel.workspace import Workspace, open_registry

SHOWN_ADDRESS = "203.0.113.42"
"""What the demo's server says that the caller's address is: one of those reserved for documentation (RFC 5737)."""

CELL_SECONDS = 120


@click.command(short_help="Watch two prompts become two tools and two commits.")
def demo() -> None:
    """Watch two prompts become two tools and two commits: no key, no network, nothing kept.

    A real kernel answers them with the embedded offline model, on a throw-away registry. The second
    prompt fetches from a small server on this machine, which a policy entry permits.
    """
    with tempfile.TemporaryDirectory(prefix="micro-agi-demo-") as home, _server() as address:
        environment = _environment(Path(home))
        settings = load_settings(environment)
        asyncio.run(_permit_server(settings))
        _run_cells(environment, ["what time is it?", f"fetch {address}/get and show my ip"])
        _show_log(settings)


def _environment(home: Path) -> dict[str, str]:
    """The person's environment without their settings: nothing of theirs is read, and nothing written."""
    config = home / "config.toml"
    config.write_text('model = "demo"\nrender.front_end = "terminal"\nrender.color = false\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MICRO_AGI_")}
    own = {"HOME": home, "CONFIG": config, "REGISTRY": home / "registry.git"}  # not that of a project either
    return {**environment, **{f"MICRO_AGI_{name}": str(path) for name, path in own.items()}}


async def _permit_server(settings: Settings) -> None:
    """Allow tools to reach this machine: a policy entry, written by the person who runs the demo."""
    workspace = Workspace(settings)
    id = EntryId("app", "allow_demo_server")
    policy: Json = {"actions": "http_client.private_ip", "resources": "127.0.0.1", "effect": "allow"}
    entry = Entry(
        id,
        POLICY_KIND,
        {
            "title": "The demo's server may be reached",
            "comment": "Opens 127.0.0.1 to tools, for the demo's second cell",
        },
        {"policy": policy, "groups": ["tool_security"]},
    )
    context = CallContext(f"user:{workspace.person.name}")
    try:
        await workspace.publishing.publish(Changeset((Operation("create", id, entry),)), context)
    finally:
        await workspace.close()


def _run_cells(environment: dict[str, str], prompts: list[str]) -> None:
    """Answer the prompts in one kernel and print what it sends, as it comes. Raises MicroAgiError when that fails."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import KernelManager

    spec = KernelSpec.from_resource_dir(str(resource("kernelspec")))  # the demo needs no registered kernel
    spec.argv[0] = sys.executable
    manager = KernelManager()
    manager._kernel_spec = spec
    manager.start_kernel(env=environment)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=CELL_SECONDS)
        for prompt in prompts:
            print_text(f"> {prompt}")
            reply = client.execute_interactive(
                prompt, allow_stdin=False, output_hook=_print_message, timeout=CELL_SECONDS
            )
            if reply["content"]["status"] != "ok":
                raise MicroAgiError(f"the cell {prompt!r} failed: {reply['content'].get('evalue')}")
            click.echo()
    except (RuntimeError, TimeoutError) as error:  # jupyter_client: the kernel died, or says nothing
        raise MicroAgiError(f"the kernel does not answer ({error}): `micro-agi doctor` may say why") from error
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def _print_message(message: Mapping[str, Any]) -> None:
    content = message["content"]
    if message["msg_type"] == "stream":
        print_text(content["text"], end=False)


def _show_log(settings: Settings) -> None:
    """The commits that the cells left, newest first, as git prints them; without git, as we read them."""
    arguments = ["log", "--no-decorate", f"--grep=^Actor: {AGENT}"]
    git = shutil.which("git")
    if git is None:
        click.echo("git is not on PATH; this is what `git log` would print:")
        print_text(_log(settings), end=False)
        return
    click.echo(f"$ git {shlex.join(arguments)}")
    environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}  # no colours, no aliases
    command = [git, "--no-pager", f"--git-dir={settings.registry_path}", *arguments]
    print_text(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout, end=False)


def _log(settings: Settings) -> str:
    """The agent's commits, in the form of `git log`."""
    with open_registry(settings) as registry:
        blocks = []
        for version in registry.versions():
            if version.actor != AGENT:
                continue
            message = registry.objects.commit(version.commit).message.decode(errors="replace").rstrip("\n")
            blocks.append(
                f"commit {version.commit}\nAuthor: {version.author.name} <{version.author.email}>\n"
                f"Date:   {version.time:%a %b} {version.time.day} {version.time:%H:%M:%S %Y %z}\n\n"
                + "".join(f"    {line}\n" for line in message.split("\n"))
            )
    return "\n".join(blocks)


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
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
