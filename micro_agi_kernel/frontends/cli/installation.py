"""`micro-agi install`, `uninstall`, `lab` and `console`: this kernel and the front ends around it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import click

from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.frontends.jupyter.spec import KERNEL_NAME, install_kernelspec, uninstall_kernelspec


@click.command()
@click.option("--user", is_flag=True, help="For this user, in every environment.")
@click.option("--sys-prefix", is_flag=True, help="Into this Python environment (the default).")
@click.option("--prefix", metavar="P", help="Into the environment at P.")
def install(user: bool, sys_prefix: bool, prefix: str | None) -> None:
    """Register the kernel with Jupyter, with the absolute path of this Python."""
    if user + sys_prefix + (prefix is not None) > 1:
        raise click.UsageError("choose one of --user, --sys-prefix and --prefix")
    target = None if user else prefix or sys.prefix
    click.echo(f"installed in {install_kernelspec(user=user, prefix=target)}")


@click.command()
def uninstall() -> None:
    """Remove the kernel from Jupyter, wherever Jupyter finds it."""
    removed = uninstall_kernelspec()
    for folder in removed:
        click.echo(f"removed {folder}")
    if not removed:
        click.echo("nothing to remove")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> None:
    """Start JupyterLab, with ARGUMENTS passed on. Choose "Micro AGI" in its launcher."""
    _start("jupyterlab", ["-m", "jupyterlab", *arguments])


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def console(arguments: tuple[str, ...]) -> None:
    """Start jupyter console with this kernel, with ARGUMENTS passed on."""
    _start("jupyter_console", ["-m", "jupyter_console", "--kernel", KERNEL_NAME, *arguments])


def _start(module: str, arguments: list[str]) -> None:
    if find_spec(module) is None:
        raise MicroAgiError(f"{module} is not installed: pip install 'micro-agi-kernel[lab]'")
    raise SystemExit(subprocess.run([sys.executable, *arguments], check=False).returncode)
