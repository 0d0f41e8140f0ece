"""`micro-agi registry check-push`: what the pre-receive hook runs; people never do."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.frontends.cli.output import print_text, say
from micro_agi_kernel.pushes import check_push as check


@click.command(hidden=True)
@click.option("--repository", type=click.Path(path_type=Path), required=True, help="The bare repository.")
@click.option("--objects", default="", help="The folder in which Git keeps the pushed objects meanwhile.")
def check_push(repository: Path, objects: str) -> None:
    """Check what is being pushed: lines of OLD NEW REF on stdin. Exit code 1 refuses it."""
    updates = sys.stdin.buffer.read(1 << 20).decode(errors="replace").splitlines()
    settings = load_settings(registry=str(repository))
    pushed = Path(objects) if objects else None
    refused = asyncio.run(check(settings, repository, pushed, updates, say))
    for line in refused:
        print_text(f"refused: {line}", to_stderr=True)
    if refused:
        print_text("nothing was written", to_stderr=True)
        raise SystemExit(1)
