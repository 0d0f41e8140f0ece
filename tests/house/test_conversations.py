"""Conversations: the whole loop against a scripted model server, and what goes back to the model."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from conversation_kit import CLOCK, git_trailers, load, sha256
from house_kit import (
    ALLOW_LOOPBACK,
    House,
    create,
    finished,
    git,
    id_of,
    kinds,
    loopback,
    talking,
    tool,
    words,
)
from model_server import calls, reply, text

from micro_agi_kernel.events import (
    EntryPublished,
    Revision,
    ToolFinished,
    ToolLoaded,
    ToolOutput,
    ToolStarted,
    TurnFinished,
    UsageReport,
)
from micro_agi_kernel.interfaces import Bounds
from micro_agi_kernel.settings import Settings


async def test_a_prompt_becomes_a_tool_becomes_a_commit(house: House) -> None:
    script = [
        calls(("doc_search", {"path": "lua/core/time"})),
        calls(("create_tool", CLOCK)),
        calls(load("current_time")),
        calls(("current_time", {})),
        text("It is ", "noon."),
    ]
    async with talking(house, script) as talk:
        events = await talk.say("what time is it?", cell=3)
        assert kinds(events) == [
            *("ToolStarted", "ToolFinished"),
            *("ToolStarted", "EntryPublished", "ToolFinished"),
            *("ToolStarted", "ToolFinished", "ToolLoaded"),
            *("ToolStarted", "ToolOutput", "ToolFinished"),
            "TurnFinished",
        ]
        assert finished(events) == [(n, "ok") for n in ("doc_search", "create_tool", "load_tool", "current_time")]
        loaded = next(event for event in events if isinstance(event, ToolLoaded))
        assert loaded == ToolLoaded(id_of("app.generated:current_time"), "current_time")
        assert [e.text for e in events if isinstance(e, ToolOutput)] == ["looking\n"]
        assert sum(isinstance(event, UsageReport) for event in events) == 5
        assert words(events) == "It is noon."
        published = next(event for event in events if isinstance(event, EntryPublished))
        end = events[-1]
        assert isinstance(end, TurnFinished) and end.status == "ok"
        before = house.registry.resolve("main~1")
        session = talk.session.id
        assert end.registry == Revision(published.commit, before, session, 3)

        # What the server saw: the prompt, five built-in tools, the sixth from the step after load_tool on.
        offered = [{t["function"]["name"] for t in request.body["tools"]} for request in talk.requests]
        built_in = {"create_tool", "doc_search", "load_tool", "registry_list", "registry_read"}
        assert offered == [built_in] * 3 + [built_in | {"current_time"}] * 2
        assert [m["role"] for m in talk.requests[0].body["messages"]] == ["system", "user"]
        page, made, load_result, now = talk.results()
        assert page["content"].startswith("# ")
        assert made == {"created": True, "id": "app.generated:current_time", "commit": published.commit}
        assert load_result["loaded"] is True and load_result["alias"] == "current_time"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", now["utc"])

    # What git reads of the commit.
    path = house.registry.path
    assert git(path, "fsck", "--strict") == ""
    message = git(path, "log", "-1", "--format=%B")
    trailers = dict(line.split(": ", 1) for line in git_trailers(house, message))
    assert trailers.pop("Source-SHA256") == sha256(CLOCK["source"])
    assert re.fullmatch(r"\$0\.\d+, \d+ tokens, 2 steps", trailers.pop("Cost"))
    assert trailers == {
        "Create": "app.generated:current_time",
        "Actor": "service:agent",
        "Policy": "undefined (app:deny_core_ns, app:deny_tools_ns)",
        "Modules": "time",
        "Model": "gpt-5.1",
        "Prompt": "what time is it?",
        "Session": session,
        "Cell": "3",
    }
    assert message.splitlines()[0] == "Create app.generated:current_time"
    assert git(path, "log", "-1", "--format=%an") == "service:agent"
    assert git(path, "show", "--stat", "--format=", "--name-only", "HEAD").splitlines() == [
        "app/generated/current_time.lua",
        "app/generated/current_time.yaml",
    ]


async def test_every_error_goes_back_to_the_model(house: House) -> None:
    """All that a model can get wrong is a result that it reads in its next step."""
    house.write(*create(tool("raises", "return { handler = function() error('on purpose') end }")))
    house.write(*create(tool("fails", "return { handler = function() return nil, 'no luck' end }")))
    script = [
        calls(
            ("no_such_tool", {}),
            ("doc_search", "{'path': 1}"),
            ("doc_search", "[1]"),
            ("doc_search", '"text"'),
            ("doc_search", '{"path": NaN}'),
            ("doc_search", '{"path": "\\ud800"}'),
            ("doc_search", '{"limit": 1e999}'),
            ("doc_search", '{"limit": ' + "9" * 5_000 + "}"),
            ("doc_search", "[" * 100_000),
            ("doc_search", '{"path": ' + "[" * 500 + "]" * 500 + "}"),
            ("doc_search", ""),
        ),
        calls(load("raises"), load("fails"), load("nothing"), load("app:gpt-5.1"), ("load_tool", {}), load("a:b:c")),
        calls(("raises", {}), ("fails", {})),
        calls(("create_tool", {**CLOCK, "source": "local x = = 1"})),
        calls(("create_tool", {**CLOCK, "modules": ["os"]})),
        calls(("create_tool", CLOCK)),
        calls(load("current_time")),
        calls(("current_time", {})),
        text("Done."),
    ]
    async with talking(house, script) as talk:
        events = await talk.say("make mistakes, then mend them")
        first = talk.results(1)
        assert [bool(result.get("error")) for result in first] == [True] * 11
        said = [error["message"] if isinstance(error := result["error"], dict) else error for result in first]
        assert said[0] == "no tool 'no_such_tool' is loaded"
        assert said[1].startswith("the arguments are no JSON: ")
        assert said[2:4] == ["the arguments are no JSON object"] * 2
        assert said[8].startswith("the arguments are no JSON: ")
        assert said[10] == "provide either 'path' or 'query'"
        assert len(max(said, key=len)) < 500
        second = talk.results(2)[11:]
        assert [result.get("loaded") for result in second] == [True, True, None, None, None, None]
        assert second[2] == {"error": "not found: app.generated:nothing"}
        assert second[3] == {"error": "not a tool (meta.type != 'tool'): app:gpt-5.1"}
        raised, failed = talk.results(3)[17:]
        assert raised["error"]["message"] == "raises:1: on purpose" and failed["error"]["message"] == "no luck"
        *_, syntax, module, made, _, _ = talk.results()
        assert "current_time:1:" in syntax["error"]
        assert module["error"].startswith("modules: 'os' is a global table, no module: use it without require")
        assert made["created"] is True
        assert finished(events)[-5:] == [
            ("create_tool", "error"),
            ("create_tool", "error"),
            ("create_tool", "ok"),
            ("load_tool", "ok"),
            ("current_time", "ok"),
        ]
        assert all(
            e.summary and "\n" not in e.summary for e in events if isinstance(e, ToolFinished) and e.status == "error"
        )
        assert [event.commit for event in events if isinstance(event, EntryPublished)] == [house.head]
        assert words(events) == "Done."


async def test_the_step_limit_is_a_hard_stop(house: House) -> None:
    script = [calls(("registry_list", {"limit": 1})) for _ in range(3)] + [text("fine")]
    settings = Settings(home=house.settings.home, limits=Bounds(steps=3))
    async with talking(house, script, settings) as talk:
        events = await talk.say("go on for ever")
        end = events[-1]
        assert isinstance(end, TurnFinished) and (end.status, end.error_name) == ("error", "LimitReached")
        assert end.error == "stopped after 3 steps (setting limits.steps); ask again to go on"
        assert len(talk.requests) == 3
        assert words(await talk.say("go on")) == "fine"


async def test_calls_of_one_step_run_side_by_side(house: House) -> None:
    """Two tools that wait for each other on a server: one after the other they would never meet."""
    source = (
        "local http = require('http_client')\nreturn { handler = function(i) return http.get(i.url).status_code end }"
    )
    house.write(*create(tool("meet", source, modules=["http_client"]), ALLOW_LOOPBACK))
    with loopback() as site:
        visit = ("meet", {"url": f"{site.url}/meet"})
        async with talking(house, [calls(load("meet")), calls(visit, visit), text("met")]) as talk:
            events = await talk.say("meet")
            assert talk.results()[1:] == [200, 200]
            order = [type(e) for e in events if isinstance(e, (ToolStarted, ToolFinished))][2:]
            assert order == [ToolStarted, ToolStarted, ToolFinished, ToolFinished]


async def test_exclusive_calls_run_alone_and_in_order(house: House) -> None:
    source = """
    local http = require("http_client")
    return { handler = function(i) http.get(i.url .. "/enter-" .. i.name) http.get(i.url .. "/leave-" .. i.name) end }
    """
    house.write(
        *create(
            tool("alone", source, modules=["http_client"], exclusive=True),
            tool("any", source, modules=["http_client"]),
            ALLOW_LOOPBACK,
        )
    )
    with loopback() as site:
        order = [("any", "a"), ("any", "b"), ("alone", "c"), ("alone", "d"), ("any", "e"), ("alone", "f"), ("any", "g")]
        wanted = [(kind, {"url": site.url, "name": name}) for kind, name in order]
        async with talking(house, [calls(load("alone"), load("any")), calls(*wanted), text("done")]) as talk:
            events = await talk.say("go")
        visits = [visit.removeprefix("/") for visit in site.visits]
        assert sorted(visits[:4]) == ["enter-a", "enter-b", "leave-a", "leave-b"]
        assert visits[4:] == [f"{what}-{name}" for name in "cdefg" for what in ("enter", "leave")]
        assert [name for name, _ in finished(events)][2:] == [name for name, _ in order]


@pytest.mark.parametrize("second", ["whole", "cut"])
async def test_an_answer_cut_inside_a_call(house: House, second: str) -> None:
    """Asked once more with the model's own limit; cut again, it is a result that names the limit, and never runs."""
    half = json.dumps(CLOCK)[:80]
    script = [
        reply((), [("create_tool", half)], finish="length"),
        calls(("create_tool", CLOCK)) if second == "whole" else reply((), [("create_tool", half)], finish="length"),
        text("Well."),
    ]
    head = house.head
    async with talking(house, script) as talk:
        events = await talk.say("write a long tool")
        limits = [r.body.get("max_completion_tokens") or r.body.get("max_tokens") for r in talk.requests]
        assert limits == [2048, 32_768, 2048]
        assert talk.requests[0].body["messages"] == talk.requests[1].body["messages"]
        (result,) = talk.results()
        if second == "whole":
            assert result["created"] is True
        else:
            assert "32768 tokens" in result["error"]["message"] and house.head == head
            assert finished(events) == [("create_tool", "error")]


async def test_two_turns_at_once_wait_for_each_other(house: House) -> None:
    async with talking(house, [text("one"), text("two")]) as talk:
        first, second = await asyncio.gather(talk.say("1"), talk.say("2"))
        assert {words(first), words(second)} == {"one", "two"}
        roles = [m["role"] for m in talk.requests[-1].body["messages"]]
        assert roles == ["system", "user", "assistant", "user"]
