"""`micro-agi registry`: where each of its subcommands is."""

from __future__ import annotations

import click

from micro_agi_kernel.frontends.cli.lazy import LazyGroup

COMMANDS = {
    "init": "place:init",
    "list": "entries:list_",
    "show": "entries:show",
    "log": "history:log",
    "diff": "history:diff",
    "blame": "history:blame",
    "trust": "trust:trust",
    "revert": "rollback:revert",
    "restore": "rollback:restore",
    "verify": "care:verify",
    "import": "exchange:import_",
    "export": "exchange:export",
    "pull": "sync:pull",
    "push": "sync:push",
    "remote": "sync:remote",
    "gc": "care:gc",
    "path": "place:path",
    "check-push": "check_push:check_push",
}
"""Subcommand to `module:function` in this folder, in the order of the help."""


@click.group(
    cls=LazyGroup, modules=COMMANDS, package=__package__, short_help="Read, change and check the registry of tools."
)
def registry() -> None:
    """Read, change and check the registry: the bare Git repository that holds every tool, a commit for each change."""
