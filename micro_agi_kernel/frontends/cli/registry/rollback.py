"""`micro-agi registry revert` and `restore`: going back, each time with one new commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

import click

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.frontends.cli.opening import in_workspace
from micro_agi_kernel.frontends.cli.output import about_named, json_option, print_json, print_text, registry_option, say
from micro_agi_kernel.interfaces import CallContext, Publisher
from micro_agi_kernel.naming import named
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.rollback import RolledBack
from micro_agi_kernel.rollback import restore as restore_state
from micro_agi_kernel.rollback import revert as revert_commit
from micro_agi_kernel.workspace import Workspace


class _GoBack(Protocol):
    def __call__(
        self, registry: Registry, publisher: Publisher, context: CallContext, rev: str, id: EntryId | None
    ) -> Awaitable[RolledBack]: ...


@click.command(short_help="Undo what a commit did.")
@click.argument("rev")
@click.argument("id", required=False)
@registry_option
@json_option
def revert(rev: str, id: str | None, registry_path: str | None, as_json: bool) -> None:
    """Undo what the commit REV did (to the entry ID only, if given), in one new commit.

    Where a later commit changed the same entry, nothing is written, and the line names that commit.
    """
    _go_back(revert_commit, rev, id, registry_path, as_json)


@click.command(short_help="Bring back an old state.")
@click.argument("rev")
@click.argument("id", required=False)
@registry_option
@json_option
def restore(rev: str, id: str | None, registry_path: str | None, as_json: bool) -> None:
    """Bring back what the registry held at REV (the entry ID only, if given), in one new commit.

    Whatever came later is overridden, and stays in the history.
    """
    _go_back(restore_state, rev, id, registry_path, as_json)


def _go_back(way: _GoBack, rev: str, id: str | None, registry_path: str | None, as_json: bool) -> None:
    async def work(workspace: Workspace) -> RolledBack:
        wanted = await asyncio.to_thread(named, workspace.registry, id) if id is not None else None
        context = CallContext(f"user:{workspace.person.name}", workspace.hear)
        return await way(workspace.registry, workspace.publishing, context, rev, wanted)

    done = asyncio.run(in_workspace(load_settings(registry=registry_path), work))
    if not as_json:
        for line in done.lines:
            print_text(about_named(line))
        return
    print_json(
        {
            "commit": done.published.commit if done.published else None,
            "version": done.published.version if done.published else None,
            "operations": [{"action": step.action, "id": str(step.id)} for step in done.changeset.operations],
            "files": [file.path for file in done.changeset.files],
        }
    )
    for line in done.left if done.published else (done.summary, *done.left):
        say(line)
