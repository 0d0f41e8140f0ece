"""Asking the person at a client what a policy wants asked: by elicitation, if the client knows that."""

from __future__ import annotations

from typing import Any

import anyio
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from micro_agi_kernel.frontends.question_text import question_text
from micro_agi_kernel.questions import Answer, Question, read_answer

WAITS = 600.0
"""Seconds that an answer may take; then it is no."""

Context = ServerRequestContext[Any, Any]


def can_ask(ctx: Context) -> bool:
    """Whether the client that sent the request can ask its person."""
    capabilities = ctx.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    return asks_by_result(ctx) or ctx.session.can_send_request


def asks_by_result(ctx: Context) -> bool:
    """Whether a question is the answer to the request, which the client then sends again with the person's word."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def elicitation(question: Question, *, once: bool) -> ElicitRequest:
    """The question as a form. `once`: no answer for longer than this call is offered."""
    choices = ["yes", "no"] if once else ["yes", "no", "always"]
    answer = {"type": "string", "title": "Answer", "enum": choices}
    if not once:
        answer["description"] = "always: yes, for as long as this client is connected"
    schema = {"type": "object", "properties": {"answer": answer}, "required": ["answer"]}
    return ElicitRequest(params=ElicitRequestFormParams(message=question_text(question), requested_schema=schema))


async def elicited(ctx: Context, question: Question) -> Answer:
    """The person's answer, got while the request waits; "no" for whatever is none."""
    asked = elicitation(question, once=False).params
    assert isinstance(asked, ElicitRequestFormParams)
    try:
        with anyio.fail_after(WAITS):
            said = await ctx.session.elicit_form(asked.message, asked.requested_schema, ctx.request_id)
    except (MCPError, NoBackChannelError, ValidationError, TimeoutError):
        return "no"
    return answer_of(said)


def answer_of(said: object) -> Answer:
    """What an ElicitResult says; "no" for anything else."""
    if not isinstance(said, ElicitResult) or said.action != "accept":
        return "no"
    return read_answer(str((said.content or {}).get("answer"))) or "no"
