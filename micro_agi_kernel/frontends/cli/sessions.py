"""`micro-agi sessions`: what was said and done in earlier sessions, from their logs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import ErrorKind, MicroAgiError, Refused, RegistryError
from micro_agi_kernel.frontends.cli.ask import ConsoleTranscript
from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_table, print_text, say
from micro_agi_kernel.logs.lines import as_fields
from micro_agi_kernel.logs.turns import Header, Turn, find_log, logs_in, read_header, read_turns
from micro_agi_kernel.logs.writer import SUFFIX
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.values import Json, shorten


@click.group(short_help="Read the logs of earlier sessions.")
def sessions() -> None:
    """Read the logs of earlier sessions.

    Where a command takes an ID, it takes the path of a log too. With the model `replay:ID` the prompts of a
    session run again offline.
    """


@sessions.command("list")
@json_option
def list_sessions(as_json: bool) -> None:
    """List the sessions, newest first."""
    rows = []
    for path in logs_in(load_settings().sessions):
        try:
            rows.append(_summary(path.stem, read_header(path), read_turns(path)))
        except MicroAgiError as error:
            say(f"not usable: {error}")
    if as_json:
        print_json([*rows])
        return
    print_table(("id", "time", "cells", "model", "tokens", "first prompt"), map(_row, rows), "no sessions")


def _summary(id: str, header: Header, turns: Iterator[Turn]) -> dict[str, Json]:
    prompt, cells, models, usage = "", 0, dict[str, None](), Usage()
    for turn in turns:
        prompt, cells = prompt if cells else turn.prompt, cells + 1
        for step in turn.steps:
            usage += step.usage
            models[step.model] = None
    return {
        "id": id,
        "time": header.time,
        "prompt": prompt,
        "cells": cells,
        "models": list(models),
        "tokens": as_fields(usage),
    }


def _row(summary: dict[str, Json]) -> tuple[str, ...]:
    models, tokens = summary["models"], summary["tokens"]
    assert isinstance(models, list) and isinstance(tokens, dict)
    total = int(str(tokens["prompt"])) + int(str(tokens["completion"]))
    first = shorten(" ".join(str(summary["prompt"]).split()))
    when = str(summary["time"])[:19].replace("T", " ")
    return str(summary["id"]), when, str(summary["cells"]), ", ".join(map(str, models)), f"{total:,}", first


@sessions.command()
@click.argument("id")
@json_option
def show(id: str, as_json: bool) -> None:
    """Print the session ID as a terminal showed it."""
    settings = load_settings()
    path = find_log(settings.sessions, id)
    header = read_header(path)
    read = _turns_of(path, header.session, settings)
    if as_json:
        turns: list[Json] = [_turn_json(turn) for turn in read]
        print_json({"id": header.session, "time": header.time, "version": header.version, "turns": turns})
        return
    for turn in read:
        _show(turn, footer=settings.render.footer, color=settings.render.color)


def _turns_of(path: Path, session: str, settings: Settings) -> Iterator[Turn]:
    """The turns of a log; one that is cut says what it wrote, where there is a registry to ask."""
    from micro_agi_kernel.cut_turns import with_what_was_written
    from micro_agi_kernel.registry import Registry
    from micro_agi_kernel.trust import choose_registry

    try:
        registry = Registry.open(choose_registry(settings)[0])
    except RegistryError:
        yield from read_turns(path)
        return
    with registry:
        yield from with_what_was_written(read_turns(path), session, registry)


def _show(turn: Turn, *, footer: bool, color: bool = False) -> None:
    print_text(f"> {turn.prompt.strip()}")
    transcript = ConsoleTranscript(footer=footer, color=color)
    for event in turn.events:
        transcript.handle(event)
    transcript.close()
    if end := turn.failure:
        print_text(f"{end.name}: {end.line}")


def _turn_json(turn: Turn) -> Json:
    usage = Usage()
    for step in turn.steps:
        usage += step.usage
    events: list[Json] = [{"event": type(event).__name__, **as_fields(event)} for event in turn.events]
    return {
        "cell": turn.cell,
        "time": turn.time,
        "prompt": turn.prompt,
        "status": turn.status,
        "steps": len(turn.steps),
        "tokens": as_fields(usage),
        "events": events,
    }


@sessions.command()
@click.argument("id")
@click.argument("file", type=click.Path(path_type=Path))
def export(id: str, file: Path) -> None:
    """Write the session ID to a file.

    FILE, which is new, ends in .ipynb for a notebook or in .jsonl for the log itself.
    """
    settings = load_settings()
    path = find_log(settings.sessions, id)
    header = read_header(path)
    if file.suffix not in (".ipynb", SUFFIX):
        raise click.BadParameter(f"its name ends in .ipynb or {SUFFIX}", param_hint="FILE")
    try:
        with file.open("xb") as target:
            if file.suffix == SUFFIX:
                with path.open("rb") as source:
                    shutil.copyfileobj(source, target)
            else:
                from micro_agi_kernel.frontends.jupyter.ipynb import as_ipynb

                document = as_ipynb(_turns_of(path, header.session, settings), footer=settings.render.footer)
                target.write(f"{json.dumps(document, ensure_ascii=False, indent=1)}\n".encode())
    except FileExistsError as error:
        raise Refused(ErrorKind.ALREADY_EXISTS, f"{file} is there already: name another file") from error
    except OSError as error:
        raise Refused(ErrorKind.UNAVAILABLE, f"cannot write {file}: {error.strerror}") from error
    say(f"wrote {file}")
