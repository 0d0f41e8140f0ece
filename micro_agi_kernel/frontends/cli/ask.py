"""`micro-agi ask`: a conversation without Jupyter."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import fields, is_dataclass
from enum import Enum

import click

from micro_agi_kernel.commands import run_cell
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.events import Event, TurnFinished
from micro_agi_kernel.frontends.cli.output import decoded, not_empty, print_json, print_text, registry_option
from micro_agi_kernel.frontends.cli.registry.place import watched
from micro_agi_kernel.frontends.text import plain
from micro_agi_kernel.frontends.transcript import Transcript
from micro_agi_kernel.session import open_session
from micro_agi_kernel.settings import Settings, load_settings
from micro_agi_kernel.values import Json


@click.command(short_help="Ask the agent.")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@click.option("--model", metavar="M", callback=not_empty, help="Name or class of a model, instead of the agent's own.")
@registry_option
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON on stdout.")
def ask(texts: tuple[str, ...], model: str | None, registry_path: str | None, as_json: bool) -> None:
    """Ask the agent. Several TEXTs are several turns of one conversation; - reads stdin."""
    settings = load_settings(model=model, registry=registry_path)
    end = asyncio.run(_converse(settings, [_prompt(text) for text in texts], as_json))
    if end.status != "ok":
        raise MicroAgiError(end.error or end.status)


def _prompt(text: str) -> str:
    # An argument may hold any bytes, as stdin may.
    prompt = decoded(sys.stdin.buffer.read(), "stdin") if text == "-" else decoded(os.fsencode(text), "TEXT")
    if not prompt.strip():
        raise click.BadParameter("it is empty", param_hint="TEXT")
    return prompt


async def _converse(settings: Settings, prompts: list[str], as_json: bool) -> TurnFinished:
    """Answer the prompts in order, until one fails; how the last one ended."""
    session = open_session(settings)
    watched(session.workspace.registry)
    end = TurnFinished("ok")
    try:
        for cell, prompt in enumerate(prompts, start=1):
            if len(prompts) > 1 and not as_json:
                print_text(f"> {prompt.strip()}")
            async with aclosing(run_cell(session, prompt, cell=cell)) as events:
                end = await (_print_events(events) if as_json else _print_transcript(events, settings.render.footer))
            if end.status != "ok":
                break
    finally:
        await session.close()
        for line in session.workspace.take_notices():
            print_text(line, to_stderr=True)
    return end


async def _print_events(events: AsyncGenerator[Event, None]) -> TurnFinished:
    async for event in events:
        print_json({"event": type(event).__name__, **_fields(event)}, lines=True)
    assert isinstance(event, TurnFinished)
    return event


async def _print_transcript(events: AsyncGenerator[Event, None], footer: bool) -> TurnFinished:
    transcript = ConsoleTranscript()
    transcript.shows_footer = footer
    try:
        async for event in events:
            transcript.handle(event)
    finally:
        transcript.close()
    assert isinstance(event, TurnFinished)
    return event


class ConsoleTranscript(Transcript):
    """The transcript on stdout, as it comes."""

    def __init__(self) -> None:
        super().__init__()
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
        case bytes():
            return base64.b64encode(value).decode()
        case Entry():
            return value.as_json()
        case tuple() | list():
            return [_json(item) for item in value]
        case dict():
            return {str(key): _json(item) for key, item in value.items()}
        case _:
            return _fields(value)
