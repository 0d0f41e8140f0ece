"""`micro-agi registry list` and `show`: what it holds."""

from __future__ import annotations

import click

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.frontends.cli.opening import open_at
from micro_agi_kernel.frontends.cli.output import (
    json_option,
    print_json,
    print_table,
    print_text,
    registry_option,
)
from micro_agi_kernel.naming import named, nearest
from micro_agi_kernel.registry import Head, Registry, Snapshot
from micro_agi_kernel.values import Json, short_commit
from micro_agi_kernel.yaml_files import dump_yaml


@click.command("list")
@click.option("--namespace", help='For example "app.generated".')
@click.option("--kind", help='For example "function.lua".')
@click.option("--type", "type_", help='The meta type, for example "tool".')
@click.option("--query", help="Words that id, title, comment or description must hold; the best come first.")
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
        found, _ = snapshot.search(query or "", criteria)
        commits = snapshot.last_commits() if as_json else {}
        problems = snapshot.problems()
    if as_json:
        print_json([_row(head, commits[head.id]) for head in found])
    else:
        print_table(
            ("id", "kind", "type", "comment"),
            ((str(head.id), head.kind, head.type or "", head.comment) for head in found),
            "no entries found: `micro-agi registry list` shows all",
        )
    for problem in problems:
        print_text(f"not readable: {problem.path}: {problem.reason}", to_stderr=True)


def _row(head: Head, commit: str) -> dict[str, Json]:
    return {
        "id": str(head.id),
        "kind": head.kind,
        "type": head.type,
        "title": head.title,
        "comment": head.comment,
        "modules": list(head.modules),
        "commit": commit,
    }


@click.command()
@click.argument("id")
@click.option("--at", metavar="REV", help="A revision, such as a commit or v12, to show the entry as it was then.")
@registry_option
@json_option
def show(id: str, at: str | None, registry_path: str | None, as_json: bool) -> None:
    """Show one entry with its source: ID, or a name that only one has."""
    with open_at(registry_path) as opened:
        snapshot = opened.snapshot(at)
        wanted = named(opened, id, snapshot)
        entry = snapshot.get(wanted)
        if entry is None:
            raise not_found(opened, snapshot, wanted)
        document: dict[str, Json] = {**entry.as_json(), "commit": snapshot.last_commit(entry.id)}
    if as_json:
        print_json(document)
        return
    data = {key: value for key, value in entry.data.items() if key != "source"}
    head: dict[str, Json] = {**document, "data": data}
    print_text(dump_yaml(head).decode().rstrip("\n"))
    if entry.source is not None:
        print_text(f"---\n{entry.source.rstrip()}")


def not_found(registry: Registry, snapshot: Snapshot, id: EntryId) -> Refused:
    """The line for an entry that `snapshot` does not have: where it can be seen, if anywhere."""
    return Refused(ErrorKind.NOT_FOUND, f"not found: {id} ({_whereabouts(registry, snapshot, id)})")


def _whereabouts(registry: Registry, snapshot: Snapshot, id: EntryId) -> str:
    gone = next(registry.versions(1, id=id, start=snapshot.commit), None)
    if gone is not None:
        commit = short_commit(gone.commit)
        return f"deleted by {commit}: `micro-agi registry show {id} --at {commit}^` shows what it was"
    later = list(registry.versions(id=id))
    if later:
        return f"created later, by {short_commit(later[-1].commit)}"
    return nearest(snapshot, id.name) or "`micro-agi registry list` shows what there is"
