"""`micro-agi registry verify` and `gc`: is it what it should be, and does it take no more room than it must?"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

import click

from micro_agi_kernel.environment import load_settings, person
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.frontends.cli.opening import open_at
from micro_agi_kernel.frontends.cli.output import about_named, json_option, print_json, print_text, registry_option
from micro_agi_kernel.registry import Finding, Person, Progress
from micro_agi_kernel.registry.care.history import silent
from micro_agi_kernel.registry.care.sharding import shard_crowded
from micro_agi_kernel.registry.care.upkeep import pack
from micro_agi_kernel.values import Json
from micro_agi_kernel.verify import verify_registry


@click.command(short_help="Check every entry, commit and object.")
@registry_option
@click.option("--repair", "mend", is_flag=True, help="First repair what can be repaired; history is never changed.")
@click.option("--tests", is_flag=True, help="Load every function, and run the tests that live with it.")
@json_option
def verify(registry_path: str | None, mend: bool, tests: bool, as_json: bool) -> None:
    """Check the registry: every file, every source, every commit by an agent against its policies, and Git's own fsck.

    A line for each finding; exit code 1 when one of them is a failure. --repair removes what dead writers left, takes
    lost objects from a copy that has them, and sets files that cannot be read aside.
    """
    settings = load_settings(registry=registry_path)
    findings: list[Finding] = []

    async def work(progress: Progress) -> None:
        async for finding in verify_registry(settings, mend=mend, tests=tests, progress=progress):
            findings.append(replace(finding, message=about_named(finding.message)))
            if not as_json:
                _print(f"{finding.status} {finding.check}: {findings[-1].message}")

    with _progress() as progress:
        asyncio.run(work(progress))
    failed = any(finding.status == "fail" for finding in findings)
    if as_json:
        print_json({"ok": not failed, "findings": [_finding(finding) for finding in findings]})
    if failed:
        raise SystemExit(1)


def _print(line: str) -> None:
    """A line of stdout. A reader that has left (`| head -1`) ends no check: the exit code speaks of the registry."""
    try:
        print_text(line)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@click.command(short_help="Pack it now; it also does so by itself.")
@registry_option
@json_option
def gc(registry_path: str | None, as_json: bool) -> None:
    """Pack the objects that lie loose, and put namespaces that have grown large into folders of their own.

    Both happen by themselves in time; nothing is ever lost by it, whoever reads or writes meanwhile.
    """
    with open_at(registry_path) as opened:
        sharded = shard_crowded(opened, Person(*person()), opened.snapshot().namespaces())
        packed = pack(opened.path)
    if packed is None:
        raise RegistryError("another process is packing the registry just now")
    if as_json:
        print_json({**asdict(packed), "sharded": list(sharded)})
        return
    more = [f"sharded {namespace}" for namespace in sharded]
    if packed.abandoned:
        more.append(f"removed {packed.abandoned} unfinished files")
    size = f"{packed.before / 1e6:.1f} MB before, {packed.after / 1e6:.1f} MB now"
    print_text("; ".join([f"packed {packed.objects} loose objects; packs: {packed.packs}; {size}", *more]))


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on stderr where a person looks; it goes away in the end."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None)


def _finding(finding: Finding) -> dict[str, Json]:
    row: dict[str, Json] = {"status": finding.status, "check": finding.check, "message": finding.message}
    if finding.commit is not None:
        row["commit"] = finding.commit
    if finding.id is not None:
        row["id"] = str(finding.id)
    return row
