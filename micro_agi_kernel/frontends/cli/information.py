"""`micro-agi docs`, `models` and `doctor`: what there is, and whether it works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import click

from micro_agi_kernel import __version__
from micro_agi_kernel import models as models_room
from micro_agi_kernel.agent.context import AgentSpec
from micro_agi_kernel.docs_index import DocsIndex
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_table, print_text, registry_option, run
from micro_agi_kernel.frontends.jupyter.spec import installed_kernelspecs
from micro_agi_kernel.host.docs import read_pages
from micro_agi_kernel.models.catalog import MODEL_TYPE, read_specs
from micro_agi_kernel.session import AGENT_ENTRY
from micro_agi_kernel.settings import Settings, load_settings, secret
from micro_agi_kernel.values import Json
from micro_agi_kernel.workspace import open_registry, open_sandbox


@click.group()
def docs() -> None:
    """Read the documentation that the agent reads."""


def _index(registry_path: str | None) -> DocsIndex:
    with open_registry(load_settings(registry=registry_path)) as registry:
        return DocsIndex(read_pages(registry.snapshot()))


@docs.command()
@click.argument("query")
@registry_option
@json_option
def search(query: str, registry_path: str | None, as_json: bool) -> None:
    """Search the pages for QUERY."""
    hits = _index(registry_path).search(query)
    if as_json:
        print_json([{"path": hit.path, "title": hit.title, "excerpt": hit.excerpt} for hit in hits])
        return
    for hit in hits:
        print_text(f"{hit.path}  {hit.title}\n{_indented(hit.excerpt)}\n")
    if not hits:
        click.echo("nothing found", err=True)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


@docs.command()
@click.argument("path")
@registry_option
def show(path: str, registry_path: str | None) -> None:
    """Print the page at PATH, for example lua/core/time."""
    print_text(_index(registry_path).page(path))


@click.command()
@registry_option
@json_option
def models(registry_path: str | None, as_json: bool) -> None:
    """List the models, and say which one would run and why."""
    settings = load_settings(registry=registry_path)
    with open_registry(settings) as registry:
        specs, problems = read_specs(registry.snapshot().find({"meta.type": MODEL_TYPE}))
        agent = registry.snapshot().get(AGENT_ENTRY)
    wanted = AgentSpec.from_entry(agent).model if agent is not None else None
    choice = models_room.choose(specs, settings.model or None, wanted, secret)
    obstacles = {spec.name: models_room.obstacle(spec, secret) for spec in specs}
    if as_json:
        rows: list[Json] = [
            {
                "name": spec.name,
                "title": spec.title,
                "classes": list(spec.classes),
                "window": spec.window,
                "runs": spec.name == choice.spec.name,
                "obstacle": obstacles[spec.name],
            }
            for spec in specs
        ]
        print_json({"models": rows, "runs": choice.spec.name, "reason": choice.reason, "problems": list(problems)})
        return
    print_table(
        ("", "name", "classes", "window", "state"),
        (
            (
                "*" if spec.name == choice.spec.name else "",
                spec.name,
                ", ".join(spec.classes),
                f"{spec.window:,}",
                obstacles[spec.name] or "ready",
            )
            for spec in specs
        ),
    )
    for problem in problems:
        print_text(problem, to_stderr=True)
    print_text(f"{choice.spec.name} would run: {choice.reason}")


class Line(NamedTuple):
    """One line of the doctor."""

    status: Literal["ok", "warn", "fail"]
    what: str
    detail: str


@click.command()
@registry_option
@json_option
def doctor(registry_path: str | None, as_json: bool) -> None:
    """Check this installation: a line for each part, exit code 1 when one fails."""
    lines = list(_examine(registry_path))
    if as_json:
        print_json([line._asdict() for line in lines])
    else:
        for line in lines:
            print_text(f"{line.status:4} {line.what}: {line.detail}")
    if any(line.status == "fail" for line in lines):
        raise SystemExit(1)


def _examine(registry_path: str | None) -> Iterator[Line]:
    yield Line("ok", "version", f"micro-agi {__version__}, Python {sys.version.split()[0]} ({sys.executable})")
    kernels = installed_kernelspecs()
    yield Line("ok", "kernel", str(kernels[0])) if kernels else Line("warn", "kernel", "run `micro-agi install`")
    try:
        settings = load_settings(registry=registry_path)
    except MicroAgiError as error:
        yield Line("fail", "settings", str(error))
        return
    yield Line("ok", "settings", f"data in {settings.home}")
    for what, examine in (("sandbox", _sandbox), ("registry", _registry), ("model", _model)):
        yield from _guarded(what, examine, settings)


def _guarded(what: str, examine: Callable[[Settings], Iterator[Line]], settings: Settings) -> Iterator[Line]:
    try:
        yield from examine(settings)
    except MicroAgiError as error:
        yield Line("fail", what, str(error))


def _sandbox(settings: Settings) -> Iterator[Line]:
    async def look() -> list[Line]:
        sandbox = open_sandbox(settings)
        try:
            return [
                Line("ok" if layer.active else "warn", f"sandbox, {layer.name}", layer.detail)
                for layer in await sandbox.layers()
            ]
        finally:
            await sandbox.close()

    yield from run(look())


def _registry(settings: Settings) -> Iterator[Line]:
    with open_registry(settings) as registry:
        snapshot = registry.snapshot()
        problems = snapshot.problems()
        yield Line("ok", "registry", f"{registry.path}, {len(snapshot.ids())} entries, version {snapshot.number}")
        for problem in problems:
            yield Line("warn", "registry", f"{problem.path}: {problem.reason}")


def _model(settings: Settings) -> Iterator[Line]:
    with open_registry(settings) as registry:
        specs, problems = read_specs(registry.snapshot().find({"meta.type": MODEL_TYPE}))
        agent = registry.snapshot().get(AGENT_ENTRY)
    wanted = AgentSpec.from_entry(agent).model if agent is not None else None
    choice = models_room.choose(specs, settings.model or None, wanted, secret)
    yield Line("warn" if choice.fallback else "ok", "model", f"{choice.spec.name}: {choice.reason}")
    for problem in problems:
        yield Line("warn", "model", problem)
