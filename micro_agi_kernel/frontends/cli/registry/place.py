"""`micro-agi registry init` and `path`: where the registry lies."""

from __future__ import annotations

import os

import click

from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.frontends.cli.opening import open_at, watched
from micro_agi_kernel.frontends.cli.output import registry_option, say
from micro_agi_kernel.settings import PROJECT_REGISTRY
from micro_agi_kernel.trust import change_trust, project_place, project_registry
from micro_agi_kernel.workspace import open_registry


@click.command(short_help="Make the registry, if it is not there yet.")
@registry_option
def init(registry_path: str | None) -> None:
    """Make the registry from the seed, if it is not there yet, and print its path.

    As .micro-agi/registry.git in the folder of a project it is that project's, used in the folder and below.
    """
    settings = load_settings(registry=registry_path)
    was_there = os.path.lexists(settings.registry_path)
    with watched(open_registry(settings, say)) as opened:
        place = project_place(opened.path)
        if not was_there and place.parts[-2:] == PROJECT_REGISTRY.parts:
            made = project_registry(place)
            change_trust(settings.home, lambda trust: trust.with_items([made]))
            say(f"trusted, since you made it: it is used in {place.parents[1]} and below")
        click.echo(opened.path.absolute(), color=True)  # a name may look like a colour


@click.command(short_help="Print where the registry lies.")
@registry_option
def path(registry_path: str | None) -> None:
    """Print where the registry lies: `git -C "$(micro-agi registry path)" log`."""
    with open_at(registry_path) as opened:
        click.echo(opened.path.absolute(), color=True)  # a name may look like a colour
