"""`micro-agi registry init` and `path`: where the registry lies; and how the others open it."""

from __future__ import annotations

import click

from micro_agi_kernel.frontends.cli.output import registry_option
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.settings import load_settings
from micro_agi_kernel.workspace import open_registry


def open_at(path: str | None) -> Registry:
    """The registry at `path`, or that of the settings; made from the seed where there is nothing yet."""
    return open_registry(load_settings(registry=path))


@click.command(short_help="Make the registry, if it is not there yet.")
@registry_option
def init(registry_path: str | None) -> None:
    """Make the registry from the seed, if it is not there yet, and print its path."""
    with open_at(registry_path) as opened:
        click.echo(opened.path.absolute(), color=True)  # a name may look like a colour


@click.command(short_help="Print where the registry lies.")
@registry_option
def path(registry_path: str | None) -> None:
    """Print where the registry lies: `git -C "$(micro-agi registry path)" log`."""
    with open_at(registry_path) as opened:
        click.echo(opened.path.absolute(), color=True)  # a name may look like a colour
