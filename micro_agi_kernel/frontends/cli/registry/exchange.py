"""`micro-agi registry import` and `export`: entries from files, and the registry as a folder of files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.exchange import Import, import_path
from micro_agi_kernel.frontends.cli.opening import in_workspace, open_at
from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_text, registry_option
from micro_agi_kernel.registry.files.folders import write_folder
from micro_agi_kernel.values import Json, short_commit

SHOWN = 20
"""Entries named when an import is refused."""


@click.command("import", short_help="Create or update entries from files, in one commit.")
@click.argument("path", type=click.Path(path_type=Path))
@registry_option
@json_option
def import_(path: Path, registry_path: str | None, as_json: bool) -> None:
    """Create or update the entries that PATH holds, in one commit of yours. Nothing is ever deleted.

    PATH is an index file (version, namespace, entries; sources beside it as file://NAME), the file of a single
    entry with its id, a folder that holds such index files as _index.yaml, or a folder that `export` wrote.
    """
    done = asyncio.run(
        in_workspace(load_settings(registry=registry_path), lambda workspace: import_path(workspace, path))
    )
    if as_json:
        print_json(_document(done))
    for id, reason in done.refused[:SHOWN]:
        print_text(f"{id}: {reason}", to_stderr=True)
    if done.refused:
        raise Refused(
            ErrorKind.INVALID,
            f"nothing was imported: {len(done.refused)} of {len(done.changeset.operations)} changed entries are no "
            f"sound entries of their kind; mend them or take them out",
        )
    if not as_json:
        print_text(_summary(done))


def _summary(done: Import) -> str:
    if done.published is None:
        return f"nothing differs in {done.unchanged} entries and pages: no commit"
    actions = [operation.action for operation in done.changeset.operations]
    pages = len(done.changeset.files)
    counts = {"created": actions.count("create"), "updated": actions.count("update")}
    counts |= {"page" if pages == 1 else "pages": pages, "unchanged": done.unchanged}
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"v{done.published.version} {short_commit(done.published.commit)}: {said}"


def _document(done: Import) -> dict[str, Json]:
    document: dict[str, Json] = {
        "commit": done.published.commit if done.published else None,
        "version": done.published.version if done.published else None,
        "operations": [
            {"action": operation.action, "id": str(operation.id)} for operation in done.changeset.operations
        ],
        "files": [file.path for file in done.changeset.files],
        "unchanged": done.unchanged,
    }
    if done.refused:
        document["refused"] = [{"id": str(id), "message": reason} for id, reason in done.refused]
    return document


@click.command(short_help="Write the registry as a folder of files.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--at", metavar="REV", help="A commit, to write the registry as it was then.")
@registry_option
@json_option
def export(folder: Path, at: str | None, registry_path: str | None, as_json: bool) -> None:
    """Write every entry and page into DIR, which must be empty or not exist, as files in the registry's own layout.

    What cannot be read is named and left out. `micro-agi registry import DIR` reads such a folder.
    """
    with open_at(registry_path) as opened:
        snapshot = opened.snapshot(at)
        count, left_out = write_folder(snapshot, folder)
    if as_json:
        rows: list[Json] = [{"path": problem.path, "message": problem.reason} for problem in left_out]
        print_json({"commit": snapshot.commit, "files": count, "left_out": rows})
        return
    for problem in left_out:
        print_text(f"left out: {problem.path}: {problem.reason}", to_stderr=True)
    print_text(f"{count} files of {short_commit(snapshot.commit)}")
