"""`micro-agi registry log`: what became of it, commit by commit."""

from __future__ import annotations

import click

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_table, print_text, registry_option
from micro_agi_kernel.frontends.cli.registry.place import open_at
from micro_agi_kernel.registry import Version
from micro_agi_kernel.values import Json


@click.command(short_help="Show the commits, newest first.")
@click.argument("id", required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many commits to print.")
@registry_option
@json_option
def log(id: str | None, limit: int, registry_path: str | None, as_json: bool) -> None:
    """Show the commits, newest first, or those that changed the entry ID."""
    with open_at(registry_path) as opened:
        versions = list(opened.versions(limit, id=EntryId.parse(id) if id is not None else None))
    if as_json:
        print_json([_version(version) for version in versions])
    else:
        print_table(
            ("version", "commit", "time", "actor", "subject"),
            ((str(v.number), v.commit[:10], f"{v.time:%Y-%m-%d %H:%M}", v.actor, v.subject) for v in versions),
        )
    if not versions:
        print_text(f"no commit changed {id}", to_stderr=True)


def _version(version: Version) -> dict[str, Json]:
    return {
        "version": version.number,
        "commit": version.commit,
        "time": version.time.isoformat(),
        "actor": version.actor,
        "subject": version.subject,
        "operations": [{"action": action, "id": str(id)} for action, id in version.operations],
        "trailers": dict(version.trailers),
    }
