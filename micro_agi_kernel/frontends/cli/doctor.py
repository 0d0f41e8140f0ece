"""`micro-agi doctor`: is everything in place?"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import click

from micro_agi_kernel import models as models_room
from micro_agi_kernel.environment import secret, settings_and_sources
from micro_agi_kernel.errors import MicroAgiError, ModelError
from micro_agi_kernel.frontends.cli import installed
from micro_agi_kernel.frontends.cli.installed import Line, Status
from micro_agi_kernel.frontends.cli.opening import open_told
from micro_agi_kernel.frontends.cli.output import about_named, json_option, print_json, print_text, registry_option
from micro_agi_kernel.frontends.text import one_line
from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.logs.keys import Keys
from micro_agi_kernel.logs.turns import logs_in
from micro_agi_kernel.mcp_client.servers import McpServers
from micro_agi_kernel.mcp_settings import INSTALL
from micro_agi_kernel.model_choice import models_now
from micro_agi_kernel.models import openai
from micro_agi_kernel.models.endpoint import NO_KEY, OPENAI_BASE, OPENAI_KEY, Endpoint, endpoint_of
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.lock import FOLDER
from micro_agi_kernel.registry.sidecar import FILE
from micro_agi_kernel.sandbox.protocol import Layer
from micro_agi_kernel.settings import Settings, setting_names, setting_value
from micro_agi_kernel.values import shorten, unset_variable
from micro_agi_kernel.workspace import open_sandbox

PATIENCE = 5.0
"""Seconds for a model's server to accept a connection, and to begin its answer."""

_KEY = re.compile(
    r'-----BEGIN[^"]*|\b(?:[sr]k[-_]|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|hf_|AIza|AKIA|eyJ)(?=[\w-]*\d)[\w-]{8,}'
)
"""How the keys of well-known services begin: whoever took a setting for the place of one is not to report it."""

LITTLE_SPACE = 200 * MIB
"""Free bytes in the data folder below which the doctor warns."""


@click.command(short_help="Check that everything is in place.")
@registry_option
@json_option
def doctor(registry_path: str | None, as_json: bool) -> None:
    """Check this installation: a line for each part, exit code 1 when one fails.

    The server of the model that would run is asked for its list of models, with your key if it takes one. Every
    MCP server of the config file is asked for its tools: its program is started, and ended again. The lines are made
    to be copied into a report of a bug: of a key they say whether it is set, and nothing else.
    """
    lines = []
    keys = Keys()
    for line in _examine(registry_path, keys):
        line = line._replace(detail=_KEY.sub("***", keys.hidden_in(one_line(about_named(line.detail)))))
        lines.append(line)
        if not as_json:
            print_text(f"{line.status:4} {line.what}: {line.detail}")
    if as_json:
        print_json([line._asdict() for line in lines])
    if any(line.status == "fail" for line in lines):
        raise SystemExit(1)


def _examine(registry_path: str | None, keys: Keys) -> Iterator[Line]:
    keys.learn([secret(OPENAI_KEY) or ""])
    yield from installed.lines()
    try:
        settings, sources = settings_and_sources(registry=registry_path)
    except MicroAgiError as error:
        yield Line("fail", "settings", str(error))
        return
    found = "" if settings.config.exists() else " (there is none)"
    yield Line("ok", "settings", f"data in {settings.home}, config file {settings.config}{found}")
    for name in setting_names():
        if name in sources:
            yield Line("ok", f"setting {name}", f"{_shown(setting_value(settings, name, ''))} ({sources[name]})")
    yield _mcp(settings, keys)
    yield from _guarded("mcp", _servers(settings))
    yield from _guarded("sandbox", _sandbox(settings))
    yield from _guarded("sessions", _sessions(settings))
    yield from _guarded("registry", _registry(settings, keys))


def _guarded(what: str, lines: Iterator[Line]) -> Iterator[Line]:
    try:
        yield from lines
    except MicroAgiError as error:
        yield Line("fail", what, str(error))
    except OSError as error:
        yield Line("fail", what, f"{error.filename or 'the system refuses'}: {error.strerror or error}")


def _shown(value: object) -> str:
    """A setting's value for everybody's eyes: an address is without user name, password and query."""
    if isinstance(value, str) and "://" in value:
        try:
            value = Endpoint(value).shown
        except ValueError:
            return "an address that cannot be read"
    return json.dumps(value, ensure_ascii=False)


