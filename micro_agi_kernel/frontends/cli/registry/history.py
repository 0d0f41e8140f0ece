"""`micro-agi registry log`, `diff` and `blame`: what became of it, and who did it."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from micro_agi_kernel.entries import EntryId, action_between
from micro_agi_kernel.frontends.cli.opening import open_at
from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_table, print_text, registry_option
from micro_agi_kernel.frontends.cli.registry.entries import not_found
from micro_agi_kernel.frontends.text import one_line, plain
from micro_agi_kernel.naming import named, nearest
from micro_agi_kernel.registry import Registry, Version
from micro_agi_kernel.registry.blame import BlamedLine
from micro_agi_kernel.registry.blame import blame as blamed
from micro_agi_kernel.registry.differences import Difference, differences
from micro_agi_kernel.values import Json, minute_of, short_commit

_STYLES = {"+": "green", "-": "red", "@": "cyan"}
"""How the lines of a diff look on a terminal, by how they begin."""


@click.command(short_help="Show the commits, newest first.")
@click.argument("id", required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many commits to print.")
@registry_option
@json_option
def log(id: str | None, limit: int, registry_path: str | None, as_json: bool) -> None:
    """Show the commits, newest first, or what became of the entry ID, which need not be there any more."""
    with open_at(registry_path) as opened:
        entry = named(opened, id) if id is not None else None
        versions = list(opened.versions(limit + 1, id=entry))
        more = len(versions) > limit
        del versions[limit:]
        actions = [_action(opened, version, entry) for version in versions] if entry is not None else []
        near = nearest(opened.snapshot(), entry.name) if entry is not None and not versions else ""
    if as_json:
        print_json([_version(version) for version in versions])
        return
    rows = [(_number(v), short_commit(v.commit), minute_of(v.time), v.actor, v.subject) for v in versions]
    if entry is None:
        print_table(("version", "commit", "time", "actor", "subject"), rows)
    else:
        print_table(
            ("version", "commit", "time", "actor", "action", "subject"),
            [(*row[:4], action, row[4]) for row, action in zip(rows, actions, strict=True)],
        )
    if not versions:
        print_text(f"no commit changed {entry}{near and f'; {near}'}", to_stderr=True)
    elif more:
        print_text(f"there are older ones: --limit {limit * 5}", to_stderr=True)


def _action(registry: Registry, version: Version, id: EntryId) -> str:
    """What the commit did to the entry: seen in what it holds, not in what it says."""
    before = bool(version.parents) and registry.snapshot(version.parents[0]).has(id)
    after = registry.snapshot(version.commit).has(id)
    return action_between(before, after)


def _number(version: Version) -> str:
    return f"v{version.number}"


def _version(version: Version) -> dict[str, Json]:
    return {
        "version": version.number,
        "commit": version.commit,
        "time": version.time.isoformat(),
        "actor": version.actor,
        "subject": version.subject,
        "operations": [{"action": action, "id": str(id)} for action, id in version.operations],
        "trailers": dict(version.trailers),
    }


@click.command(short_help="Show what differs between two versions.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="[B]", default="main")
@registry_option
@json_option
def diff(a: str, b: str, registry_path: str | None, as_json: bool) -> None:
    """Show what differs between the revisions A and B (or now), entry by entry.

    A revision is a commit, main, or v12 as `log` prints it, with ~2 or ^ behind it: `diff v12^ v12` is what v12 did.
    """
    with open_at(registry_path) as opened:
        found = differences(opened, opened.snapshot(a), opened.snapshot(b))
        if as_json:
            print_json([_difference(difference) for difference in found])
        elif not _print_differences(found):
            print_text(f"nothing differs between {a} and {b}", to_stderr=True)


def _print_differences(found: Iterable[Difference]) -> bool:
    """Print each under a heading, in colours where a person looks. Whether there was any."""
    any_found = False
    for difference in found:
        any_found = True
        heading = one_line(f"{difference.action.capitalize()} {difference.id or difference.path}")
        text = plain(difference.text)
        if sys.stdout.isatty():
            _print_coloured(heading, text.removesuffix("\n").split("\n"))
        else:
            click.echo(f"{heading}\n{text}")
    return any_found


def _print_coloured(heading: str, lines: Iterable[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(heading, "bold"), soft_wrap=True)
    for line in lines:
        console.print(Text(line, _STYLES.get(line[:1], "")), soft_wrap=True)
    console.print()


def _difference(difference: Difference) -> dict[str, Json]:
    what: dict[str, Json] = {"id": str(difference.id)} if difference.id else {"file": difference.path}
    return {"action": difference.action, **what, "diff": difference.text}


@click.command(short_help="Show which commit each line of an entry comes from.")
@click.argument("id")
@registry_option
@json_option
def blame(id: str, registry_path: str | None, as_json: bool) -> None:
    """Show, for each line of the Lua source of ID (or of its YAML, if it has none), who wrote it and when.

    It asks git, which must be on PATH.
    """
    with open_at(registry_path) as opened:
        snapshot = opened.snapshot()
        entry = named(opened, id, snapshot)
        if not snapshot.has(entry):
            raise not_found(opened, snapshot, entry)
        lines = blamed(opened, snapshot, entry)
    if as_json:
        print_json([_blamed(number, line) for number, line in enumerate(lines, 1)])
        return
    versions = [line.version for line in lines]
    heads = [one_line(f"{short_commit(v.commit)} {minute_of(v.time)} {v.actor}") for v in versions]
    longest = max(map(len, heads), default=0)
    width = len(str(len(lines)))
    for number, (head, line) in enumerate(zip(heads, lines, strict=True), 1):
        print_text(f"{head:{longest}} {number:{width}} {line.text}")


def _blamed(number: int, line: BlamedLine) -> dict[str, Json]:
    return {
        "line": number,
        "text": line.text,
        "commit": line.version.commit,
        "version": line.number,
        "actor": line.version.actor,
        "time": line.version.time.isoformat(),
    }
