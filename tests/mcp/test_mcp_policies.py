"""Policies about clients of `micro-agi mcp`: what they deny and ask, whoever a client says that it is."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_kit import MODES, HttpServer, client, text_of
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult

from micro_agi_kernel.frontends.mcp.calls import PARKED_OF_ONE
from micro_agi_kernel.frontends.mcp.clients import actor_of, is_client_name

both = pytest.mark.parametrize("mode", MODES)


@both
async def test_a_client_that_is_denied_a_tool_neither_sees_nor_reaches_it(server: HttpServer, mode: str) -> None:
    async with client(server.url, mode, "Banned") as it:
        names = {tool.name for tool in (await it.list_tools()).tools}
        assert "sums" in names and "echo" not in names
        with pytest.raises(MCPError, match="Unknown tool"):
            await it.call_tool("echo", {})
        assert (await it.call_tool("call_tool", {"name": "echo"})).is_error
        around = await it.call_tool("through", {})  # a tool that it may call, which calls the other
        assert around.is_error and "policy denied: tool.call on app.t:echo (policy app:ban_echo)" in text_of(around)
    async with client(server.url, mode, "other") as it:
        assert text_of(await it.call_tool("through", {})) == '{"by":"through"}'


@both
async def test_what_a_policy_asks_the_person_at_the_client_answers(server: HttpServer, mode: str) -> None:
    asked, answers = list[str](), list[ElicitResult]()

    async def elicit(_: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return answers.pop(0)

    def said(answer: str) -> ElicitResult:
        return ElicitResult(action="accept", content={"answer": answer})

    async with client(server.url, mode, "shy", elicitation_callback=elicit) as it:
        for answer, is_error in (
            (said("yes"), False),
            (said("no"), True),
            (said("what?"), True),
            (ElicitResult(action="decline"), True),
            (ElicitResult(action="cancel"), True),
        ):
            answers.append(answer)
            result = await it.call_tool("echo", {"n": 1})
            assert result.is_error == is_error and not answers, text_of(result)
        assert "mcp:unproven:shy asks for tool.call on app.t:echo (policy app:ask_echo)" in asked[0]
        answers += [said("yes"), said("yes")]
        results = await asyncio.gather(it.call_tool("echo", {"n": 1}), it.call_tool("through", {}))
        assert [text_of(result) for result in results] == ['{"n":1}', '{"by":"through"}']
        if mode == "legacy":  # the other one has no connection for which an answer could hold
            answers.append(said("always"))
            for _ in range(2):
                assert not (await it.call_tool("echo", {})).is_error
    async with client(server.url, mode, "shy") as it:  # has no way to its person
        result = await it.call_tool("echo", {})
        assert json.loads(text_of(result))["error"]["kind"] == "PERMISSION_DENIED" and "nobody" in text_of(result)


async def test_an_answer_belongs_to_the_call_that_asked(server: HttpServer) -> None:
    async def elicit(*_: Any) -> ElicitResult:
        raise AssertionError("the test answers itself")

    answer = {"approval": ElicitResult(action="accept", content={"answer": "yes"})}
    async with (
        client(server.url, "auto", "shy", elicitation_callback=elicit) as it,
        client(server.url, "auto", "other", elicitation_callback=elicit) as other,
    ):
        first = await it.session.call_tool("echo", {"n": 1}, allow_input_required=True)
        state: Any = first.request_state  # type: ignore[union-attr]
        for session, brought in ((other.session, state), (it.session, "guess")):
            stolen = await session.call_tool("echo", {}, input_responses=answer, request_state=brought)  # type: ignore[arg-type]
            assert stolen.is_error and "no call waits" in text_of(stolen)
        for expected in ('{"n":1}', "no call waits"):  # its own arguments, once
            result = await it.session.call_tool("echo", {"n": 2}, input_responses=answer, request_state=state)  # type: ignore[arg-type]
            assert expected in text_of(result)
        again = await asyncio.gather(
            *(it.session.call_tool("echo", {}, allow_input_required=True) for _ in range(PARKED_OF_ONE + 1))
        )
        waiting = [each for each in again if isinstance(each, InputRequiredResult)]
        refused = [text_of(each) for each in again if isinstance(each, CallToolResult)]
        assert len(waiting) == PARKED_OF_ONE and len(refused) == 1 and "nobody can be asked" in refused[0]
        for each in waiting:  # more than run at once, and all of them go on
            result = await it.session.call_tool("echo", {}, input_responses=answer, request_state=each.request_state)  # type: ignore[arg-type]
            assert not result.is_error, text_of(result)
        assert text_of(await other.call_tool("sums", {"a": 1, "b": 1})) == "2"  # waiting calls are in nobody's way


@pytest.mark.parametrize(
    ("claimed", "actor"),
    [
        ("Claude Desktop", "mcp:unproven:claude-desktop"),
        ("service:agent", "mcp:unproven:service-agent"),
        ("mcp:trusted", "mcp:unproven:mcp-trusted"),
        ("user:ada\n\x1b[31m\u202e", "mcp:unproven:user-ada-31m"),
        ("", "mcp:unproven:nameless"),
        ("\U0001f600" * 100_000, "mcp:unproven:nameless"),
        ("x" * 1_000_000, "mcp:unproven:" + "x" * 48),
        ("../../etc", "mcp:unproven:etc"),
    ],
)
def test_what_a_client_calls_itself_makes_it_nobody_else(claimed: str, actor: str) -> None:
    assert actor_of("", claimed) == actor
    assert actor_of("trusted", claimed) == "mcp:trusted"  # what the person says counts
    assert not is_client_name(actor.removeprefix("mcp:"))


@both
async def test_hostile_names_of_clients_are_served_as_any(server: HttpServer, mode: str) -> None:
    for name in (
        "\x1b]0;owned\x07\u202e",
        "x" * 100_000 if mode == "legacy" else "x",
        "service:agent",
        "\ud800".encode(errors="replace").decode(),
    ):
        async with client(server.url, mode, name) as it:
            assert text_of(await it.call_tool("sums", {"a": 1, "b": 1})) == "2"
