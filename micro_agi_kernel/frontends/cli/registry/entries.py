"""`micro-agi registry list` and `show`: what it holds."""

from __future__ import annotations

import click

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_table, print_text, registry_option
from micro_agi_kernel.frontends.cli.registry.place import open_at
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.values import Json
from micro_agi_kernel.yaml_files import dump_yaml


@click.command("list")
@click.option("--namespace", help='For example "app.generated".')
@click.option("--kind", help='For example "function.lua".')
@click.option("--type", "type_", help='The meta type, for example "tool".')
@click.option("--query", help="Words that id, title or comment must hold.")
@registry_option
@json_option
def list_(
    namespace: str | None,
    kind: str | None,
    type_: str | None,
    query: str | None,
    registry_path: str | None,
    as_json: bool,
) -> None:
    """List the entries."""
    wanted = {".ns": namespace, ".kind": kind, "meta.type": type_}
    criteria: dict[str, Json] = {key: value for key, value in wanted.items() if value is not None}
    with open_at(registry_path) as opened:
        snapshot = opened.snapshot()
        words = (query or "").lower().split()
        entries = [entry for entry in snapshot.find(criteria) if all(word in _searched(entry) for word in words)]
        commits = snapshot.last_commits() if as_json else {}
        problems = snapshot.problems()
    if as_json:
        print_json([_row(entry, commits[entry.id]) for entry in entries])
    else:
        print_table(
            ("id", "kind", "type", "comment"),
            ((str(entry.id), entry.kind, entry.type or "", entry.text("comment")) for entry in entries),
        )
    for problem in problems:
        print_text(f"not readable: {problem.path}: {problem.reason}", to_stderr=True)


def _searched(entry: Entry) -> str:
    return f"{entry.id} {entry.text('title')} {entry.text('comment')}".lower()


def _row(entry: Entry, commit: str) -> dict[str, Json]:
    return {
        "id": str(entry.id),
        "kind": entry.kind,
        "type": entry.type,
        "title": entry.text("title"),
        "comment": entry.text("comment"),
        "modules": list(entry.modules),
        "commit": commit,
    }


@click.command()
@click.argument("id")
@click.option("--at", metavar="REV", help="A commit, to show the entry as it was then.")
@registry_option
@json_option
def show(id: str, at: str | None, registry_path: str | None, as_json: bool) -> None:
    """Show one entry with its source."""
    with open_at(registry_path) as opened:
        snapshot = opened.snapshot(at)
        entry = _get(snapshot, EntryId.parse(id))
        document: dict[str, Json] = {**entry.as_json(), "commit": snapshot.last_commit(entry.id)}
    if as_json:
        print_json(document)
        return
    data = {key: value for key, value in entry.data.items() if key != "source"}
    head: dict[str, Json] = {**document, "data": data}
    print_text(dump_yaml(head).decode().rstrip("\n"))
    if entry.source is not None:
        print_text(f"---\n{entry.source.rstrip()}")


def _get(snapshot: Snapshot, id: EntryId) -> Entry:
    entry = snapshot.get(id)
    if entry is None:
        raise Refused(ErrorKind.NOT_FOUND, f"not found: {id} (`micro-agi registry list` shows what there is)")
    return entry
