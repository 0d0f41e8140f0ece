"""`micro-agi ask`: a conversation without Jupyter."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import fields, is_dataclass
from enum import Enum

import click

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.events import Event, TurnFinished
from micro_agi_kernel.frontends.cli.output import registry_option, run
from micro_agi_kernel.frontends.jupyter.rendering import plain
from micro_agi_kernel.frontends.jupyter.sinks import Sink as Transcript
from micro_agi_kernel.session import open_session
from micro_agi_kernel.settings import Settings, load_settings
from micro_agi_kernel.values import Json


@click.command()
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@click.option("--model", metavar="M", help="Name or class of the model, instead of the agent's own.")
@registry_option
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON on stdout.")
def ask(texts: tuple[str, ...], model: str | None, registry_path: str | None, as_json: bool) -> None:
    """Ask the agent. Several TEXTs are several turns of one conversation; - reads stdin."""
    settings = load_settings(model=model, registry=registry_path)
    prompts = [sys.stdin.read() if text == "-" else text for text in texts]
    end = run(_converse(settings, prompts, as_json))
    if end.status != "ok":
        raise click.ClickException(plain(end.error))


async def _converse(settings: Settings, prompts: list[str], as_json: bool) -> TurnFinished:
    """Answer the prompts in order, until one fails; how the last one ended."""
    session = open_session(settings)
    end = TurnFinished("ok")
    try:
        for cell, prompt in enumerate(prompts, start=1):
            end = await _show(session.run(prompt, cell=cell), as_json)
            if end.status != "ok":
                break
    finally:
        await session.close()
    return end


async def _show(events: AsyncIterator[Event], as_json: bool) -> TurnFinished:
    transcript = None if as_json else ConsoleTranscript()
    end = TurnFinished("ok")
    async for event in events:
        if transcript is not None:
            transcript.handle(event)
        else:
            click.echo(json.dumps({"event": type(event).__name__, **_fields(event)}, ensure_ascii=False))
        if isinstance(event, TurnFinished):
            end = event
    return end


class ConsoleTranscript(Transcript):
    """The transcript on stdout, as it comes."""

    def __init__(self) -> None:
        super().__init__(lambda *_: None)
        self._line_start = True

    def answer(self, text: str) -> None:
        self._write(plain(text))

    def close_answer(self) -> None:
        self._start_line()

    def print(self, text: str, *, new_line: bool) -> None:
        if new_line:
            self._start_line()
        self._write(text)

    def _start_line(self) -> None:
        if not self._line_start:
            self._write("\n")

    def _write(self, text: str) -> None:
        click.echo(text, nl=False)
        self._line_start = text.endswith("\n")


def _fields(value: object) -> dict[str, Json]:
    assert is_dataclass(value)
    return {field.name: _json(getattr(value, field.name)) for field in fields(value)}


def _json(value: object) -> Json:
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return str(value.value)
        case str() | EntryId():
            return str(value)
        case Entry():
            return value.as_json()
        case tuple() | list():
            return [_json(item) for item in value]
        case dict():
            return {str(key): _json(item) for key, item in value.items()}
        case _:
            return _fields(value)
