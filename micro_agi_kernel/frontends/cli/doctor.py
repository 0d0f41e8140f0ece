"""`micro-agi doctor`: is everything in place?"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import click

from micro_agi_kernel import __version__
from micro_agi_kernel import models as models_room
from micro_agi_kernel.environment import load_settings, secret
from micro_agi_kernel.errors import MicroAgiError, ModelError
from micro_agi_kernel.frontends.cli.information import read_models
from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_text, registry_option
from micro_agi_kernel.frontends.jupyter.spec import installed_kernelspecs
from micro_agi_kernel.models import openai
from micro_agi_kernel.models.endpoint import Endpoint, endpoint_of
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.sandbox.protocol import Layer
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.values import shorten
from micro_agi_kernel.workspace import open_registry, open_sandbox

PATIENCE = 5.0
"""Seconds for a model's server to accept a connection, and to begin its answer."""


Status: TypeAlias = Literal["ok", "warn", "fail"]


class Line(NamedTuple):
    """One line of the doctor."""

    status: Status
    what: str
    detail: str


@click.command(short_help="Check that everything is in place.")
@registry_option
@json_option
def doctor(registry_path: str | None, as_json: bool) -> None:
    """Check this installation: a line for each part, exit code 1 when one fails.

    The server of the model that would run is asked for its list of models, with your key if it takes one.
    """
    lines = []
    for line in _examine(registry_path):
        lines.append(line)
        if not as_json:
            print_text(f"{line.status:4} {line.what}: {line.detail}")
    if as_json:
        print_json([line._asdict() for line in lines])
    if any(line.status == "fail" for line in lines):
        raise SystemExit(1)


def _examine(registry_path: str | None) -> Iterator[Line]:
    yield Line("ok", "version", f"micro-agi {__version__}, Python {sys.version.split()[0]} ({sys.executable})")
    yield _kernel()
    try:
        settings = load_settings(registry=registry_path)
    except MicroAgiError as error:
        yield Line("fail", "settings", str(error))
        return
    found = "" if settings.config.exists() else " (there is none)"
    yield Line("ok", "settings", f"data in {settings.home}, config file {settings.config}{found}")
    yield from _guarded("sandbox", _sandbox(settings))
    yield from _guarded("registry", _registry(settings))


def _guarded(what: str, lines: Iterator[Line]) -> Iterator[Line]:
    try:
        yield from lines
    except MicroAgiError as error:
        yield Line("fail", what, str(error))


def _kernel() -> Line:
    folders = installed_kernelspecs()
    if not folders:
        return Line("warn", "kernel", "not registered with Jupyter: run `micro-agi install`")
    try:
        interpreter = str(json.loads((folders[0] / "kernel.json").read_bytes())["argv"][0])
    except (OSError, ValueError, LookupError, TypeError):
        return Line("fail", "kernel", f"{folders[0]}: kernel.json cannot be read: run `micro-agi install`")
    if Path(interpreter).is_absolute() and not Path(interpreter).exists():
        return Line("fail", "kernel", f"{folders[0]} names {interpreter}, which is gone: run `micro-agi install`")
    return Line("ok", "kernel", str(folders[0]))


def _sandbox(settings: Settings) -> Iterator[Line]:
    async def layers() -> tuple[Layer, ...]:
        sandbox = open_sandbox(settings)
        try:
            return await sandbox.layers(settings.sandbox.limits())
        finally:
            await sandbox.close()

    missing: Status = "fail" if settings.sandbox.require == "full" else "warn"  # "fail": no call would run
    for layer in asyncio.run(layers()):
        yield Line("ok" if layer.active else missing, f"sandbox, {layer.name}", layer.detail)


def _registry(settings: Settings) -> Iterator[Line]:
    """The registry, and the models in it."""
    notices: list[str] = []
    with open_registry(settings, notices.append) as registry:
        yield from (Line("warn", "registry", notice) for notice in notices)
        snapshot = registry.snapshot()
        path = registry.path.absolute()
        yield Line("ok", "registry", f"{path}, {len(snapshot.ids())} entries, version {snapshot.number}")
        for problem in snapshot.problems():
            yield Line("warn", "registry", f"{problem.path}: {problem.reason}")
        yield from _guarded("model", _models(registry, settings))


def _models(registry: Registry, settings: Settings) -> Iterator[Line]:
    _, problems, choice = read_models(registry, settings)
    for problem in problems:
        yield Line("warn", "model", problem)
    if isinstance(choice, ModelError):
        yield Line("fail", "model", str(choice))
    elif choice.fallback:
        yield Line("warn", "model", choice.reason)
    elif (obstacle := models_room.obstacle(choice.spec, secret)) is not None:
        yield Line("fail", "model", obstacle)
    elif server := next((p for p in choice.spec.providers if p.id == openai.PROVIDER), None):
        status, found = _reach(endpoint_of(choice.spec, server, secret), server.model)
        yield Line(status, "model", f"{choice.reason}; {found}")
    else:
        yield Line("ok", "model", choice.reason)


def _reach(server: Endpoint, model: str) -> tuple[Status, str]:
    """Whether the server answers, takes the key, and has the model."""
    import httpx

    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {server.key}"} if server.key else {})
    url = f"{server.url.rstrip('/')}/models"
    try:
        # What the environment says of proxies and passwords is not for a server that an entry names.
        with (
            httpx.Client(timeout=PATIENCE, trust_env=not server.of_entry) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            status = response.status_code
            listed = _listed(b"".join(islice(response.iter_raw(1 << 16), 16)))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return "fail", f"no answer from {server.shown} ({error}): start it, or check the address"
    if status in (401, 403):
        return "fail", f"{server.shown} refuses the key: check {server.key_name}"
    if status >= 500:
        return "warn", f"{server.shown} answers with HTTP status {status}"
    if listed and model not in listed:
        has = f"{server.shown} answers, but has no {model!r}; it has {shorten(', '.join(listed), 200)}"
        return "warn", f"{has}: describe one in a model entry (examples/local_server.md)"
    return "ok", f"{server.shown} answers"


def _listed(body: bytes) -> list[str]:
    """The names in a server's list of models; none when it has no such list."""
    try:
        return [str(model["id"]) for model in json.loads(body)["data"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []
