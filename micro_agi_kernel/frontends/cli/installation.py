"""`micro-agi install`, `uninstall`, `lab` and `console`: this kernel and the front ends around it."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import click

from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.frontends.cli.output import not_empty
from micro_agi_kernel.frontends.jupyter.spec import (
    KERNEL_NAME,
    install_kernelspec,
    installed_kernelspecs,
    uninstall_kernelspec,
)


@click.command(short_help="Register the kernel with Jupyter.")
@click.option("--user", is_flag=True, help="For this user, in every environment.")
@click.option("--sys-prefix", is_flag=True, help="Into this Python environment (the default).")
@click.option("--prefix", metavar="P", callback=not_empty, help="Into the environment at P.")
def install(user: bool, sys_prefix: bool, prefix: str | None) -> None:
    """Register the kernel with Jupyter, with the absolute path of this Python."""
    if user + sys_prefix + (prefix is not None) > 1:
        raise click.UsageError("choose one of --user, --sys-prefix and --prefix")
    target = None if user else prefix or sys.prefix
    click.echo(f"installed in {install_kernelspec(user=user, prefix=target)}")


@click.command(short_help="Remove the kernel from Jupyter.")
def uninstall() -> None:
    """Remove the kernel from Jupyter, wherever Jupyter finds it."""
    removed = uninstall_kernelspec()
    for folder in removed:
        click.echo(f"removed {folder}")
    if not removed:
        click.echo("nothing to remove", err=True)


_pass_on = click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)


@click.command(context_settings={"ignore_unknown_options": True}, short_help="Start JupyterLab.")
@_pass_on
def lab(arguments: tuple[str, ...]) -> None:
    """Start JupyterLab, with ARGS passed on. Choose "Micro AGI" in its launcher."""
    _start("jupyterlab", *arguments)


@click.command(context_settings={"ignore_unknown_options": True}, short_help="Start jupyter console with this kernel.")
@_pass_on
def console(arguments: tuple[str, ...]) -> None:
    """Start jupyter console with this kernel, with ARGS passed on."""
    _start("jupyter_console", "--kernel", KERNEL_NAME, *arguments)


def _start(module: str, *arguments: str) -> None:
    if find_spec(module) is None:
        raise MicroAgiError(f"{module} is not installed: pip install jupyterlab jupyter-console")
    if not installed_kernelspecs():
        raise MicroAgiError("Jupyter does not know the kernel: run `micro-agi install`")
    # In our place, not below us: so Ctrl-C and every other signal are the front end's own.
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])
