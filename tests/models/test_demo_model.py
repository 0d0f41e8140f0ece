"""The demo model, played against a small loop that answers its calls: every value comes from a result."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import sha256
from typing import Any

import jsonschema
import lupa.lua54
import pytest

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import Program
from micro_agi_kernel.messages import (
    AssistantMessage,
    CallChunk,
    FinishChunk,
    Message,
    ModelRequest,
    TextChunk,
    ToolCall,
    ToolResult,
    ToolSpec,
    UserMessage,
)
from micro_agi_kernel.models.demo import DemoModel, recipes
from micro_agi_kernel.sandbox.pool import JailedSandbox

BUILT_IN = ("doc_search", "registry_list", "registry_read", "create_tool", "load_tool")
MODULES = {"time", "json", "http_client", "base64", "hash", "uuid"}
Tool = Callable[[dict[str, Any]], Any]


class Loop:
    """What the agent's loop and the registry do, as far as the demo sees them; `tools` overrides results."""

    def __init__(self, **tools: Tool) -> None:
        self.messages: list[Message] = []
        self.offered = [ToolSpec(name, "", {"type": "object"}) for name in BUILT_IN]
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.tools: dict[str, Tool] = {
            "doc_search": lambda input: {"path": input["path"], "content": "# Page"},
            "create_tool": self.create,
            "load_tool": self.load,
            **tools,
        }

    def create(self, input: dict[str, Any]) -> Any:
        return {"created": True, "id": f"app.generated:{input['name']}", "commit": "0" * 40}

    def load(self, input: dict[str, Any]) -> Any:
        alias = input["id"].partition(":")[2]
        self.offered.append(ToolSpec(alias, "", {"type": "object"}))
        return {"loaded": True, "id": input["id"], "alias": alias, "description": ""}

    async def ask(self, prompt: str) -> str:
        """The text of one turn."""
        self.messages.append(UserMessage(prompt))
        texts: list[str] = []
        for _ in range(12):
            text, calls, finish = await self.step()
            texts.append(text)
            if not calls:
                assert finish == "stop"
                return "".join(texts)
            assert finish == "tool_calls"
            for call in calls:
                self.messages.append(self.result(call))
        raise AssertionError(f"no end: {self.calls}")

    async def step(self) -> tuple[str, tuple[ToolCall, ...], str]:
        chunks = [c async for c in DemoModel().stream(ModelRequest(tuple(self.messages), tuple(self.offered)))]
        text = "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))
        calls = tuple(chunk.call for chunk in chunks if isinstance(chunk, CallChunk))
        self.messages.append(AssistantMessage(text, calls))
        finish = chunks[-1]
        assert isinstance(finish, FinishChunk)
        return text, calls, finish.reason

    def result(self, call: ToolCall) -> ToolResult:
        assert call.name in {tool.name for tool in self.offered}, f"{call.name} is not offered"
        input = json.loads(call.arguments)
        self.calls.append((call.name, input))
        value = self.tools[call.name](input)
        content = value if isinstance(value, str) else json.dumps(value)
        return ToolResult(call.id, call.name, content, not (isinstance(value, dict) and "error" in value))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def clock(utc: str) -> Tool:
    return lambda input: {"utc": utc, "unix": 0}


async def test_what_time_is_it_as_in_the_reference() -> None:
    loop = Loop(current_time_utc=clock("2026-02-13T03:13:41Z"))
    answer = await loop.ask("what time is it?")
    assert loop.names == ["doc_search", "create_tool", "load_tool", "current_time_utc"]
    assert loop.calls[0][1] == {"path": "lua/core/time"}
    assert loop.calls[1][1]["modules"] == ["time"]
    assert loop.calls[2][1] == {"id": "app.generated:current_time_utc"}
    assert answer.endswith("The current UTC time is 2026-02-13T03:13:41Z.")


async def test_fetch_and_show_my_ip_as_in_the_reference() -> None:
    url = "http://127.0.0.1:8123/get"
    loop = Loop(
        current_time_utc=clock("2026-02-13T03:13:41Z"),
        http_get=lambda input: {"status": 200, "body": {"origin": "203.0.113.42", "url": input["url"]}},
    )
    await loop.ask("what time is it?")
    loop.calls.clear()
    assert await loop.ask(f"fetch {url} and show my ip") == "Your IP is 203.0.113.42."
    assert loop.names == ["create_tool", "load_tool", "http_get"]
    assert loop.calls[2][1] == {"url": url}


async def test_first_line_of_a_conversation_says_what_this_is() -> None:
    loop = Loop(current_time_utc=clock("noon"))
    first = await loop.ask("what time is it?")
    assert "no language model" in first.splitlines()[0]
    assert await loop.ask("what time is it?") == "The current UTC time is noon."
    assert "no language model" in (await Loop().ask("write me a poem")).splitlines()[0]


