"""Cells that are commands: `%name arguments`, alone in its cell, runs here instead of going to the model.

COMMANDS is the table: a name and its function. What a function takes after session and context are the command's
arguments, by the names that its help shows; its docstring is the help; what it returns is the answer, in Markdown.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
import re
from collections.abc import AsyncGenerator, Awaitable, Callable

from micro_agi_kernel.approval import Ask
from micro_agi_kernel.bisecting import bisect as find_breaking
from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.events import Event, Spent, TextDelta, TurnFinished
from micro_agi_kernel.interfaces import CallContext, Provenance
from micro_agi_kernel.markdown_text import code, table
from micro_agi_kernel.naming import named
from micro_agi_kernel.rollback import RolledBack
from micro_agi_kernel.rollback import restore as restore_state
from micro_agi_kernel.rollback import revert as revert_commit
from micro_agi_kernel.session import Emit, Session
from micro_agi_kernel.tool_costs import NOT_KNOWN, ToolCost, tool_costs
from micro_agi_kernel.tool_page import tool_page
from micro_agi_kernel.values import money

TOOLS_SHOWN = 20
"""Rows of the table of tools."""

_MODEL_HEADS = ("model", "steps", "prompt", "cached", "answer", "reasoning", "money")
_TOOL_HEADS = ("tool", "commits", "tokens", "money", "used", "failed", "money per use")

Command = Callable[..., Awaitable[str]]

_COMMAND = re.compile(r"%([A-Za-z]\w*)(?:[ \t]+(.*))?")


async def show_help(session: Session, context: CallContext) -> str:
    """List the commands."""
    return "\n".join(f"- `{_usage(name)}`: {inspect.getdoc(run)}" for name, run in COMMANDS.items())


async def revert(session: Session, context: CallContext, rev: str, id: str | None = None) -> str:
    """Undo what the commit REV did, or what it did to the entry ID."""
    house = session.workspace
    return _listed(await revert_commit(house.registry, house.publishing, context, rev, await _named(session, id)))


async def restore(session: Session, context: CallContext, rev: str, id: str | None = None) -> str:
    """Bring back the registry, or the entry ID, as it was at REV."""
    house = session.workspace
    return _listed(await restore_state(house.registry, house.publishing, context, rev, await _named(session, id)))


async def bisect(session: Session, context: CallContext, id: str, *test: str) -> str:
    """Find the commit since which the tool ID fails its tests, or the one TEST: its name, or as JSON."""
    tool = await _named(session, id)
    assert tool is not None
    found = await find_breaking(session.workspace, tool, "".join(test).strip())
    bad = found.bad.version
    others = [code(str(id)) for id in found.bad.changed if id != tool]
    uses = [f"- it changed {', '.join(others)}, which {tool.name} uses"] if tool not in found.bad.changed else []
    return "\n".join(
        (
            f"{code(found.bad.short)} of {bad.time:%Y-%m-%d %H:%M} broke {code(str(tool))}: {code(bad.subject)}",
            "",
            *uses,
            f"- it fails: {code(found.why)}",
            f"- {code(found.good.short)} was the last that passed",
            f"- `{found.bad.undo()}` undoes it",
        )
    )


async def cost(session: Session, context: CallContext) -> str:
    """Show what this session took of each model, and what the tools used or made last cost against their use."""
    house = session.workspace
    made = await asyncio.to_thread(tool_costs, house.registry, house.uses, TOOLS_SHOWN)
    tools = table(_TOOL_HEADS, map(_tool_row, made), numbers=True)
    return "\n\n".join(part for part in (_models_taken(session), tools) if part)


def _models_taken(session: Session) -> str:
    taken = session.budget.by_model
    if not taken:
        return "No model was asked in this session."
    rows = [_cost_row(code(model), spent) for model, spent in taken.items()]
    return table(_MODEL_HEADS, [*rows, _cost_row("all", session.budget.session)], numbers=True)


def _cost_row(name: str, spent: Spent) -> tuple[str, ...]:
    usage = spent.usage
    counts = (spent.steps, usage.prompt, usage.cached, usage.completion, usage.reasoning)
    return (name, *(f"{count:,}" for count in counts), money(spent.cost))


def _tool_row(tool: ToolCost) -> tuple[str, ...]:
    cost, uses = tool.cost, tool.uses
    tokens, spent, each = NOT_KNOWN, NOT_KNOWN, "-"
    if cost.is_known:
        tokens, spent = f"{cost.tokens:,}", money(cost.money)
        each = money(cost.money / uses.calls) if uses.calls else "-"
    return (code(str(tool.id)), f"{tool.commits:,}", tokens, spent, f"{uses.calls:,}", f"{uses.failed:,}", each)


async def tool(session: Session, context: CallContext, name: str) -> str:
    """Show what the tool NAME takes, where it comes from, what it cost, how it was used, and its source."""
    house = session.workspace
    return await asyncio.to_thread(tool_page, house.registry, house.uses, name)


async def compact(session: Session, context: CallContext) -> str:
    """Put a summary in place of all that was said before the last prompt."""
    return str(await session.compact(context))


COMMANDS: dict[str, Command] = {
    "help": show_help,
    "revert": revert,
    "restore": restore,
    "bisect": bisect,
    "tool": tool,
    "cost": cost,
    "compact": compact,
}
"""By name, in the order of the help."""


def run_cell(session: Session, text: str, *, cell: int = 0, ask: Ask | None = None) -> AsyncGenerator[Event, None]:
    """What a cell does: its command, or an answer to the prompt; the events of `Session.run`."""
    first, *more = text.strip().splitlines() or [""]
    found = _COMMAND.fullmatch(first.rstrip())
    if found is None or (more and found[1] not in COMMANDS):
        return session.run(text, cell=cell, ask=ask)

    async def work(emit: Emit) -> TurnFinished:
        if more:
            raise Refused(ErrorKind.INVALID, f"%{found[1]} stands alone in its cell")
        origin = Provenance(prompt=text, session=session.id, cell=cell)
        context = CallContext(f"user:{session.workspace.person.name}", emit, provenance=origin)
        emit(TextDelta(await _run(session, context, found[1], found[2] or "")))
        return TurnFinished("ok")

    return session.perform(work, text=text, cell=cell)


async def _run(session: Session, context: CallContext, name: str, text: str) -> str:
    """The answer of one command. Raises Refused, with one line, for a name or arguments that there are not."""
    run = COMMANDS.get(name)
    if run is None:
        near = difflib.get_close_matches(name.lower(), COMMANDS, n=1, cutoff=0.0)[0]
        raise Refused(ErrorKind.NOT_FOUND, f"no command %{name}; the nearest is {_usage(near)}, %help lists them all")
    try:
        bound = inspect.signature(run).bind(session, context, *_arguments(run, text))
    except TypeError as error:
        raise Refused(ErrorKind.INVALID, f"write it as {_usage(name)}") from error
    return await run(*bound.args)


def _arguments(run: Command, text: str) -> list[str]:
    """The words of `text`; for a command that takes any number the last is all that is left, spaces and all."""
    *_, last = parameters = list(inspect.signature(run).parameters.values())
    takes_rest = last.kind is last.VAR_POSITIONAL
    return text.split(maxsplit=len(parameters) - 3) if takes_rest else text.split()


def _usage(name: str) -> str:
    """`%revert REV [ID]`, from the function's parameters."""
    _, _, *parameters = inspect.signature(COMMANDS[name]).parameters.values()
    needed = (p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in parameters)
    names = (p.name.upper() for p in parameters)
    words = [name if is_needed else f"[{name}]" for name, is_needed in zip(names, needed, strict=True)]
    return " ".join((f"%{name}", *words))


async def _named(session: Session, id: str | None) -> EntryId | None:
    return None if id is None else await asyncio.to_thread(named, session.workspace.registry, id)


def _listed(done: RolledBack) -> str:
    summary, *lines = map(code, done.lines)
    return "\n".join((summary, "", *(f"- {line}" for line in lines)))
