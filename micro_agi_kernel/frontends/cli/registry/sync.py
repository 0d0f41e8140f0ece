"""`micro-agi registry pull`, `push` and `remote`: sharing a registry with another repository."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.environment import git_environment, load_settings
from micro_agi_kernel.frontends.cli.opening import in_workspace, open_at
from micro_agi_kernel.frontends.cli.output import about_named, json_option, print_json, print_text, registry_option, say
from micro_agi_kernel.intake import Fate, Item, Wishes
from micro_agi_kernel.registry.sharing.address import address_of
from micro_agi_kernel.registry.sharing.remote import Remote
from micro_agi_kernel.syncing import Pulled, Syncing
from micro_agi_kernel.values import Json, many, short_commit

_T = TypeVar("_T")

_WORDS: dict[Fate, str] = {
    "taken": "taken",
    "waiting": "waits",
    "conflict": "conflict",
    "refused": "refused",
    "left": "left",
}


@click.command(short_help="Fetch from the remote, and merge what may be merged.")
@click.option("--accept", multiple=True, metavar="ID|PATH|all", help="Take this of what waits or is in conflict.")
@click.option("--reject", multiple=True, metavar="ID|PATH|all", help="Leave this: what is here stays.")
@registry_option
@json_option
def pull(accept: tuple[str, ...], reject: tuple[str, ...], registry_path: str | None, as_json: bool) -> None:
    """Fetch from the remote, and merge what may be merged; a line for each change.

    Tools in app.generated that the policies let pass are taken. All else waits for --accept or --reject, which
    decide about what the last pull showed, without fetching. What is broken is refused, and can only be rejected.
    """
    if both := set(accept) & set(reject):
        raise click.UsageError(f"both accepted and rejected: {min(both)}")
    wishes = Wishes(frozenset(accept), frozenset(reject)) if accept or reject else None
    done = _run(lambda syncing: syncing.pull(wishes), registry_path)
    if as_json:
        print_json({"remote": done.remote, "theirs": done.theirs, "commit": done.commit, **_json(done)})
        return
    for item in done.items:
        for line in _lines(item, done.theirs or ""):
            print_text(about_named(line))
    say(_summary(done))


def _lines(item: Item, theirs: str) -> list[str]:
    why = f": {item.why}" if item.why else ""
    lines = [f"{_WORDS[item.fate]} {item.action} {item.subject}{why}"]
    if item.fate in ("waiting", "conflict") and isinstance(item.subject, EntryId) and item.action != "delete":
        lines.append(f"  see it: `micro-agi registry show {item.subject} --at {short_commit(theirs)}`")
    return lines


def _summary(done: Pulled) -> str:
    if done.theirs is None:
        return f"{done.remote} is empty: `micro-agi registry push` fills it"
    if undecided := done.open:
        name = shlex.quote(str(undecided[0].subject))
        example = f"for example with `micro-agi registry pull --reject {name}`"
        return f"{many(len(undecided), 'change')} to decide about, {example}"
    return f"nothing of {done.remote} is missing here"


def _json(done: Pulled) -> dict[str, Json]:
    return {
        "taken": [_row(item) for item in done.of("taken")],
        "waiting": [_row(item) for item in done.of("waiting")],
        "conflicts": [_row(item) for item in done.of("conflict")],
        "refused": [_row(item) for item in done.of("refused")],
        "left": [_row(item) for item in done.of("left")],
    }


def _row(item: Item) -> dict[str, Json]:
    row: dict[str, Json] = {
        "action": item.action,
        "id" if isinstance(item.subject, EntryId) else "path": str(item.subject),
    }
    found: dict[str, Json] = {"why": item.why, "ours": item.ours, "theirs": item.theirs}
    return row | {key: value for key, value in found.items() if value}


@click.command(short_help="Bring the remote up to what stands here.")
@registry_option
@json_option
def push(registry_path: str | None, as_json: bool) -> None:
    """Bring the remote up to what stands here, never by force: what it has and we have not must be pulled first."""

    async def work(syncing: Syncing) -> tuple[str, str]:
        return syncing.remote.address.name, await syncing.push()

    name, commit = _run(work, registry_path)
    if as_json:
        print_json({"remote": name, "commit": commit})
    else:
        print_text(f"{name} is at {short_commit(commit)}")


def _run(work: Callable[[Syncing], Awaitable[_T]], registry_path: str | None) -> _T:
    settings = load_settings(registry=registry_path)
    at_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    return asyncio.run(
        in_workspace(settings, lambda workspace: work(Syncing(workspace, settings.home, at_terminal=at_terminal)))
    )


@click.command(short_help="Show, set or remove the remote's address.")
@click.argument("address", required=False)
@click.option("--remove", is_flag=True, help="Forget the remote.")
@registry_option
@json_option
def remote(address: str | None, remove: bool, registry_path: str | None, as_json: bool) -> None:
    """Show the address of the remote, or make ADDRESS it: an absolute path, https://, ssh:// or user@host:path.

    Passwords are kept by Git's credential helpers, never in the address.
    """
    if remove and address is not None:
        raise click.UsageError("an address to set, or --remove, not both")
    with open_at(registry_path) as opened:
        found = Remote(opened.path, git_environment())
        if remove:
            found.remove()
        elif address is not None:
            found.set(address)
        now = found.address.text if address_of(opened.path) is not None else None
    if as_json:
        print_json({"remote": now})
    elif now is not None:
        print_text(now)
    else:
        say("no remote: `micro-agi registry remote ADDRESS` sets it")
