"""Calls that a cell makes itself: told to the front end as those of a model are, the value shown below."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from micro_agi_kernel.agent.calls import event_of
from micro_agi_kernel.agent.results import failure, outcome_json, summary
from micro_agi_kernel.errors import ToolError
from micro_agi_kernel.events import ToolFinished, ToolStarted
from micro_agi_kernel.interfaces import CallContext, CallOutcome
from micro_agi_kernel.markdown_text import fenced
from micro_agi_kernel.outputs import Output
from micro_agi_kernel.values import Json, head_and_tail, shown_json

SHOWN = 32_768
"""Characters of a value that are shown, head and tail; the session's log has all of it."""

RunsProgram: TypeAlias = Callable[[Callable[[Output], None]], Awaitable[CallOutcome]]
"""Runs a program; it is given what takes the output."""


async def told_call(context: CallContext, name: str, arguments: str, run: RunsProgram) -> str:
    """What the call gave, in Markdown. `arguments` is JSON text. Raises ToolError when it failed."""
    call, started = f"cell-{secrets.token_hex(8)}", time.monotonic()  # no model's call has that id
    context.emit(ToolStarted(call, name, arguments, by_person=True))
    try:
        outcome = await run(lambda output: context.emit(event_of(call, output)))
    except BaseException as error:  # a start has its end, whatever becomes of the cell
        stopped = isinstance(error, asyncio.CancelledError)
        status: Literal["interrupted", "error"] = "interrupted" if stopped else "error"
        why = status if stopped else summary(str(error))
        context.emit(ToolFinished(call, name, status, why, time.monotonic() - started))
        raise
    value = outcome_json(outcome)
    reason, seconds = failure(value), time.monotonic() - started
    context.emit(ToolFinished(call, name, "ok" if reason is None else "error", reason or "", seconds, value))
    if outcome.error is not None:
        raise ToolError(summary(outcome.error.message) or outcome.error.kind.lower())
    return _shown(value)


def _shown(value: Json) -> str:
    """What a call gave, as a block: text as it is, anything else as JSON; "" for nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return fenced(head_and_tail(value, SHOWN))
    return fenced(shown_json(value, SHOWN), "json")
