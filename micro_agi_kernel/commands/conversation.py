"""Commands about this session: what it is, what it took, what was approved in it, and its conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal

from micro_agi_kernel.commands.notebook import talks
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.events import Spent
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.markdown_text import code, table
from micro_agi_kernel.permissions import AGENT_SCOPE, TOOL_SCOPE
from micro_agi_kernel.policy.policies import Pattern
from micro_agi_kernel.questions import Subject
from micro_agi_kernel.session import Session
from micro_agi_kernel.tool_costs import NOT_KNOWN, ToolCost, tool_costs
from micro_agi_kernel.values import many, money, number, short_commit, shorten

TOOLS_SHOWN = 20
"""Rows of the table of tools."""

MAX_TEXT = 200
"""Characters of a resource in a list."""


async def show_session(session: Session, context: CallContext) -> str:
    """Show this session: its id, log, registry, model and conversation; and the newest sessions of this notebook.

    `%resume ID` goes on with one of these.
    """
    about = await session.about()
    earlier = await asyncio.to_thread(talks, session)
    pinned = session.workspace.pin.commit
    facts = [
        ("session", code(about.id)),
        ("log", code(str(about.log))),
        ("prompts", f"{about.prompts:,}"),
        ("conversation", many(about.messages, "message")),
        ("loaded tools", ", ".join(code(str(id)) for id in about.loaded)),
        ("model", code(about.model)),
        ("registry", code(str(about.registry))),
        ("revision", f"v{about.version} {code(short_commit(about.commit))}"),
        ("pinned to", code(short_commit(pinned))),
        ("goes on with", code(session.resumed)),
    ]
    shown = "\n".join(f"- {label}: {text}" for label, text in facts if text)
    return f"{shown}\n\n{earlier}".rstrip()


async def reset(session: Session, context: CallContext) -> str:
    """Forget the conversation and the loaded tools; the next prompt begins a new one.

    What was approved for this session stays approved (`%approve` takes it back), what `%set` and `%model` said stays in
    force, and what the session took still counts against its limits.
    """
    said = session.reset()
    return f"The conversation is forgotten: {many(said, 'message')}."


async def compact(session: Session, context: CallContext) -> str:
    """Put a summary in place of all that was said before the last prompt."""
    return str(await session.compact(context))


async def cost(session: Session, context: CallContext) -> str:
    """Show what this session took of each model, and what the tools used or made last cost against their use."""
    workspace = session.workspace
    made = await asyncio.to_thread(tool_costs, workspace.registry, workspace.uses, TOOLS_SHOWN)
    parts = [_models_taken(session)]
    if made:
        header = ("tool", "commits", "tokens", "money", "used", "failed", "money per use")
        parts.append(table(header, map(_tool_row, made), numbers_from=1))
    return "\n\n".join(parts)


def _models_taken(session: Session) -> str:
    taken = session.budget.by_model
    if not taken:
        return "No model was asked in this session."
    rows = [_cost_row(code(model), spent) for model, spent in taken.items()]
    header = ("model", "steps", "prompt", "cached", "answer", "reasoning", "money")
    return table(header, [*rows, _cost_row("all", session.budget.session)], numbers_from=1)


def _cost_row(name: str, spent: Spent) -> tuple[str, ...]:
    usage = spent.usage
    counts = (spent.steps, usage.prompt, usage.cached, usage.completion, usage.reasoning)
    return name, *(f"{count:,}" for count in counts), money(spent.cost)


def _tool_row(tool: ToolCost) -> tuple[str, ...]:
    cost, uses = tool.cost, tool.uses
    tokens, spent, each = NOT_KNOWN, NOT_KNOWN, "-"
    if cost.is_known:
        tokens, spent = f"{cost.tokens:,}", money(cost.money)
        each = money(cost.money / uses.calls) if uses.calls else "-"
    return code(str(tool.id)), f"{tool.commits:,}", tokens, spent, f"{uses.calls:,}", f"{uses.failed:,}", each


async def approve(session: Session, context: CallContext, forget: Literal["", "forget"] = "", n: str = "") -> str:
    """Show what you approved for the rest of this session, or take it back: all of it, or number N.

    Below it stand the policies that ask you, those of the profile among them. What is taken back is asked about the
    next time that it is done; what was done in between stays done.
    """
    approved = sorted(session.approved)
    if not forget:
        return "\n\n".join((_approved(approved), await asyncio.to_thread(_asking, session)))
    if forget != "forget":
        raise Refused(ErrorKind.INVALID, "write it as %approve [forget] [N]")
    place = number(n, len(approved)) if n else 0
    if place is None:
        there = f"1 to {len(approved)}" if approved else "nothing to forget"
        raise Refused(ErrorKind.NOT_FOUND, f"no approval {shorten(n)}: there is {there}, %approve lists them")
    gone = [approved[place - 1]] if place else approved
    session.approved.difference_update(gone)
    return "\n".join(("No longer approved:", "", *(f"- {_subject(each)}" for each in gone))) if gone else _approved([])


def _approved(approved: list[Subject]) -> str:
    if not approved:
        return "Nothing is approved for the rest of this session."
    return "\n".join(f"{number}. {_subject(subject)}" for number, subject in enumerate(approved, 1))


def _subject(subject: Subject) -> str:
    """What is loaded or called has a digest of its code behind it: another code is asked about again."""
    action, resource = subject
    name, _, digest = resource.partition(" ")
    as_it_is = " as it is now" if digest else ""
    return f"{code(action)} on {code(shorten(name, MAX_TEXT))}{as_it_is}"


def _asking(session: Session) -> str:
    """The policies that ask the person, of the registry and of the profile. Blocks."""
    workspace = session.workspace
    snapshot = workspace.registry.snapshot()
    scopes = (workspace.permissions.scope(name, snapshot) for name in (AGENT_SCOPE, TOOL_SCOPE))
    rows = [
        (code(str(policy.id)), _patterns(policy.actions), _patterns(policy.resources))
        for scope in scopes
        for policy in scope.policies
        if policy.effect == "ask"
    ]
    profile = f"Profile {code(session.settings.profile)}"
    if not rows:
        return f"{profile}: no policy asks you."
    return f"{profile}: these policies ask you.\n\n{table(('policy', 'before', 'on'), rows)}"


def _patterns(patterns: Iterable[Pattern]) -> str:
    return ", ".join(code(shorten(pattern.text, MAX_TEXT)) for pattern in patterns)
