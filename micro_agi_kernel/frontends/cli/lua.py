"""`micro-agi eval` and `micro-agi call`: running Lua in the jail without a model."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TextIO

import click

from micro_agi_kernel.agent.results import outcome_json
from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.frontends.cli.output import json_option, print_json, print_text, read_json, registry_option, run
from micro_agi_kernel.interfaces import MIB, CallOutcome, Program, Provenance
from micro_agi_kernel.settings import load_settings
from micro_agi_kernel.values import Json, as_value
from micro_agi_kernel.workspace import Workspace, call_context, evaluate_program

input_option = click.option("--input", "input_text", metavar="JSON", help="What the handler is given; {} unless set.")


class Printed:
    """What a program prints: shown as it comes, or kept for the JSON document."""

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self._pieces: list[str] = []

    def __call__(self, text: str) -> None:
        if self._keep:
            self._pieces.append(text)
        else:
            print_text(text, end=False)

    @property
    def text(self) -> str:
        return "".join(self._pieces)


@click.command("eval")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--modules", default="", metavar="A,B", help="Modules that the program may require.")
@input_option
@click.option("--method", default="handler", show_default=True, help="Function of the returned table to call.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Time limit.")
@click.option("--memory", type=click.IntRange(1), metavar="MIB", help="Limit of Lua memory.")
@json_option
def evaluate(
    file: TextIO,
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
    settings = load_settings()
    limits = settings.sandbox.limits()
    if timeout is not None:
        limits = replace(limits, seconds=timeout)
    if memory is not None:
        limits = replace(limits, memory=memory * MIB)
    try:
        source = file.read()
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file.name}: not UTF-8 text, so not Lua source") from error
    names = frozenset(name.strip() for name in modules.split(",") if name.strip())
    name = "stdin" if file.name == "<stdin>" else str(file.name)
    program = Program(source, name, as_value(read_json(input_text, "--input")), method, names, limits)
    printed = Printed(keep=as_json)
    finish(run(evaluate_program(program, settings, printed)), printed, as_json)


@click.command()
@click.argument("id")
@input_option
@registry_option
@json_option
def call(id: str, input_text: str | None, registry_path: str | None, as_json: bool) -> None:
    """Call the entry ID of the registry (for example app.tools:registry_list); its output streams."""
    settings = load_settings(registry=registry_path)
    printed = Printed(keep=as_json)
    given = as_value(read_json(input_text, "--input"))

    async def work() -> CallOutcome:
        workspace = Workspace(settings)
        try:
            context = call_context(lambda event: None, printed, Provenance())
            return await workspace.call(EntryId.parse(id), given, context)
        finally:
            await workspace.close()

    finish(run(work()), printed, as_json)


def finish(outcome: CallOutcome, printed: Printed, as_json: bool) -> None:
    """Print how a call ended, and exit with 1 when it failed."""
    value = outcome_json(outcome)
    if as_json:
        document: dict[str, Json] = {"ok": outcome.ok, "output": printed.text, "ms": round(outcome.seconds * 1000, 1)}
        if outcome.ok:
            document["result"] = value
        else:
            assert isinstance(value, dict)
            document["error"] = value["error"]
        print_json(document)
    elif outcome.error is not None:
        print_text(f"{outcome.error.kind}: {outcome.error.message}", to_stderr=True)
    elif value is not None:
        print_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2))
    if not outcome.ok:
        raise SystemExit(1)
