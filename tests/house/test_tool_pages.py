"""The pages on writing a tool say what is so: their tools are created, and each error that they quote is provoked.

So are the tools of the demo, which are to be examples too.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from house_kit import GOOD, House, create, id_of, policy, talking, tool
from model_server import calls, text

from micro_agi_kernel import dependents
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.models.demo import Recipe, recipes
from micro_agi_kernel.questions import Question, not_approved
from micro_agi_kernel.resources import resource
from micro_agi_kernel.settings import SandboxSettings

PAGES = resource("registry_repo") / "docs/tools"
TOLD = re.compile(r"```json\n(\{\n.*?)^```\n.*?^```lua\n(.*?)^```", re.DOTALL | re.MULTILINE)

Provoked = Callable[[House], Awaitable[str]]


def told() -> list[dict[str, Any]]:
    """The complete examples: the arguments of create_tool, with the source that stands below them."""
    found = [pair for page in sorted(PAGES.glob("*.md")) for pair in TOLD.findall(page.read_text())]
    return [{**json.loads(arguments), "source": source} for arguments, source in found]


def quotes() -> list[str]:
    """What stands in the first column of the tables on errors."""
    rows = re.findall(r"^\| (`.+?`) \| ", (PAGES / "when-it-is-refused.md").read_text(), re.MULTILINE)
    return [quote for row in rows for quote in re.findall(r"`([^`]+)`", row)]


def says(quote: str, said: str) -> bool:
    """Whether an error has the text of `quote`, in which `<...>` stands for anything."""
    parts = re.split(r"<\w+>", quote)
    return re.search(".+?".join(map(re.escape, parts)), said) is not None


@pytest_asyncio.fixture(loop_scope="session")
async def hasty_house(enter: Callable[..., House]) -> AsyncIterator[House]:
    house = enter(sandbox=SandboxSettings(timeout=1, output=1))
    yield house
    await house.close()


@pytest.mark.parametrize("arguments", told(), ids=lambda arguments: arguments["name"])
async def test_an_example_is_created_with_its_tests(house: House, arguments: dict[str, Any]) -> None:
    assert len(arguments["tests"]) == 3
    made = await house.make(**arguments)
    assert made.get("created") is True, made
    assert house.registry.version("main").trailers["Tests"] == "3 passed"


async def test_the_first_source_has_the_error_that_its_test_asks_for(house: House) -> None:
    """It is one that the schema cannot say; for a missing text the handler does not run, whatever the source checks."""
    page = (PAGES / "writing-a-tool.md").read_text()
    [source, _] = re.findall(r"^```lua\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    [asked] = re.findall(r'^`(\{"input": .*\})`', page, re.MULTILINE)
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    missing = {"name": "missing", "input": {}, "error": "INVALID: text"}
    said = await house.make("words", source, input_schema=schema, tests=[json.loads(asked), missing])
    assert "1 of 2 failed: 'missing'" in said["error"]
    assert said["error"].endswith("the handler did not run: the input_schema refused the input")
    assert "created" in await house.make("words", source, input_schema=schema, tests=[json.loads(asked)])


async def test_tests_that_are_left_out_stay_and_an_empty_list_drops_them(house: House) -> None:
    wanted: Any = {"source": GOOD, "tests": [{"input": {}, "expect": 1}], "calls": []}
    await house.make("kept", modules=["json"], **wanted)
    other = "return {handler = function() return 2 end}"
    said = (await house.make("kept", other, intent="replace"))["error"]
    assert said.startswith("tests: 1 of 1 failed") and "[] drops them" in said
    said = (await house.make("kept", other, intent="replace", tests=wanted["tests"]))["error"]
    assert said.startswith("tests: 1 of 1 failed") and "before" not in said
    assert "updated" in await house.make("kept", f"-- the same\n{GOOD}", intent="replace")
    assert "updated" in await house.make("kept", other, intent="replace", tests=[])
    entry = house.registry.snapshot().get(id_of("app.generated:kept"))
    assert entry is not None and not entry.data.get("tests") and not entry.modules


async def test_a_fault_of_a_test_has_one_number_whoever_finds_it(house: House) -> None:
    good = {"input": {}, "expect": 1}
    for http in ([{"url": "https://x", "body": {}}], [{"url": "https://x", "status": 99}]):
        said = (await house.make("numbered", tests=[good, {**good, "http": http}]))["error"]
        assert re.search(r"tests\[2\](: |/)http\[1\]", said), said


def test_the_examples_show_all_that_a_test_has() -> None:
    fields = {field for arguments in told() for test in arguments["tests"] for field in test}
    assert len(told()) == 2 and fields >= {"name", "input", "expect", "error", "http", "now"}


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.tool_name)
async def test_a_tool_of_the_demo_is_created_with_its_tests(house: House, recipe: Recipe) -> None:
    made = await house.make(**recipe.tool)
    assert made.get("created") is True, made
    tests = recipe.tool["tests"]
    assert isinstance(tests, list)
    assert house.registry.version("main").trailers["Tests"] == f"{len(tests)} passed"


def making(**arguments: Any) -> Provoked:
    """What the real create_tool says to them."""

    async def said(house: House) -> str:
        made = await house.make(**{"name": "wrong", **arguments})
        assert "error" in made and "\n" not in made["error"], made
        return str(made["error"])

    return said


def after(*entries: Entry, then: Provoked) -> Provoked:
    """The same, once these entries are there."""

    async def said(house: House) -> str:
        house.write(*create(*entries))
        return await then(house)

    return said


def that_calls(name: str, *listed: str) -> Entry:
    """A tool that lists others, and calls one that it does not list."""
    made = tool(name, 'return {handler = function() return require("funcs").call("app.generated:none") end}')
    return replace(made, data={**made.data, "calls": [f"app.generated:{other}" for other in listed]})


def running(name: str, input: Any = None) -> Provoked:
    """What a call says."""

    async def said(house: House) -> str:
        error = (await house.run(f"app.generated:{name}", input or {})).error
        assert error is not None and "\n" not in error.message
        return f"{error.kind}: {error.message}"

    return said


def calling(source: str, *modules: str, input: Any = None, **meta: Any) -> Provoked:
    """What a call of a tool that was written past the checks says."""
    made = tool("called", f"return {{handler = function(input) {source} end}}", modules=modules, **meta)
    return after(made, then=running("called", input))


def answering(name: str, arguments: Any) -> Provoked:
    """What the model reads as the result of a call."""

    async def said(house: House) -> str:
        async with talking(house, [calls((name, arguments)), text("So it is.")]) as talk:
            await talk.say("do it")
            error = talk.results()[0]["error"]
        return str(error["message"] if isinstance(error, dict) else error)

    return said


class No:
    """A person who approves of nothing."""

    async def approve(self, question: Question) -> None:
        raise not_approved(question, "no")


async def _not_approved(house: House) -> str:
    house.write(*create(policy("app:asked", "ask", "registry.create", "*", "agent_security")))
    arguments = {"name": "wrong", "description": "d", "source": GOOD, "input_schema": {"type": "object"}}
    outcome = await house.call(id_of("app.tools:create_tool"), arguments, replace(house.context(), approver=No()))
    assert isinstance(outcome.value, dict)
    return str(outcome.value["error"])


async def _out_of_time(house: House) -> str:
    house.write(*create(tool("wrong"), that_calls("user", "wrong")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dependents, "USERS_SECONDS", 0.0)
        return await making(intent="replace")(house)


async def _old_tests(house: House) -> str:
    made = await house.make("wrong", tests=[{"input": {}, "expect": 1}])
    assert "created" in made
    return await making(source=SYNTAX % "return 2", intent="replace")(house)


async def _none_required(house: House) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.publishing, "tests_required", True)
        return await making(source="error('it is not even loaded')")(house)


def chain(length: int) -> list[Entry]:
    """Tools of which each calls the next."""
    return [that_calls(f"t{n}", *([f"t{n + 1}"] if n < length else [])) for n in range(length + 1)]


def user(name: str) -> Entry:
    """A tool that passes its test as long as `name` gives 1."""
    source = f'return {{handler = function() return require("funcs").call("app.generated:{name}") end}}'
    made = tool("user", source)
    tests: Any = [{"input": {}, "expect": 1}]
    return replace(made, data={**made.data, "calls": [f"app.generated:{name}"], "tests": tests})


def library(name: str, *imported: str) -> Entry:
    imports: Any = {other: f"app.generated:{other}" for other in imported}
    return Entry(id_of(f"app.generated:{name}"), "library.lua", {}, {"source": "return {}", "imports": imports})


def with_test(test: Any, source: str = GOOD, *modules: str) -> Provoked:
    return making(tests=[test], source=source, modules=list(modules))


ASK = 'return {handler = function() return require("http_client").get("https://example.com/") end}'
STUBBED = {"input": {}, "expect": 1, "http": []}
ADD = "return {handler = function(input) return input.a end}"
SYNTAX = "return {handler = function(input)\n%s\nend}"
DENY = policy("app:no", "deny", "registry.create", "*", "agent_security")
ASKED = policy("app:asked", "ask", "registry.create", "*", "agent_security")
TEXT = {"type": "object", "properties": {"a": {"type": "string"}}}

FANS = [tool(f"leaf{n}") for n in range(66)]
TWO = [that_calls("a", *(f"leaf{n}" for n in range(32))), that_calls("b", *(f"leaf{n}" for n in range(32, 64)))]
SHELF = [library(f"lib{n}") for n in range(64)]
TWO_SHELVES = [library("a", *(f"lib{n}" for n in range(32))), library("b", *(f"lib{n}" for n in range(32, 64)))]
BREAKS = after(tool("wrong", GOOD), user("wrong"), then=making(source=SYNTAX % "return 2", intent="replace"))
LATE = _out_of_time
BOTH: Any = ["app.generated:a", "app.generated:b"]
UNFIT_TEST = {"input": {"a": 1}, "error": "INVALID: a is missing"}

PROVOKED: dict[str, Provoked] = {
    "imports: <what>": making(imports={"a-b": "app.lib:none"}),
    "imports.<name>: <what>": making(imports={"a": "none"}),
    "calls: <what>": making(calls=["none"]),
    "not callable: <id>": after(SHELF[0], then=making(calls=["app.generated:lib0"], intent="new")),
    "calls nest deeper than <number>: <ids>": after(*chain(9), then=making(calls=["app.generated:t0"], intent="new")),
    "more than <number> functions": after(*FANS, *TWO, then=making(calls=BOTH, intent="new")),
    "more than <number> libraries": after(
        *SHELF, *TWO_SHELVES, then=making(imports={"a": BOTH[0], "b": BOTH[1]}, intent="new")
    ),
    "<id> uses <id> and would break: <what>": BREAKS,
    "keep what it relies on": BREAKS,
    "not all that use <id> were tested within <number> s": LATE,
    "only a person may change it": LATE,
    "is a name that a file system or Git reserves": making(name="con"),
    "source: line ends are \\n": making(source=f"-- a\r{GOOD}"),
    "http[<number>]: <what>": with_test(
        {"input": {}, "expect": 1, "http": [{"url": "https://example.com/a b"}]}, ASK, "http_client"
    ),
    "tests: at least one is required here": _none_required,
    "tests: <number> characters of JSON": with_test({"input": {"a": "x" * 70_000}, "expect": 1}),
    "the handler did not run: the input_schema refused the input": making(
        input_schema=TEXT, source=ADD, tests=[UNFIT_TEST]
    ),
    "the tool had these tests before": _old_tests,
    "a list cannot hold null": with_test({"input": {}, "expect": [1, None, 3]}),
    "modules: there is no module '<name>'": making(modules=["http-client"]),
    "modules: '<name>' is a global table, no module": making(modules=["os"]),
    "policy denied: lua.module on <name>": making(modules=["registry"]),
    "policy denied: registry.<action> on <id>": after(DENY, then=making()),
    "not approved by the person: <what>": _not_approved,
    "a person must approve this (policy <id>), and nobody can be asked here": after(ASKED, then=making()),
    "not found: <id>, which <id> imports": making(imports={"a": "app.lib:none"}),
    "not a library: <id>": making(imports={"a": "app.tools:load_tool"}),
    "not found: <id>, which <id> calls": making(calls=["app.generated:none"]),
    "<id> may not call <id>": making(calls=["app.tools:load_tool"]),
    "calls go in a circle: <ids>": after(
        that_calls("other", "wrong"), then=making(calls=["app.generated:other"], intent="new")
    ),
    "policy denied: lua.module on funcs (list in calls what it calls)": making(modules=["funcs"]),
    "intent: there is no <id> to replace": making(intent="replace"),
    "name: <id> exists": after(tool("wrong"), then=making(intent="new")),
    "nothing was written, for there are tools like this one": after(tool("other", GOOD), then=making()),
    "'<name>' is a built-in tool": making(name="load_tool"),
    "<name>:<line>: '<what>' expected near '<where>'": making(source=SYNTAX % "if 1 != 2 then return end"),
    "<name>:<line>: syntax error near '<where>'": making(source=SYNTAX % "local a = 1 a += 1"),
    "no visible label '<name>' for <goto> at line <line>": making(source=SYNTAX % "goto continue"),
    "invalid escape sequence near <where>": making(source=SYNTAX % 'return "\\d"'),
    "unfinished string near <where>": making(source=SYNTAX % 'return "a\n"'),
    "source: Lua text is required, not compiled code": making(source="\x1bLua"),
    "source: cannot be loaded: <kind>: <what>": making(source="error('no')"),
    "the source must end with <what>": making(source="local a = 1"),
    "/source: <text> has <number> characters, more than 16000": making(source=f"--{'é' * 20_000}"),
    "input_schema: <what>": making(input_schema={"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}),
    "description: <what>": making(description=" "),
    "tests: <number> of <number> failed: '<name>' expected <this>, got <that>": with_test({"input": {}, "expect": 2}),
    "got null (nothing was returned)": with_test({"input": {}, "expect": 1}, SYNTAX % ""),
    "the test has no answer to <method> <url> in http": with_test(STUBBED, ASK, "http_client"),
    "tests[<number>]: <what>": with_test({"input": {}}),
    "the arguments are no JSON": answering("load_tool", "{'id': 1}"),
    "the arguments do not fit the input_schema of <id>": calling("return 1", input={"a": 1}, input_schema=TEXT),
    "module '<name>' is not available here": calling('require("json")'),
    "<id> does not list <id> in calls": after(that_calls("asks", "other"), tool("other"), then=running("asks")),
    "attempt to call a nil value (field '<name>')": calling('os.execute("ls")'),
    "attempt to index a nil value": calling("return input.a.b"),
    "stack overflow": calling("local function f(n) return n * f(n - 1) end return f(1)"),
    "policy denied: http_client.private_ip on <address>": calling(
        'return require("http_client").get("http://10.0.0.1/")', "http_client"
    ),
    "TIMEOUT: <what>": calling("while true do end", limits={"timeout": 0.1}),
    "MEMORY_LIMIT: <what>": calling("local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end"),
    "OUTPUT_LIMIT: <what>": calling("while true do print(('x'):rep(1e5)) end"),
    "CALL_LIMIT: <what>": calling(
        'for i = 1, 3 do require("http_client").get("http://10.0.0.1/") end', "http_client", limits={"host_calls": 2}
    ),
    "not found: <id>": answering("load_tool", {"id": "app.generated:none"}),
    "not a tool (meta.type != 'tool'): <id>": answering("load_tool", {"id": "app:demo"}),
    "no tool '<name>' is loaded": answering("none", {}),
}


@pytest.mark.parametrize("quote", PROVOKED)
async def test_an_error_is_as_the_page_quotes_it(hasty_house: House, quote: str) -> None:
    said = await PROVOKED[quote](hasty_house)
    assert says(quote, said), said


def test_every_row_of_the_page_quotes_one_of_these() -> None:
    assert sorted(quotes()) == sorted(PROVOKED)


def test_no_name_stands_for_nothing() -> None:
    """What is in quotes is said as it is; only words in <> stand for something."""
    assert says("a <b> c", "a x y c") and not says("a <b> c", "a c") and not says("a.", "ab")


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_the_pages_lead_to_one_another(page: Path) -> None:
    """Every page that is named is there, and who reads the first one finds all others."""
    named = set(re.findall(r"`((?:tools|lua)/[\w/-]+)`", page.read_text()))
    assert all((PAGES.parent / f"{path}.md").is_file() for path in named)
    if page.stem == "writing-a-tool":
        assert {f"tools/{other.stem}" for other in PAGES.glob("*.md")} - named == {"tools/writing-a-tool"}


def test_the_agent_is_told_to_test_and_where_to_read() -> None:
    prompt = yaml.safe_load((PAGES.parents[1] / "app/dev_assistant.yaml").read_text())["data"]["prompt"]
    assert "two or three tests (a usual case, an edge, an error" in prompt
    assert set(re.findall(r'"(tools/[\w-]+)"', prompt)) == {f"tools/{page.stem}" for page in PAGES.glob("*.md")}