def _mcp(settings: Settings, keys: Keys) -> Line:
    """The extra, and the servers that the agent may use."""
    servers = []
    for server in settings.mcp_servers:
        keys.learn(secret(name) or "" for name in server.variables)
        variables = "".join(f", {_is_set(name)}" for name in server.variables)
        servers.append(f"{server.name} ({server.shown}{variables})")
    named = f"servers: {', '.join(servers)}" if servers else "no servers are named"
    if version := installed.version_of("mcp"):
        return Line("ok", "mcp", f"mcp {version}; {named}")
    advice = f"the extra is not installed: `{INSTALL}`"
    return Line("warn" if servers else "ok", "mcp", f"{advice}; {named}")


def _is_set(name: str) -> str:
    return f"{name} is set" if secret(name) else f"{unset_variable(name)} is not set"


def _sessions(settings: Settings) -> Iterator[Line]:
    """The logs, and the room that is left for more."""
    folder = settings.sessions
    if wrong := _shut(folder):
        yield Line("warn", "sessions", f"{wrong}: no log is kept")
    elif folder.exists() and folder.stat().st_mode & 0o077:
        yield Line("warn", "sessions", f"others can read the logs: run `chmod 700 {folder}`")
    else:
        logs = [path.stat().st_size for path in logs_in(folder)]
        yield Line("ok", "sessions", f"{folder}, {len(logs)} logs, {sum(logs) / MIB:.1f} MiB")
    with suppress(OSError):  # it is made with the first session
        free = shutil.disk_usage(settings.home).free
        if free < LITTLE_SPACE:
            yield Line("warn", "disk", f"only {free // MIB} MiB are left in {settings.home}")


def _shut(folder: Path) -> str:
    """Why `folder` cannot be used, or made where there is none yet; "": it can."""
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not os.path.isdir(there):
        return f"{there} is no folder"
    needed = os.W_OK | os.X_OK | (os.R_OK if there == folder else 0)
    return "" if os.access(there, needed) else f"{there} cannot be read and written"


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


def _registry(settings: Settings, keys: Keys) -> Iterator[Line]:
    """The registry, its index, and the models in it."""
    notices: list[str] = []
    with open_told(settings, notices.append) as registry:
        yield from (Line("warn", "registry", notice) for notice in notices)
        snapshot = registry.snapshot()
        path = registry.path.absolute()
        state = f"{len(snapshot.ids())} entries, version {snapshot.number}, main at {snapshot.commit[:12]}"
        wrong = next(filter(None, map(_shut, (path, path / "objects", path / "refs", path / FOLDER))), "")
        if wrong:
            yield Line("fail", "registry", f"{wrong}: no tool can be kept")
        else:
            yield Line("ok", "registry", f"{path}, {state}")
        for problem in snapshot.problems():
            yield Line("warn", "registry", f"{problem.path}: {problem.reason}")
        yield _index(path / FOLDER / FILE, snapshot.is_indexed)
        yield from _guarded("model", _models(registry, settings, keys))


def _index(file: Path, is_indexed: bool) -> Line:
    import sqlite3

    if is_indexed:
        return Line("ok", "index", f"up to date, {file.stat().st_size / MIB:.1f} MiB, SQLite {sqlite3.sqlite_version}")
    return Line("warn", "index", f"{file} is busy, damaged or cannot be written: answers of the registry are slow")


def _servers(settings: Settings) -> Iterator[Line]:
    """The MCP servers that are named; the agent works without them."""

    async def states() -> dict[str, tuple[bool, str]]:
        servers = McpServers(settings.mcp_servers, lambda entry, context: [], settings.sandbox.limits)
        try:
            await servers.ready()
            return {name: (name in servers.offering, state) for name, state in servers.states.items()}
        finally:
            await servers.close()

    if settings.mcp_servers:
        for name, (is_there, state) in asyncio.run(states()).items():
            yield Line("ok" if is_there else "warn", name, state)


def _models(registry: Registry, settings: Settings, keys: Keys) -> Iterator[Line]:
    specs, problems, choice = models_now(registry, settings)
    named = {p.api_key_env or OPENAI_KEY for spec in specs for p in spec.providers if p.id == openai.PROVIDER}
    names = sorted((named | {OPENAI_BASE}) - {NO_KEY})
    keys.learn(secret(name) or "" for name in names if name != OPENAI_BASE)
    yield Line("ok", "keys", ", ".join(map(_is_set, names)))
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
            listed = _model_ids(b"".join(islice(response.iter_raw(1 << 16), 16)))
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


def _model_ids(body: bytes) -> list[str]:
    """The names in a server's list of models; none when it has no such list."""
    try:
        return [str(model["id"]) for model in json.loads(body)["data"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []
