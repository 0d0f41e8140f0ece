"""`micro-agi registry verify`: is it what it should be?"""

from __future__ import annotations

import asyncio

import click

from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_text, registry_option
from micro_agi_kernel.registry import Finding
from micro_agi_kernel.settings import load_settings
from micro_agi_kernel.values import Json
from micro_agi_kernel.verify import verify_registry


@click.command(short_help="Check every entry, commit and object.")
@registry_option
@json_option
def verify(registry_path: str | None, as_json: bool) -> None:
    """Check the registry: every file, every source, every commit by an agent against its policies, and Git's own fsck.

    A line for each finding; exit code 1 when one of them is a failure.
    """
    findings = asyncio.run(verify_registry(load_settings(registry=registry_path)))
    failed = any(finding.status == "fail" for finding in findings)
    if as_json:
        print_json({"ok": not failed, "findings": [_finding(finding) for finding in findings]})
    else:
        for finding in findings:
            print_text(f"{finding.status} {finding.check}: {finding.message}")
    if failed:
        raise SystemExit(1)


def _finding(finding: Finding) -> dict[str, Json]:
    row: dict[str, Json] = {"status": finding.status, "check": finding.check, "message": finding.message}
    if finding.commit is not None:
        row["commit"] = finding.commit
    if finding.id is not None:
        row["id"] = str(finding.id)
    return row
