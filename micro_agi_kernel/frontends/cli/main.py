"""The `micro-agi` command: where each subcommand is, and how its failures look."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import click

from micro_agi_kernel import __version__
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.frontends.cli.lazy import LazyGroup

COMMANDS = {
    "demo": "demo:demo",
    "ask": "ask:ask",
    "eval": "lua:evaluate",
    "call": "lua:call",
    "mcp": "mcp:mcp",
    "registry": "registry.group:registry",
    "docs": "information:docs",
    "models": "information:models",
    "sessions": "sessions:sessions",
    "doctor": "doctor:doctor",
    "install": "installation:install",
    "uninstall": "installation:uninstall",
    "lab": "installation:lab",
    "console": "installation:console",
}
"""Subcommand to `module:function` in this folder, in the order of the help."""

_OUTPUT_ERRORS = frozenset({errno.EBADF, errno.EFBIG, errno.EIO, errno.ENOSPC})
"""What a full disk or a closed stdout answers to writing."""


class Commands(LazyGroup):
    """What the person can mend is one line on stderr, without traceback."""

    def main(self, *args: Any, **extra: Any) -> Any:
        _open_closed_streams()
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except MicroAgiError as error:
            from micro_agi_kernel.frontends.cli.output import about_named
            from micro_agi_kernel.frontends.text import one_line

            raise click.ClickException(one_line(about_named(str(error)))) from error
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
            raise SystemExit(0) from None  # the reader has what it wanted
        except OSError as error:
            what = "cannot write the output" if error.errno in _OUTPUT_ERRORS else "the system refuses"
            raise click.ClickException(f"{what}: {error.strerror or error}") from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise SystemExit(130) from None  # 128 + SIGINT, as shells count


@click.group(
    cls=Commands, modules=COMMANDS, package=__package__, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, message="micro-agi %(version)s")
def main() -> None:
    """Micro AGI: an agent in Jupyter that writes its own tools, each one a commit you can read.

    Start with `micro-agi demo`, which needs no key and no network.
    """


def _open_closed_streams() -> None:
    """Lead standard streams that the caller closed to the null device: no file or socket must take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 (open until the process ends)
