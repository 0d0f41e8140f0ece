"""Tools in a conversation: loaded, changed by others, named alike, and what they give to the model."""

from __future__ import annotations

import json
import re
from typing import Any

from conversation_kit import Between, load
from house_kit import (
    GOOD,
    House,
    create,
    delete,
    finished,
    id_of,
    policy,
    talking,
    tool,
    update,
    words,
)
from model_server import Reply, calls, text

from micro_agi_kernel.events import (
    Notice,
    ToolDisplay,
    ToolLoaded,
    ToolOutput,
    ToolProgress,
    ToolStarted,
)


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
