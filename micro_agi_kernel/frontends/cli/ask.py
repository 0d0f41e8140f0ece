"""`micro-agi ask`: a conversation without Jupyter."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import click

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.events import Event, TurnFinished
from micro_agi_kernel.frontends.cli.asking import at_terminal
from micro_agi_kernel.frontends.cli.opening import watched
from micro_agi_kernel.frontends.cli.output import (
    about_named,
    decoded,
    not_empty,
    print_json,
    print_text,
    registry_option,
    say,
)
from micro_agi_kernel.frontends.text import PlainPieces, Tone
from micro_agi_kernel.frontends.transcript import Transcript
from micro_agi_kernel.logs.lines import as_fields
from micro_agi_kernel.session import open_session
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.values import many
from micro_agi_kernel.workspace import made_by_name


@click.command(short_help="Ask the agent.")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@click.option("--model", metavar="M", callback=not_empty, help="Name or class of a model, instead of the agent's own.")
@registry_option
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON on stdout.")
def ask(texts: tuple[str, ...], model: str | None, registry_path: str | None, as_json: bool) -> None:
    """Ask the agent. Several TEXTs are several turns of one conversation; - reads stdin.

    The first turn that fails is the last one: no TEXT after it is asked.
    """
    settings = load_settings(model=model, registry=registry_path)
    end, left = asyncio.run(_converse(settings, [_prompt(text) for text in texts], as_json))
    if end.status != "ok":
        more = f"; {many(left, 'text')} {'was' if left == 1 else 'were'} not asked" if left else ""
        raise MicroAgiError(f"{end.error or end.status}{more}")


def _prompt(text: str) -> str:
    # An argument may hold any bytes, as stdin may.
    prompt = decoded(sys.stdin.buffer.read(), "stdin") if text == "-" else decoded(os.fsencode(text), "TEXT")
    if not prompt.strip():
        raise click.BadParameter("it is empty", param_hint="TEXT")
    return prompt


async def _converse(settings: Settings, prompts: list[str], as_json: bool) -> tuple[TurnFinished, int]:
    """Answer the prompts in order, until one fails; how the last one ended, and how many were not asked."""
    made = made_by_name(settings)
    session = open_session(settings)
    watched(session.workspace.registry)
    if made:
        say(made)
    end, left = TurnFinished("ok"), len(prompts)
    try:
        for cell, prompt in enumerate(prompts, start=1):
            if len(prompts) > 1 and not as_json:
                print_text(f"> {prompt.strip()}")
            transcript = ConsoleTranscript(footer=settings.render.footer, color=settings.render.color)
            ask = None if as_json else at_terminal(transcript.ask)
            async with aclosing(run_cell(session, prompt, cell=cell, ask=ask)) as events:
                end = await (_print_events(events) if as_json else _print_transcript(events, transcript))
            left -= 1
            if end.status != "ok":
                break
    finally:
        await session.close()
        for line in session.workspace.take_notices():
            say(line)
    return end, left


async def _print_events(events: AsyncGenerator[Event, None]) -> TurnFinished:
    async for event in events:
        print_json({"event": type(event).__name__, **as_fields(event)}, lines=True)
    assert isinstance(event, TurnFinished)
    return event


async def _print_transcript(events: AsyncGenerator[Event, None], transcript: ConsoleTranscript) -> TurnFinished:
    try:
        async for event in events:
            transcript.handle(event)
    finally:
        transcript.close()
    assert isinstance(event, TurnFinished)
    return event


class ConsoleTranscript(Transcript):
    """The transcript on stdout, as it comes."""

    def __init__(self, *, footer: bool, color: bool = False) -> None:
        super().__init__(footer=footer, color=color and sys.stdout.isatty())
        self._line_start = True
        self._pieces = PlainPieces()

    def answer(self, text: str) -> None:
        self._write(self._pieces.add(text))

    def close_answer(self) -> None:
        self._write(self._pieces.end())
        self._start_line()

    def show_command(self, markdown: str) -> None:
        super().show_command(about_named(markdown))

    def say(self, line: str, tone: Tone) -> None:
        super().say(about_named(line), tone)

    def print(self, text: str, *, new_line: bool) -> None:
        if new_line:
            self._start_line()
        self._write(text)

    def show_question(self, text: str) -> None:
        if sys.stdout.isatty():
            self._start_line()
        click.echo(text, nl=False, err=True)

    def _start_line(self) -> None:
        if not self._line_start:
            self._write("\n")

    def _write(self, text: str) -> None:
        if text:
            click.echo(text, nl=False)
            self._line_start = text.endswith("\n")
