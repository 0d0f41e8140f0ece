"""Conversations: the whole loop against a scripted model server, and everything that can go wrong in it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from house_kit import (
    ALLOW_LOOPBACK,
    GOOD,
    House,
    check_events,
    create,
    delete,
    finished,
    git,
    id_of,
    kinds,
    loopback,
    policy,
    talking,
    tool,
    update,
    words,
)
from model_server import CLOSE, CUT, RESET, Reply, calls, failure, reply, text

from micro_agi_kernel.events import (
    EntryPublished,
    Notice,
    Revision,
    TextDelta,
    ToolDisplay,
    ToolFinished,
    ToolLoaded,
    ToolOutput,
    ToolProgress,
    ToolStarted,
    TurnFinished,
    UsageReport,
)
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import Settings, TurnSettings

CLOCK = {
    "name": "current_time",
    "description": "Returns the current UTC time.",
    "source": "local time = require('time')\nreturn { handler = function()\n  print('looking')\n"
    "  return { utc = time.now():utc():format_rfc3339() }\nend }\n",
    "input_schema": {"type": "object", "properties": {}},
    "modules": ["time"],
}


def load(name: str) -> tuple[str, dict[str, str]]:
    return "load_tool", {"id": name if ":" in name else f"app.generated:{name}"}


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


def git_trailers(house: House, message: str) -> list[str]:
    file = house.settings.home / "message"
    file.write_text(message, "utf-8")
    return git(house.settings.home, "interpret-trailers", "--parse", str(file)).splitlines()


def sha256(source: object) -> str:
    return hashlib.sha256(str(source).encode()).hexdigest()


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
        assert module == {"error": "policy denied: lua.module on os"}
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


async def test_two_tools_loaded_and_kept_over_turns(house: House) -> None:
    house.write(*create(tool("one", GOOD), tool("two", GOOD.replace("1", "2"))))
    script = [
        calls(load("one"), load("two")),
        calls(("one", {}), ("two", {})),
        text("3"),
        calls(("two", {})),
        text("2"),
    ]
    async with talking(house, script) as talk:
        assert [e.alias for e in await talk.say("load both") if isinstance(e, ToolLoaded)] == ["one", "two"]
        assert talk.results()[2:] == [1, 2]
        await talk.say("again")
        assert talk.results()[4:] == [2]
        assert [m["role"] for m in talk.requests[-1].body["messages"]].count("user") == 2


async def test_the_step_limit_is_a_hard_stop(house: House) -> None:
    script = [calls(("registry_list", {"limit": 1})) for _ in range(3)] + [text("fine")]
    settings = Settings(home=house.settings.home, limits=TurnSettings(steps=3))
    async with talking(house, script, settings) as talk:
        events = await talk.say("go on for ever")
        end = events[-1]
        assert isinstance(end, TurnFinished) and (end.status, end.error_name) == ("error", "StepLimit")
        assert end.error == "stopped after 3 steps (setting limits.steps); go on with another cell"
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


@pytest.mark.parametrize("end", [CLOSE, CUT, RESET])
async def test_a_model_that_breaks_off(house: House, end: str) -> None:
    broken = reply(["Half a ", "sentence"], finish=None)
    script = [
        calls(("registry_list", {"limit": 1})),
        Reply((*broken.events, end), done=False),
        text("And on."),
    ]
    async with talking(house, script) as talk:
        events = await talk.say("tell me")
        finish = events[-1]
        assert isinstance(finish, TurnFinished) and (finish.status, finish.error_name) == ("error", "ModelError")
        assert finish.error and "\n" not in finish.error and "sk-planted" not in finish.error
        assert words(events) == "Half a sentence"
        kept = talk.session._conversation.messages[-1]
        assert getattr(kept, "text", "") == "Half a sentence" and getattr(kept, "interrupted", False)
        assert words(await talk.say("go on")) == "And on."
        sent = talk.requests[-1].body["messages"]
        assert sent[-2] == {"role": "assistant", "content": "Half a sentence [interrupted]"}


async def test_a_break_inside_a_call_keeps_no_call(house: House) -> None:
    half = reply(["Let me. "], [("registry_list", {"limit": 1})], finish=None)
    async with talking(house, [Reply((*half.events, CLOSE), done=False), text("Fine.")]) as talk:
        events = await talk.say("list")
        assert not any(isinstance(event, ToolStarted) for event in events)
        await talk.say("again")
        assert "tool_calls" not in talk.requests[-1].body["messages"][-2]


async def test_a_refused_request_is_one_line_and_loses_nothing(house: House) -> None:
    async with talking(house, [failure(401, "bad key"), text("Hello.")]) as talk:
        finish = (await talk.say("hello"))[-1]
        assert isinstance(finish, TurnFinished) and finish.status == "error" and "\n" not in finish.error
        assert words(await talk.say("again")) == "Hello."
        assert [m["content"] for m in talk.requests[-1].body["messages"][1:]] == ["hello", "again"]


class Between:
    """A script that lets another writer in before its reply number `at`."""

    def __init__(self, replies: list[Reply], at: int, meanwhile: Callable[[], object]) -> None:
        self.replies = replies
        self.at = at
        self.meanwhile = meanwhile
        self.asked = 0

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.asked += 1
        if self.asked == self.at:
            self.meanwhile()
        return self.replies[self.asked - 1]


async def test_a_tool_that_another_writer_updates_is_new_at_the_next_step(house: House) -> None:
    house.write(*create(tool("shared", GOOD, llm_description="old")))
    new = tool("shared", GOOD.replace("1", "2"), llm_description="new")
    replies = [calls(load("shared")), calls(("shared", {})), calls(("shared", {})), text("ok")]
    script = Between(replies, 3, lambda: house.push_entry(new))
    async with talking(house, script) as talk:
        await talk.say("go")
        assert talk.results()[1:] == [1, 2]
        described = [
            {t["function"]["name"]: t["function"]["description"] for t in r.body["tools"]}.get("shared")
            for r in talk.requests
        ]
        assert described == [None, "old", "old", "new"]


async def test_a_tool_that_another_writer_deletes_is_gone_and_the_model_told(house: House) -> None:
    house.write(*create(tool("shared", GOOD)))
    replies = [calls(load("shared")), calls(("shared", {})), calls(("shared", {})), text("ok"), text("still")]
    script = Between(replies, 2, lambda: house.write(*delete("app.generated:shared")))
    async with talking(house, script) as talk:
        events = await talk.say("go")
        assert [e.text for e in events if isinstance(e, Notice)] == [
            "app.generated:shared is no longer in the registry"
        ]
        gone, unknown = talk.results()[1:]
        assert gone["error"]["message"] == "not found: app.generated:shared"
        assert unknown["error"]["message"] == "no tool 'shared' is loaded"
        told = [m["content"] for m in talk.requests[-1].body["messages"] if m["role"] == "system"][1:]
        assert told == ["The tool app.generated:shared is no longer in the registry."]
        names = {t["function"]["name"] for t in talk.requests[-1].body["tools"]}
        assert "shared" not in names
        assert not any(isinstance(event, Notice) for event in await talk.say("and now?"))


async def test_a_loaded_tool_whose_files_break_does_not_stop_the_kernel(house: House) -> None:
    house.write(*create(tool("shared", GOOD)))
    replies = [calls(load("shared")), text("loaded"), text("ok")]
    async with talking(house, replies) as talk:
        await talk.say("load")
        house.push({"app/generated/shared.yaml": b"kind: [", "app/tools/broken.yaml": b"{"})
        events = await talk.say("go on")
        assert words(events) == "ok"


async def test_of_two_tools_with_one_alias_the_first_loaded_keeps_it(house: House) -> None:
    house.write(*create(tool("app.others:first", GOOD, llm_alias="thing"), tool("thing", GOOD.replace("1", "2"))))
    house.write(*create(tool("app.others:false_friend", GOOD, llm_alias="load_tool")))
    script = [
        calls(load("app.others:first")),
        calls(load("thing"), load("app.others:false_friend"), load("app.others:first")),
        calls(("thing", {})),
        text("ok"),
    ]
    async with talking(house, script) as talk:
        events = await talk.say("go")
        assert [str(e.id) for e in events if isinstance(e, ToolLoaded)] == ["app.others:first"] * 2
        _, clash, friend, again, value = talk.results()
        assert clash["error"]["message"] == "the name 'thing' belongs to app.others:first, loaded first"
        assert friend["error"]["message"] == "the name 'load_tool' belongs to app.tools:load_tool, loaded first"
        assert again["loaded"] is True and value == 1


async def test_the_alias_that_load_tool_reports_is_the_one_to_call(house: House) -> None:
    odd = tool("app.others:odd", GOOD, llm_alias="say hello!")
    plain = tool("app.others:a.b", GOOD)
    plain = plain.__class__(plain.id, plain.kind, {k: v for k, v in plain.meta.items() if k != "llm_alias"}, plain.data)
    house.write(*create(odd, plain))

    def script(body: dict[str, Any]) -> Reply:
        results = [json.loads(m["content"]) for m in body["messages"] if m["role"] == "tool"]
        if not results:
            return calls(load("app.others:odd"), load("app.others:a.b"))
        if len(results) == 2:
            return calls(*((result["alias"], {}) for result in results))
        return text("ok")

    async with talking(house, script) as talk:
        events = await talk.say("go")
        assert talk.results()[2:] == [1, 1]
        assert [e.alias for e in events if isinstance(e, ToolLoaded)] == [r["alias"] for r in talk.results()[:2]]


async def test_a_policy_forbids_to_load(house: House) -> None:
    house.write(*create(tool("secret"), policy("app:unloadable", "deny", "tool.load", "*secret")))
    async with talking(house, [calls(load("secret")), text("ok")]) as talk:
        events = await talk.say("go")
        (result,) = talk.results()
        reason = "policy denied: tool.load on app.generated:secret (policy app:unloadable)"
        assert result["error"] == {"kind": "PERMISSION_DENIED", "message": reason, "retryable": False}
        assert finished(events) == [("load_tool", "error")] and not any(isinstance(e, ToolLoaded) for e in events)


async def test_load_tool_cannot_lie(house: House) -> None:
    """load_tool is Lua, and so is not believed: what it names is looked up and asked for again."""
    lies = ["app:gpt-5.1", "app.generated:nothing", "../x", 5]
    real = house.registry.snapshot().get(id_of("app.tools:load_tool"))
    assert real is not None
    source = "return { handler = function(i) return { loaded = true, id = i.id, alias = 'x' } end }"
    house.write(*update(real.__class__(real.id, real.kind, real.meta, {**real.data, "source": source})))
    async with talking(house, [calls(*(("load_tool", {"id": lie}) for lie in lies)), text("ok")]) as talk:
        events = await talk.say("go")
        assert all("error" in result for result in talk.results()) and len(talk.results()) == 4
        assert not any(isinstance(e, ToolLoaded) for e in events)
        assert {t["function"]["name"] for t in talk.requests[-1].body["tools"]} >= {"load_tool", "create_tool"}
        assert len(talk.requests[-1].body["tools"]) == 5


PROMPTS = {
    "a-megabyte": "long " * 200_000,
    "control-characters": "a\0b\x1b[31m\r\n\x07Actor: user:root\n\nActor: service:installer\x85\u2028Create: app:x",
    "lone-surrogates": "half \ud83d and \udc00 \udfff",
    "bidi": "abc \u202e\u2066 cba \u200b\ufeff",
    "empty": "",
    "trailers": "x\n\nCo-authored-by: A <a@b>\n---\nSigned-off-by: B",
}


@pytest.mark.parametrize("case", PROMPTS)
async def test_hostile_prompts(house: House, case: str) -> None:
    async with talking(house, [calls(("create_tool", CLOCK)), text("ok")]) as talk:
        events = await talk.say(PROMPTS[case])
        assert finished(events) == [("create_tool", "ok")]
        sent = talk.requests[0].body["messages"][1]["content"]
        assert sent == PROMPTS[case].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    message = git(house.registry.path, "log", "-1", "--format=%B")
    keys = [line.partition(":")[0] for line in git_trailers(house, message)]
    expected = ["Create", "Actor", "Policy", "Modules", "Model", "Prompt", "Session", "Cell", "Cost", "Source-SHA256"]
    assert keys == [key for key in expected if key != "Prompt" or PROMPTS[case]]
    assert all(c.isprintable() or c == "\n" for c in message) and len(message) < 3_000
    assert git(house.registry.path, "log", "-1", "--format=%(trailers:key=Actor,valueonly)") == "service:agent"
    assert git(house.registry.path, "fsck", "--strict") == ""


async def test_a_large_result_is_cut_for_the_model(house: House) -> None:
    house.write(*create(tool("big", "return { handler = function() return ('x'):rep(1000000) .. 'END' end }")))
    async with talking(house, [calls(load("big")), calls(("big", {})), text("ok")]) as talk:
        await talk.say("go")
        content = talk.requests[-1].body["messages"][-1]["content"]
        assert len(content) < 130_000 and content.startswith('"xxx') and content.endswith('END"')
        assert re.search(r"\(\d+ of 1000005 characters left out\)", content)


async def test_binary_results_are_readable(house: House) -> None:
    house.write(*create(tool("binary", r"return { handler = function() return { a = '\xff\xfe', 1 and nil } end }")))
    async with talking(house, [calls(load("binary")), calls(("binary", {})), text("ok")]) as talk:
        await talk.say("go")
        assert talk.results()[1] == {"a": {"base64": "//4=", "note": "binary data, not UTF-8 text"}}


async def test_schemas_that_a_person_pushed_never_make_a_request_unsendable(house: House) -> None:
    schemas = [
        '{"type": "object", "properties": {"a": {"default": NaN}}}',
        "[" * 50_000,
        '{"title": "\\ud800"}',
        "[]",
        "{",
        "5",
    ]
    entries = [tool(f"app.tools:t{index}", GOOD, input_schema=schema) for index, schema in enumerate(schemas)]
    entries += [tool("app.tools:p1", GOOD, input_schema={"type": "array", "properties": [1]})]
    entries += [tool("app.tools:p2", GOOD, input_schema=["x"]), tool("app.tools:p3", GOOD, llm_alias="\ud7ff é/")]
    house.write(*create(*entries))
    async with talking(house, [text("ok")]) as talk:
        assert words(await talk.say("go")) == "ok"
        offered = talk.requests[0].body["tools"]
        assert len(offered) == 5 + len(entries)
        for function in (offer["function"] for offer in offered):
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function["name"])
            assert function["parameters"]["type"] == "object"
            assert isinstance(function["parameters"]["properties"], dict)


async def test_a_jail_that_cannot_be_set_up_ends_the_turn_with_one_line(house: House) -> None:
    jail = type(house.sandbox)("micro_agi_kernel.lua_modules")
    await jail.end()
    house._functions._sandbox = jail
    wanted = ("registry_list", {"limit": 1})
    async with talking(house, [calls(wanted, wanted), text("ok")]) as talk:
        events = await talk.say("go")
        end = events[-1]
        assert isinstance(end, TurnFinished) and (end.error_name, end.error) == (
            "SandboxError",
            "the sandbox is closed",
        )
        assert len(finished(events)) == 2
        house._functions._sandbox = house.sandbox
        assert words(await talk.say("again")) == "ok"


async def test_a_registry_that_goes_away_is_one_line(house: House) -> None:
    path = house.registry.path

    def take_away() -> None:
        path.rename(path.with_name("gone.git"))

    script = Between([calls(("registry_list", {"limit": 1})), text("ok"), text("back")], 1, take_away)
    async with talking(house, script) as talk:
        events = [event async for event in talk.session.run("go")]
        check_events(events)
        end = events[-1]
        assert isinstance(end, TurnFinished) and end.status == "error" and end.error_name == "RegistryError"
        path.with_name("gone.git").rename(path)
        script.asked = 2
        assert words(await talk.say("again")) == "back"


async def test_two_turns_at_once_wait_for_each_other(house: House) -> None:
    async with talking(house, [text("one"), text("two")]) as talk:
        first, second = await asyncio.gather(talk.say("1"), talk.say("2"))
        assert {words(first), words(second)} == {"one", "two"}
        roles = [m["role"] for m in talk.requests[-1].body["messages"]]
        assert roles == ["system", "user", "assistant", "user"]


async def test_no_key_and_no_server_is_the_demo_with_one_notice(house: House) -> None:
    session = Session(house, house.settings)
    events = [event async for event in session.run("hello")]
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert len(notices) == 1 and notices[0].startswith("running the offline demo model, since gpt-5.1 needs a key")
    assert any(isinstance(event, TextDelta) for event in events)
    assert not [e for e in [event async for event in session.run("hello")] if isinstance(e, Notice)]
    await session.close()


AGENTS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "missing": ({"app/dev_assistant.yaml": None}, "the registry has no agent app:dev_assistant"),
    "broken": ({"app/dev_assistant.yaml": b"kind: ["}, "app/dev_assistant.yaml: broken YAML"),
    "another": ({"app/dev_assistant.yaml": b"kind: registry.entry\n"}, "app:dev_assistant is no agent"),
    "no-prompt": (
        {"app/dev_assistant.yaml": b"kind: registry.entry\nmeta: {type: agent.gen1}\n"},
        "an agent has a prompt and a model, both text",
    ),
    "bad-tool": (
        {
            "app/dev_assistant.yaml": b"kind: registry.entry\nmeta: {type: agent.gen1}\n"
            b"data: {prompt: x, model: gpt-5.1, tools: ['no id']}\n"
        },
        "not an entry id (namespace:name): 'no id'",
    ),
    "no-models": (
        {"app/gpt-5.1.yaml": None, "app/demo.yaml": None, "app/gpt-4.1-nano.yaml": None},
        "no model can run",
    ),
}


@pytest.mark.parametrize("case", AGENTS)
async def test_an_agent_that_cannot_run_is_one_line_in_each_cell(house: House, case: str) -> None:
    files, reason = AGENTS[case]
    house.push(files)
    async with talking(house, []) as talk:
        for _ in range(2):
            (end,) = await talk.say("hello")
            assert isinstance(end, TurnFinished) and end.status == "error"
            assert reason in end.error and "\n" not in end.error


async def test_a_named_tool_that_is_broken_is_left_out(house: House) -> None:
    agent = b"kind: registry.entry\nmeta: {type: agent.gen1}\ndata:\n  prompt: x\n  model: gpt-5.1\n"
    tools = b"  tools: ['app.generated:broken', 'app.tools:load_tool', 'app.generated:gone', 'app:gpt-5.1', 'app:*']\n"
    house.push({"app/dev_assistant.yaml": agent + tools, "app/generated/broken.yaml": b"kind: ["})
    async with talking(house, [text("ok")]) as talk:
        assert words(await talk.say("go")) == "ok"
        assert [t["function"]["name"] for t in talk.requests[0].body["tools"]] == ["load_tool"]


async def test_what_a_tool_shows_becomes_events_of_its_call(house: House) -> None:
    source = """print("a") progress(1, 2, "half") display({["image/png"] = "\\x89PNG\\r\\n\\x1a\\n"}) return "done\""""
    house.write(*create(tool("app.tools:shows", f"return {{handler = function() {source} end}}")))
    async with talking(house, [calls(("shows", {})), text("Done.")]) as talk:
        events = await talk.say("show")
        call = next(event.call_id for event in events if isinstance(event, ToolStarted))
        shown = [event for event in events if isinstance(event, ToolOutput | ToolProgress | ToolDisplay)]
        assert shown == [
            ToolOutput(call, "a\n"),
            ToolProgress(call, 1, 2, "half"),
            ToolDisplay(call, {"image/png": b"\x89PNG\r\n\x1a\n"}),
        ]
        [result] = talk.results()
        assert result == "done"
