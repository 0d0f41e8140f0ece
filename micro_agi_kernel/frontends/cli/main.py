"""The `micro-agi` command: what each subcommand is called, and how its failures look."""

from __future__ import annotations

import click

from micro_agi_kernel import __version__
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.frontends.cli import ask, demo, information, installation, lua, registry


class Commands(click.Group):
    """A group whose commands may raise MicroAgiError: one line on stderr, exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except MicroAgiError as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="micro-agi %(version)s")
def main() -> None:
    """Micro AGI: an agent in Jupyter that writes its own tools, each one a commit you can read.

    Start with `micro-agi demo`, which needs no key and no network.
    """


for command in (
    demo.demo,
    ask.ask,
    lua.evaluate,
    lua.call,
    registry.registry,
    information.docs,
    information.models,
    information.doctor,
    installation.install,
    installation.uninstall,
    installation.lab,
    installation.console,
):
    main.add_command(command)