async def test_loaded_tool_is_called_at_once() -> None:
    loop = Loop(current_time_utc=clock("noon"))
    await loop.ask("what time is it?")
    loop.calls.clear()
    await loop.ask("What's the time, please?")
    assert loop.names == ["current_time_utc"]


@pytest.mark.parametrize("value", ["2026-02-13T03:13:41Z", "half past nine", 17])
async def test_changed_result_changes_the_answer(value: Any) -> None:
    loop = Loop(current_time_utc=lambda input: {"utc": value})
    assert (await loop.ask("what time is it?")).endswith(f"The current UTC time is {value}.")


@pytest.mark.parametrize("value", [{}, {"utc": None}, {"utc": {}}, {"utc": True}, [], "plain", None, 7, "not { json"])
async def test_result_without_the_value_is_shown_as_it_is(value: Any) -> None:
    loop = Loop(current_time_utc=lambda input: value)
    answer = await loop.ask("what time is it?")
    assert "current_time_utc returned no `utc`, but: " in answer
    assert "The current UTC time is" not in answer
    assert loop.names.count("current_time_utc") == 1


async def test_body_that_is_no_json_shows_no_address() -> None:
    loop = Loop(http_get=lambda input: {"status": 502, "body": "Bad gateway"})
    answer = await loop.ask("fetch http://127.0.0.1:1/get and show my ip")
    assert "http_get returned no `body.origin`" in answer and "Bad gateway" in answer
    assert "Your IP is" not in answer


@pytest.mark.parametrize("failing", ["doc_search", "create_tool", "load_tool", "current_time_utc"])
@pytest.mark.parametrize("error", ["policy denied: registry.create on app.generated:x", {"kind": "X", "message": "no"}])
async def test_error_is_told_in_its_own_words_and_ends_the_turn(failing: str, error: Any) -> None:
    loop = Loop(**{"current_time_utc": clock("noon"), failing: lambda input: {"error": error}})
    answer = await loop.ask("what time is it?")
    assert answer.endswith(f"I stopped: {failing} answered: {error if isinstance(error, str) else 'no'}")
    assert loop.names.count(failing) == 1 and loop.names[-1] == failing
    assert "UTC time is" not in answer


async def test_errors_of_an_earlier_turn_do_not_count() -> None:
    loop = Loop(current_time_utc=lambda input: {"error": "busy"})
    await loop.ask("what time is it?")
    loop.tools["current_time_utc"] = clock("noon")
    assert (await loop.ask("what time is it?")).endswith("The current UTC time is noon.")


async def test_create_tool_that_names_no_tool_and_load_tool_that_loads_none() -> None:
    answer = await Loop(create_tool=lambda input: {"created": True}).ask("what time is it?")
    assert 'create_tool named no tool, but answered: {"created": true}' in answer
    answer = await Loop(load_tool=lambda input: {"loaded": True}).ask("what time is it?")
    assert 'not among my tools, but load_tool answered: {"loaded": true}' in answer


async def test_without_its_tools_it_says_so() -> None:
    loop = Loop()
    loop.offered.clear()
    assert "cannot make the tool current_time_utc" in await loop.ask("what time is it?")
    assert loop.calls == []


@pytest.mark.parametrize(
    "prompt",
    ["", "write me a poem", "what time does the train to Paris leave?", "what time is it in Tokyo?", "x" * 1_000_000,
     "fetch file:///etc/passwd and show my ip", "fetch the mail", "what time is it?\nand then delete all files"],
)  # fmt: skip
async def test_unknown_prompt_gets_the_list_and_the_way_out(prompt: str) -> None:
    loop = Loop()
    answer = await loop.ask(prompt)
    assert loop.calls == []
    for recipe in recipes():
        assert recipe.example in answer
    for way in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        assert way in answer


@pytest.mark.parametrize(
    ("prompt", "tool", "arguments"),
    [
        ("What time is it", "current_time_utc", {}),
        ("please tell me what time it is", "current_time_utc", {}),
        ("What is the current UTC time?", "current_time_utc", {}),
        ("what’s the time right now?", "current_time_utc", {}),
        ("  what time is it now, please?\n", "current_time_utc", {}),
        ("Fetch https://httpbin.org/get and show my IP.", "http_get", {"url": "https://httpbin.org/get"}),
        ("fetch http://127.0.0.1:8080/a?b=c&d", "http_get", {"url": "http://127.0.0.1:8080/a?b=c&d"}),
        ('sha256 of "hello"', "sha256_text", {"text": "hello"}),
        ("What is the SHA-256 hash of 'two  spaces  kept'?", "sha256_text", {"text": "two  spaces  kept"}),
        ("base64 of “Grüße”", "base64_text", {"text": "Grüße"}),
        ('encode "a" as base64', "base64_text", {"text": "a"}),
        ("make a uuid", "new_uuid", {}),
        ("Can you give me a random UUID, please?", "new_uuid", {}),
    ],
)
async def test_prompts_and_their_arguments(prompt: str, tool: str, arguments: dict[str, Any]) -> None:
    loop = Loop(**{tool: lambda input: {}})
    await loop.ask(prompt)
    assert loop.calls[-1] == (tool, arguments)


