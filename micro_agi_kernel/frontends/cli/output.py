"""What commands share: their common options, JSON on stdout, tables where a person looks."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import click

from micro_agi_kernel.frontends.jupyter.rendering import one_line, plain
from micro_agi_kernel.values import Json

T = TypeVar("T")

registry_option = click.option(
    "--registry", "registry_path", metavar="PATH", help="The bare repository to use, instead of the default one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def print_json(value: Json) -> None:
    """One JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def print_text(text: str, *, end: bool = True, to_stderr: bool = False) -> None:
    """Text that may be hostile, without terminal escapes."""
    click.echo(plain(text), nl=end, err=to_stderr)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; tab-separated lines without a header elsewhere."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def read_json(text: str | None, option: str) -> Json:
    """The value of an option that takes JSON; {} when it was not given."""
    if text is None:
        return {}
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint=option) from error
    return value


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end. Ctrl-C cancels it, so that it cleans up, and ends the command with code 130."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        raise SystemExit(130) from None
