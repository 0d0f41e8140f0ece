"""`micro-agi docs` and `micro-agi models`: what the agent can read, and what it can run on."""

from __future__ import annotations

import click

from micro_agi_kernel import models as models_room
from micro_agi_kernel.docs_index import DocsIndex
from micro_agi_kernel.environment import load_settings, secret
from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.frontends.cli.opening import open_at, open_told, watched
from micro_agi_kernel.frontends.cli.output import (
    about_named,
    json_option,
    print_json,
    print_table,
    print_text,
    registry_option,
)
from micro_agi_kernel.host.docs import read_pages
from micro_agi_kernel.model_choice import models_now
from micro_agi_kernel.values import Json


@click.group(short_help="Read the documentation that the agent reads.")
def docs() -> None:
    """Read the documentation that the agent reads: what its tool doc_search finds."""


def _index(registry_path: str | None) -> DocsIndex:
    with open_at(registry_path) as registry:
        return DocsIndex(read_pages(registry.snapshot()))


@docs.command()
@click.argument("words", metavar="QUERY", nargs=-1, required=True)
@registry_option
@json_option
def search(words: tuple[str, ...], registry_path: str | None, as_json: bool) -> None:
    """Search the pages for QUERY, one or several words."""
    query = " ".join(words)
    hits = _index(registry_path).search(query)
    if as_json:
        print_json([{"path": hit.path, "title": hit.title, "excerpt": hit.excerpt} for hit in hits])
        return
    for hit in hits:
        print_text(f"{hit.path}  {hit.title}\n{_indented(hit.excerpt)}\n")
    if not hits:
        print_text(f"nothing found for {query!r}", to_stderr=True)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


@docs.command()
@click.argument("path")
@registry_option
@json_option
def show(path: str, registry_path: str | None, as_json: bool) -> None:
    """Print the page at PATH, for example lua/core/time."""
    page = _index(registry_path).page(path)
    if as_json:
        print_json({"path": path, "content": page})
    else:
        print_text(page.rstrip("\n"))


@click.command(short_help="List the models, and say which one would run.")
@registry_option
@json_option
def models(registry_path: str | None, as_json: bool) -> None:
    """List the models, and say which one would run and why."""
    settings = load_settings(registry=registry_path)
    with watched(open_told(settings)) as registry:
        specs, problems, choice = models_now(registry, settings)
    chosen = None if isinstance(choice, ModelError) else choice.spec
    reason = str(choice) if isinstance(choice, ModelError) else choice.reason
    rows = [(spec, spec == chosen, models_room.obstacle(spec, secret)) for spec in specs]
    if as_json:
        listed: list[Json] = [
            {
                "name": spec.name,
                "title": spec.title,
                "classes": list(spec.classes),
                "window": spec.window,
                "runs": runs,
                "obstacle": obstacle,
            }
            for spec, runs, obstacle in rows
        ]
        runs_now = chosen.name if chosen is not None else None
        print_json({"models": listed, "runs": runs_now, "reason": reason, "problems": list(problems)})
    else:
        print_table(
            ("", "name", "classes", "window", "state"),
            (
                (
                    "*" if runs else "",
                    spec.name,
                    ", ".join(spec.classes),
                    f"{spec.window:,}",
                    about_named(obstacle or "ready"),
                )
                for spec, runs, obstacle in rows
            ),
        )
        for problem in problems:
            print_text(f"not usable: {problem}", to_stderr=True)
    if isinstance(choice, ModelError):
        raise choice
    if not as_json:
        print_text(reason)
