"""`micro-agi registry trust`: what may be used although somebody else could have put it there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import RegistryError, SettingsError
from micro_agi_kernel.frontends.cli.opening import open_at
from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_table, print_text, registry_option
from micro_agi_kernel.model_choice import models_in
from micro_agi_kernel.models.catalog import ModelSpec
from micro_agi_kernel.registry.signing import fingerprint
from micro_agi_kernel.trust import (
    Trust,
    Trusted,
    TrustedKey,
    TrustedModel,
    TrustedRegistry,
    change_trust,
    pairs,
    project_place,
    project_registry,
    read_trust,
)
from micro_agi_kernel.values import short_commit

MAX_KEY = 16_384
"""Bytes of a public key's file; the longest RSA key has 3,000."""


@click.command(short_help="Trust a project's registry, a model's server, or a key.")
@click.argument("what", required=False)
@click.option("--remove", is_flag=True, help="Do not trust it any more.")
@registry_option
@json_option
def trust(what: str | None, remove: bool, registry_path: str | None, as_json: bool) -> None:
    """Trust WHAT, or list what is trusted.

    WHAT is a project or its registry (a path), a model (its name or entry id) that sends a key to a server of its
    own, or the public SSH key of a person (a file ending in .pub) whose signed commits `registry pull` may take.
    """
    home = load_settings().home
    if what is None:
        if remove:
            raise click.UsageError("--remove needs to know what to remove")
        _show(read_trust(home).items, as_json)
    elif remove:
        gone = _known(read_trust(home), what, registry_path)
        if not gone:
            raise click.ClickException(f"nothing of that name is trusted: {what}")
        change_trust(home, lambda trust: Trust(tuple(item for item in trust.items if item not in gone)))
        _show(gone, as_json, "no longer trusted")
    else:
        added = _named(what, registry_path)
        change_trust(home, lambda trust: trust.with_items(added))
        _show(added, as_json, "trusted")


def _named(what: str, registry_path: str | None) -> tuple[Trusted, ...]:
    """What `what` names, whether it is trusted or not."""
    if what.endswith(".pub"):
        return (_key(Path(what)),)
    if os.sep in what or what in (".", ".."):
        return (project_registry(project_place(Path(what))),)
    spec, registry = _model(what, registry_path)
    if spec is None:
        there = f"; for the folder say ./{what}" if os.path.lexists(what) else ""
        raise RegistryError(
            f"no model is called {what!r}: a path has a {os.sep} in it, a key's file ends in .pub{there}"
        )
    found = pairs(spec, registry)
    if not found:
        raise SettingsError(f"{spec.id} needs no trust: it sends no key to a server of its own")
    return found


def _known(trust: Trust, what: str, registry_path: str | None) -> tuple[Trusted, ...]:
    """What of `trust` is called `what`: all of it can be gone, so little is looked up."""
    names = {what, str(project_place(Path(what)))}
    if what.endswith(".pub") and Path(what).is_file():
        names.add(_key(Path(what)).fingerprint)
    found = tuple(item for item in trust.items if not names.isdisjoint(asdict(item).values()))
    if found or os.sep in what or not trust.of(TrustedModel):
        return found
    spec, _ = _model(what, registry_path)
    return tuple(item for item in trust.of(TrustedModel) if spec is not None and item.id == str(spec.id))


def _model(name: str, registry_path: str | None) -> tuple[ModelSpec | None, Path]:
    """The model of the registry that has this name or id."""
    with open_at(registry_path) as opened:
        specs, _ = models_in(opened.snapshot())
        return next((spec for spec in specs if name in (spec.name, str(spec.id))), None), opened.path


def _key(file: Path) -> TrustedKey:
    try:
        with file.open("rb") as opened:
            lines = [line.strip() for line in opened.read(MAX_KEY).decode().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'it is no text'}") from error
    found = fingerprint(lines[0]) if len(lines) == 1 and len(lines[0].split()) > 1 else None
    if found is None:
        raise SettingsError(f"{file} is no public SSH key: one line such as `ssh-ed25519 AAAA... name`")
    return TrustedKey(found, lines[0])


def _show(items: Iterable[Trusted], as_json: bool, what: str = "") -> None:
    if as_json:
        print_json([{"type": _type(item), **asdict(item)} for item in items])
    elif what:
        for item in items:
            print_text(f"{what}: {_type(item)} {'; '.join(_cells(item))}")
    else:
        print_table(("type", "what", ""), ((_type(item), *_cells(item)) for item in items), "nothing is trusted")


def _type(item: Trusted) -> str:
    match item:
        case TrustedRegistry():
            return "registry"
        case TrustedModel():
            return "model"
        case TrustedKey():
            return "key"


def _cells(item: Trusted) -> tuple[str, str]:
    match item:
        case TrustedRegistry():
            return item.path, f"its first commit is {short_commit(item.first_commit)}"
        case TrustedModel():
            return item.id, f"{item.key} may go to {item.url} (registry {item.registry})"
        case TrustedKey():
            return item.fingerprint, " ".join(item.line.split()[2:])
