"""`micro-agi registry`: where each of its subcommands is."""

from __future__ import annotations

import click

from micro_agi_kernel.frontends.cli.lazy import LazyGroup

COMMANDS = {
    "init": "place:init",
    "list": "entries:list_",
    "show": "entries:show",
    "log": "history:log",
    "verify": "care:verify",
    "path": "place:path",
}
"""Subcommand to `module:function` in this folder, in the order of the help."""


@click.group(cls=LazyGroup, modules=COMMANDS, package=__package__, short_help="Read and check the registry of tools.")
def registry() -> None:
    """Read and check the registry: the bare Git repository that holds every tool, one commit for each change."""