async def test_text_comes_in_words_and_calls_have_ids_of_their_own() -> None:
    loop = Loop(current_time_utc=clock("noon"))
    request = ModelRequest((UserMessage("write me a poem"),))
    chunks = [chunk async for chunk in DemoModel().stream(request)]
    assert len([chunk for chunk in chunks if isinstance(chunk, TextChunk)]) > 10
    await loop.ask("what time is it?")
    await loop.ask("what time is it?")
    ids = [call.id for message in loop.messages if isinstance(message, AssistantMessage) for call in message.calls]
    assert len(ids) == len(set(ids)) == 5


# The recipes


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.tool_name)
def test_recipe_is_sound(recipe: Any) -> None:
    tool: Mapping[str, Any] = recipe.tool
    assert set(tool) == {"name", "description", "source", "input_schema", "modules", "tests"}
    assert len(tool["tests"]) in (2, 3) and any("error" in test for test in tool["tests"]), "as the agent is told to"
    EntryId.generated(tool["name"])
    jsonschema.Draft202012Validator.check_schema(tool["input_schema"])
    assert set(re.findall(r'require\("(\w+)"\)', tool["source"])) == set(tool["modules"]) <= MODULES
    assert any(pattern.fullmatch(recipe.example.rstrip("?")) for pattern, _ in recipe.prompts)
    for pattern, answer in recipe.prompts:
        assert set(pattern.groupindex) <= set(tool["input_schema"]["properties"])
        assert re.search(r"\{[\w.]+\}", answer), "the answer holds nothing of the result"
    compiled = lupa.lua54.LuaRuntime().globals().load(tool["source"])
    assert not isinstance(compiled, tuple), compiled


class NoHost:
    """No service of the host is needed by the tools that are run here."""

    async def request(self, op: str, payload: Any) -> Any:
        raise Refused(ErrorKind.UNAVAILABLE, f"{op} is not there")


class JailedLoop(Loop):
    """A loop that keeps the source of created tools and runs it in the real jail."""

    def __init__(self, sandbox: JailedSandbox, edit: Callable[[str], str] = lambda source: source) -> None:
        super().__init__()
        self.sandbox = sandbox
        self.edit = edit
        self.made: dict[str, dict[str, Any]] = {}

    def create(self, input: dict[str, Any]) -> Any:
        self.made[input["name"]] = input
        return super().create(input)

    async def ask(self, prompt: str) -> str:
        self.messages.append(UserMessage(prompt))
        while True:
            text, calls, _ = await self.step()
            if not calls:
                return text
            for call in calls:
                if (tool := self.made.get(call.name)) is not None:
                    value = await self.run(tool, json.loads(call.arguments))
                    self.tools[call.name] = lambda input, value=value: value
                self.messages.append(self.result(call))

    async def run(self, tool: dict[str, Any], input: Any) -> Any:
        program = Program(self.edit(tool["source"]), tool["name"], input, modules=frozenset(tool["modules"]))
        outcome = await self.sandbox.run(program, NoHost(), lambda text: None)
        return outcome.value if outcome.error is None else {"error": outcome.error.message}


@pytest.fixture
async def sandbox() -> AsyncIterator[JailedSandbox]:
    jail = JailedSandbox("micro_agi_kernel.lua_modules", spares=0)
    try:
        yield jail
    finally:
        await jail.close()


async def test_recipes_in_the_real_jail(sandbox: JailedSandbox) -> None:
    loop = JailedLoop(sandbox)
    time = await loop.ask("what time is it?")
    assert re.fullmatch(r"The current UTC time is \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\.", time)
    assert await loop.ask('sha256 of "Grüße"') == f"The SHA-256 digest is {sha256('Grüße'.encode()).hexdigest()}."
    assert await loop.ask('base64 of "Grüße"') == f"The Base64 form is {b64encode('Grüße'.encode()).decode()}."
    assert re.fullmatch(r"Here is a new UUID: [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", await loop.ask("make a uuid"))
    answer = await loop.ask("fetch http://127.0.0.1:1/get and show my ip")
    assert answer.startswith("I stopped: http_get answered: ") and "Your IP" not in answer


async def test_changed_lua_changes_the_answer(sandbox: JailedSandbox) -> None:
    loop = JailedLoop(sandbox, lambda source: source.replace("now:format_rfc3339()", '"tea time"'))
    assert await loop.ask("what time is it?") == "The current UTC time is tea time."
    loop = JailedLoop(sandbox, lambda source: source.replace("utc =", "other ="))
    assert "returned no `utc`" in await loop.ask("what time is it?")
