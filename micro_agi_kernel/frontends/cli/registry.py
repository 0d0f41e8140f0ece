"""`micro-agi registry`: reading the registry, and checking it."""

from __future__ import annotations

import asyncio

import click

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_table, print_text, registry_option
from micro_agi_kernel.registry import Finding, Registry, Snapshot, Version
from micro_agi_kernel.settings import load_settings
from micro_agi_kernel.values import Json
from micro_agi_kernel.verify import verify_registry
from micro_agi_kernel.workspace import open_registry
from micro_agi_kernel.yaml_files import dump_yaml


@click.group(short_help="Read and check the registry of tools.")
def registry() -> None:
    """Read and check the registry: the bare Git repository that holds every tool, one commit for each change."""


def _open(path: str | None) -> Registry:
    return open_registry(load_settings(registry=path))


@registry.command(short_help="Make the registry, if it is not there yet.")
@registry_option
def init(registry_path: str | None) -> None:
    """Make the registry from the seed, if it is not there yet, and print its path."""
    with _open(registry_path) as opened:
        click.echo(opened.path.absolute(), color=True)  # a name may look like a colour


@registry.command(short_help="Print where the registry lies.")
@registry_option
def path(registry_path: str | None) -> None:
    """Print where the registry lies: `git -C "$(micro-agi registry path)" log`."""
    with _open(registry_path) as opened:
        click.echo(opened.path.absolute(), color=True)  # a name may look like a colour


@registry.command("list")
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
    with _open(registry_path) as opened:
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


@registry.command()
@click.argument("id")
@click.option("--at", metavar="REV", help="A commit, to show the entry as it was then.")
@registry_option
@json_option
def show(id: str, at: str | None, registry_path: str | None, as_json: bool) -> None:
    """Show one entry with its source."""
    with _open(registry_path) as opened:
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


@registry.command(short_help="Show the commits, newest first.")
@click.argument("id", required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many commits to print.")
@registry_option
@json_option
def log(id: str | None, limit: int, registry_path: str | None, as_json: bool) -> None:
    """Show the commits, newest first, or those that changed the entry ID."""
    with _open(registry_path) as opened:
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


@registry.command(short_help="Check every entry, commit and object.")
@registry_option
@json_option
def verify(registry_path: str | None, as_json: bool) -> None:
    """Check the registry: every file, every source, every commit by an agent against its policies, and Git's own fsck.

    A line for each finding; exit code 1 when one of them is a failure.
    """
    findings = asyncio.run(verify_registry(load_settings(registry=registry_path)))
    failed = any(finding.status == "fail" for finding in findings)
    if as_json:
        print_json({"ok": not failed, "findings": [_finding(finding) for finding in findings]})
    else:
        for finding in findings:
            print_text(f"{finding.status} {finding.check}: {finding.message}")
    if failed:
        raise SystemExit(1)


def _finding(finding: Finding) -> dict[str, Json]:
    row: dict[str, Json] = {"status": finding.status, "check": finding.check, "message": finding.message}
    if finding.commit is not None:
        row["commit"] = finding.commit
    if finding.id is not None:
        row["id"] = str(finding.id)
    return row
