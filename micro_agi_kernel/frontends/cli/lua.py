"""`micro-agi eval` and `micro-agi call`: running Lua in the jail without a model."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import click

from micro_agi_kernel.agent.results import failure, outcome_json
from micro_agi_kernel.entries import MAX_FILE_BYTES
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import CallError, ErrorKind
from micro_agi_kernel.evaluation import advised, evaluate_program
from micro_agi_kernel.events import Event, Notice
from micro_agi_kernel.frontends.cli.asking import approver
from micro_agi_kernel.frontends.cli.opening import in_workspace
from micro_agi_kernel.frontends.cli.output import (
    decoded,
    json_option,
    print_json,
    print_text,
    read_json,
    registry_option,
    say,
)
from micro_agi_kernel.frontends.output_text import OutputText
from micro_agi_kernel.frontends.question_text import question_text
from micro_agi_kernel.interfaces import CallContext, CallOutcome, Program, Provenance
from micro_agi_kernel.naming import named
from micro_agi_kernel.outputs import Output
from micro_agi_kernel.questions import Question
from micro_agi_kernel.values import Json, as_value, readable_json
from micro_agi_kernel.workspace import Workspace

input_option = click.option("--input", "input_text", metavar="JSON", help="What the function is given; {} unless set.")


class Shown:
    """What a program prints and shows: shown as it comes, or kept for the JSON document."""

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self._text = OutputText()
        self._pieces: list[str] = []

    def __call__(self, output: Output) -> None:
        text = self._text.add(output)
        if self._keep:
            self._pieces.append(text)
        else:
            print_text(text, end=False)

    def end_line(self) -> None:
        """What is said next begins a line."""
        if (end := self._text.end_line()) and not self._keep:
            print_text(end, end=False)

    @property
    def text(self) -> str:
        return "".join(self._pieces)


@click.command("eval", short_help="Run a Lua file in the jail, as a tool would run.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--modules", default="", metavar="A,B", help="Modules that the program may require.")
@input_option
@click.option("--method", default="handler", show_default=True, help="Function of the returned table to call.")
@click.option("--timeout", type=click.FloatRange(0, 1e6, min_open=True), metavar="SECONDS", help="Time limit.")
@click.option("--memory", type=click.IntRange(1, 1_000_000), metavar="MIB", help="Limit of Lua memory.")
@json_option
def evaluate(
    file: str,
    modules: str,
    input_text: str | None,
    method: str,
    timeout: float | None,
    memory: int | None,
    as_json: bool,
) -> None:
    """Run the Lua program FILE in the jail, as a tool would run; - reads it from stdin.

    No registry is opened. If the program returns a table with the method, that is called with the input;
    if it returns something else, that is the result.
    """
    given = as_value(read_json(input_text, "--input"))
    settings = load_settings(None, **{"sandbox.timeout": timeout, "sandbox.memory": memory})
    name = "stdin" if file == "-" else file
    with click.open_file(file, "rb") as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise click.ClickException(f"{name}: larger than {MAX_FILE_BYTES} bytes, which no tool may be")
    names = frozenset(module.strip() for module in modules.split(",") if module.strip())
    program = Program(decoded(content, name), name, given, method, names, settings.sandbox.limits())
    shown = Shown(keep=as_json)

    async def work() -> CallOutcome:
        return advised(await evaluate_program(program, settings, shown), names, "say --modules ", ",")

    _show(work(), shown, as_json, of_tool=False)


@click.command(short_help="Call an entry of the registry.")
@click.argument("id")
@input_option
@registry_option
@json_option
def call(id: str, input_text: str | None, registry_path: str | None, as_json: bool) -> None:
    """Call the entry ID of the registry (for example app.tools:registry_list); its output streams.

    A name or llm_alias that only one entry has will do.
    """
    given = as_value(read_json(input_text, "--input"))
    settings = load_settings(registry=registry_path)
    shown = Shown(keep=as_json)

    def show(question: Question) -> None:
        shown.end_line()
        print_text(question_text(question), end=False, to_stderr=True)

    def tell(event: Event) -> None:
        if isinstance(event, Notice):
            shown.end_line()
            say(event.text)

    async def work(workspace: Workspace) -> CallOutcome:
        entry = await asyncio.to_thread(named, workspace.registry, id)
        context = CallContext(emit=tell, on_output=shown, provenance=Provenance(prompt=f"micro-agi call {id}"))
        if as_json:
            return await workspace.call(entry, given, context)
        async with approver(show) as asking:
            return await workspace.call(entry, given, replace(context, approver=asking))

    _show(in_workspace(settings, work), shown, as_json, of_tool=True)


def _show(work: Coroutine[Any, Any, CallOutcome], shown: Shown, as_json: bool, *, of_tool: bool) -> None:
    """Run a call to its end and print how it ended; Ctrl-C ends the call too.

    Exits with 1 when it failed; a tool may say so by a table that has an `error` key.
    """
    try:
        outcome = asyncio.run(work)
    except KeyboardInterrupt:
        if as_json:
            _print_document(CallOutcome(error=CallError(ErrorKind.CANCELED, "interrupted")), None, shown)
        raise
    shown.end_line()
    value = outcome_json(outcome)
    reason = failure(value) if of_tool or not outcome.ok else None
    if as_json:
        _print_document(outcome, reason, shown)
    elif outcome.error is not None:
        print_text(f"{outcome.error.kind}: {outcome.error.message}", to_stderr=True)
    elif value is not None:
        print_text(value if isinstance(value, str) else readable_json(as_value(value)))
        if reason is not None:
            print_text(reason, to_stderr=True)
    if reason is not None:
        raise SystemExit(1)


def _print_document(outcome: CallOutcome, reason: str | None, shown: Shown) -> None:
    """`reason` is why a tool failed by its own word; then its result stands beside the error."""
    document: dict[str, Json] = {"ok": outcome.ok and reason is None}
    if outcome.error is not None:
        document["error"] = {"kind": outcome.error.kind, "message": outcome.error.message}
    elif reason is not None:
        document["error"] = {"kind": ErrorKind.UNKNOWN, "message": reason}
    if outcome.ok:
        document["result"] = outcome_json(outcome)
    document["output"] = shown.text
    if outcome.ok:
        document["ms"] = round(outcome.seconds * 1000, 1)
    print_json(document)
