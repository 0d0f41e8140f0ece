"""What commands share: their common options, JSON on stdout, tables where a person looks."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterable, Sequence

import click

from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.frontends.text import inert_json, one_line, plain
from micro_agi_kernel.values import Json, parse_json

_NAMED = f"{__name__}.registry"
"""Where the contexts of one run of click keep what --registry says."""

_HINT = re.compile(r"`micro-agi registry [^`\n]+(?=`)")
"""What a line says to run, about its registry: to trust a project is said only where --registry named none."""


def not_empty(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Callback of an option that may be left out but not be empty, as it is when a script's variable is not set."""
    if value == "":
        raise click.BadParameter("it is empty")
    return value


def _remember(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    ctx.meta[_NAMED] = not_empty(ctx, parameter, value)
    return value


registry_option = click.option(
    "--registry",
    "registry_path",
    metavar="PATH",
    callback=_remember,
    help="The bare repository to use, instead of the default one; made if it is not there, which stderr tells.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def about_named(line: str) -> str:
    """`line`, in which the commands that it says to run name the registry that --registry named."""
    context = click.get_current_context(silent=True)  # None in a thread that is not the command's
    named = context.meta.get(_NAMED) if context is not None else None
    return line if named is None else _HINT.sub(lambda hint: f"{hint[0]} --registry {shlex.quote(named)}", line)


def print_json(value: Json, *, lines: bool = False) -> None:
    """One JSON document: one line, or indented where a person looks (unless it is one of several `lines`)."""
    terminal = sys.stdout.isatty()
    text = json.dumps(value, ensure_ascii=False, indent=2 if terminal and not lines else None)
    click.echo(inert_json(text) if terminal else text)


def print_text(text: str, *, end: bool = True, to_stderr: bool = False) -> None:
    """Text that may be hostile, without terminal escapes."""
    click.echo(plain(text), nl=end, err=to_stderr)


def say(line: str) -> None:
    """A line for the person beside the output: on stderr, so that no script takes it for data."""
    print_text(about_named(line), to_stderr=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], nothing: str = "") -> None:
    """A table on a terminal; tab-separated lines without a header elsewhere; without rows, `nothing` on stderr."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    if nothing and not cells:
        say(nothing)
        return
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


def decoded(content: bytes, name: str) -> str:
    """`content` as text, with the newlines that it has."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{name}: not UTF-8 text") from error


def read_json(text: str | None, option: str) -> Json:
    """The value of an option that takes JSON; {} when it was not given."""
    if text is None:
        return {}
    try:
        return parse_json(text, "not JSON")
    except EntryError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
