"""Tests of a tool that would pass, or cost, without testing anything; and sources that are not what they look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_kit import House, create, policy, tool
from sharing_kit import Enter, Hub, Sharer, fates, files_of

from micro_agi_kernel import intake, testing
from micro_agi_kernel.checks import NotTested, Rounds
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.kind_checks import check_kind
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.settings import SandboxSettings
from micro_agi_kernel.testing import ToolTesting
from micro_agi_kernel.values import Json
from micro_agi_kernel.verify import verify_registry

ECHO = "return { handler = function(input) return input end }"
NEEDS_N: Json = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
ENDLESS = "return { handler = function() while true do end end }"
SOCKET = """
local http = require("http_client")
return { handler = function()
  local _, err = http.get("http://localhost/", {unix_socket = "/run/x.sock"})
  return err and "no" or "yes"
end }
"""
FETCH = """
local http = require("http_client")
return { handler = function(input)
  local got, err = http.get(input.url)
  if err then return nil, err end
  return got.body
end }
"""


def with_tests(source: str, *tests: Json, name: str = "t", schema: Json = None, **data: Any) -> Entry:
    entry = tool(name, source, input_schema=schema or {"type": "object"})
    return replace(entry, data={**entry.data, "tests": [*tests], **data})


async def said_of(house: House, entry: Entry, at: Snapshot | None = None) -> str:
    """What the checks refuse `entry` with; "" when they let it pass."""
    snapshot = at or house.registry.snapshot()
    refusals = (await house.checks.all([entry], snapshot, snapshot.get)).refusals
    return str(refusals[entry.id]) if refusals else ""


@pytest.fixture
def hasty(enter: Callable[..., House]) -> House:
    return enter(sandbox=SandboxSettings(timeout=0.5))


async def test_a_unix_socket_is_no_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(policy("app:us", "allow", "http_client.unix_socket", "*")))
    entry = with_tests(SOCKET, {"input": {}, "expect": "no"}, modules=["http_client"])
    line = "the test has no answer over a Unix socket (/run/x.sock): http answers by method and URL only"
    assert line in await said_of(house, entry)
    house.write(*create(entry))
    monkeypatch.setattr("micro_agi_kernel.verify.Workspace", lambda settings: house)
    found = [f async for f in verify_registry(house.settings, tests=True) if f.check == "tests"]
    assert any(f.status == "fail" and line in f.message for f in found), "it does not break off"


@pytest.mark.parametrize("wanted", [{"error": "INVALID"}, {"error": "the test has no answer"}, {"expect": "none"}])
async def test_a_request_without_an_answer_fails_whatever_is_expected(house: House, wanted: dict[str, Json]) -> None:
    caught = FETCH.replace("return nil, err", "return nil, err" if "error" in wanted else "return 'none'")
    stub: Json = {"url": "https://right.example/", "status": 404}
    test: Json = {"input": {"url": "https://typo.example/"}, "http": [stub], **wanted}
    said = await said_of(house, with_tests(caught, test, modules=["http_client"]))
    assert "'tests[1]' the test has no answer to GET https://typo.example/ in http; its http answers GET" in said
    test = {"input": {"url": "https://right.example/"}, "http": [{"url": "no url"}], **wanted}
    assert "tests: 1 of 1 failed: 'tests[1]' http[1]: " in await said_of(
        house, with_tests(caught, test, modules=["http_client"])
    )


async def test_so_does_one_of_a_tool_that_it_calls(house: House) -> None:
    fetch = with_tests(FETCH, name="fetch", modules=["http_client"])
    house.write(*create(fetch))
    source = (
        'local funcs = require("funcs") return { handler = function()\n'
        'local _, err = funcs.call("app.generated:fetch", {url = "https://typo.example/"}) return err == nil end }'
    )
    entry = with_tests(source, {"input": {}, "expect": False}, calls=[str(fetch.id)])
    assert "the test has no answer to GET https://typo.example/ in http; it has none" in await said_of(house, entry)


UNFIT: list[tuple[str, bool]] = [
    ("INVALID", False),
    ("INVALID: t", False),
    ("(required)", False),
    ("INVALID: the arguments do not fit", True),
    ("do not fit the input_schema of app.generated:t", True),
    ("the arguments do not fit the input_schema", True),
]


@pytest.mark.parametrize(("wanted", "passes"), UNFIT)
async def test_arguments_that_do_not_fit_are_expected_by_name(house: House, wanted: str, passes: bool) -> None:
    said = await said_of(house, with_tests(ECHO, {"input": {"N": -1}, "error": wanted}, schema=NEEDS_N))
    assert (said == "") == passes, said
    assert passes or 'if that is tested, let error be "the arguments do not fit the input_schema"' in said


async def test_an_error_of_the_handler_needs_no_more(house: House) -> None:
    source = "return { handler = function() return nil, errors.new({kind = 'TIMEOUT', message = 'not ready'}) end }"
    assert await said_of(house, with_tests(source, {"input": {}, "error": "TIMEOUT"})) == ""


NOTHING: list[tuple[dict[str, Json], str]] = [
    ({"error": "in"}, "error: 'in' is in almost every error: take 3 letters or digits at least"),
    ({"error": ": A ."}, "error: ': A .' is in almost every error"),
    ({"schema": {}}, 'schema: any result fits {}: say what it must be, such as {"type": "string"}'),
    ({"schema": []}, "schema: any result fits []"),
    ({"schema": True}, "schema: any result fits true"),
    ({"schema": {"title": "x"}}, 'schema: any result fits {"title": "x"}: say what it must be'),
    ({"schema": {"type": ["null", "object", "array", "string", "number", "boolean"]}}, "schema: any result fits"),
    ({"schema": {"properties": {"a": {"type": "string"}}}}, "schema: any result fits"),
    ({"expect": None}, ""),
    ({"schema": {"type": ["null", "object", "array", "string", "number"]}}, ""),
    ({"schema": {"$ref": "#/$defs/none"}}, ""),
]


@pytest.mark.parametrize(("wanted", "why"), NOTHING)
def test_what_fits_everything_is_no_test(wanted: dict[str, Json], why: str) -> None:
    entry = with_tests(ECHO, {"input": {}, **wanted}, schema={"type": "object", "properties": {}})
    if not why:
        check_kind(entry)
        return
    with pytest.raises(EntryError) as caught:
        check_kind(entry)
    assert str(caught.value).startswith(f"tests[1]: {why}")


async def test_a_result_of_null(house: House) -> None:
    """Lua has no field that is null: whoever sends one is told another way to say it."""
    nothing = "return { handler = function() end }"
    said = (await house.make("nothing", nothing, tests=[{"input": {}, "expect": None}]))["error"]
    assert "exactly one of expect, schema and error is required, not none" in said
    assert '"schema": {"type": "null"}' in said
    assert "created" in await house.make("nothing", nothing, tests=[{"input": {}, "schema": {"type": "null"}}])
    entry = with_tests(ECHO, {"input": {}, "schema": {"type": "null"}})
    assert "expected a result that fits the schema, got {}" in await said_of(house, entry)


@pytest.mark.parametrize("modules", [["http_client"], []])
async def test_an_answer_that_is_never_asked_for(house: House, modules: list[str]) -> None:
    stub: Json = {"url": "https://a.example/x", "body": "ok"}
    wrong = "tests: 1 of 1 failed: 'tests[1]' the tool never asks for GET https://a.example/x: leave that answer out"
    passing: list[dict[str, Json]] = [{"expect": {"url": "u"}}, {"schema": {"type": "object"}}]
    for wanted in passing:
        test: dict[str, Json] = {"input": {"url": "u"}, "http": [stub], **wanted}
        assert (await said_of(house, with_tests(ECHO, test, modules=modules))).startswith(wrong)
    test = {"input": {"url": "u"}, "http": [stub], "expect": "other"}
    assert 'expected "other", got' in await said_of(house, with_tests(ECHO, test, modules=modules))


async def test_nor_the_second_answer_to_one_request(house: House) -> None:
    answers: list[Json] = [{"url": "https://a.example/x", "body": body} for body in ("ok", "ok")]
    test: dict[str, Json] = {"input": {"url": "https://a.example/x"}, "http": answers, "expect": "ok"}
    assert "never asks for GET https://a.example/x" in await said_of(
        house, with_tests(FETCH, test, modules=["http_client"])
    )
    test["http"] = answers[:1]
    assert await said_of(house, with_tests(FETCH, test, modules=["http_client"])) == ""


async def test_a_limit_is_no_error_to_expect(hasty: House) -> None:
    said = await said_of(hasty, with_tests(ENDLESS, {"input": {}, "error": "TIMEOUT"}))
    assert "got the error TIMEOUT: time limit of 0.5 s reached" in said and "a limit is no error to test for" in said
    greedy = "return { handler = function() local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end end }"
    said = await said_of(hasty, with_tests(greedy, {"input": {}, "error": "LIMIT"}))
    assert "MEMORY_LIMIT" in said and "a limit is no error to test for" in said
    hasty.write(*create(with_tests(ENDLESS, name="endless")))
    source = (
        'local funcs = require("funcs") return { handler = function()\n'
        'local _, err = funcs.call("app.generated:endless", {}) error("it took too long") end }'
    )
    entry = with_tests(source, {"input": {}, "error": "too long"}, calls=["app.generated:endless"])
    entry = replace(entry, meta={**entry.meta, "limits": {"timeout": 0.5}})
    assert "a limit is no error to test for" in await said_of(hasty, entry)


async def test_all_schemas_of_a_tool_share_what_one_may_cost(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "MAX_STEPS", 20_000)
    source = "return { handler = function(i) local t = {} for n = 1, i.n do t[n] = n end return t end }"
    strings: list[Json] = [{"type": "string"}] * 10
    choice: Json = {"type": "array", "items": {"anyOf": [*strings, {"type": "number"}]}}
    test: dict[str, Json] = {"input": {"n": 300}, "schema": choice}
    assert await said_of(house, with_tests(source, test)) == ""
    said = await said_of(house, with_tests(source, *[test] * 4))
    assert "tests: 4 of 4 failed" in said and "the validation takes more than 5,000 steps" in said
    said = await said_of(house, with_tests(source, {"input": {"n": 20_000}, "schema": {"type": "array"}}))
    assert "characters of JSON: take an input whose result has at most 64000" in said
    schema: Json = {"type": "object", "properties": {"items": choice}}
    test = {"input": {"items": [1] * 300}, "schema": {"type": "object"}}
    assert await said_of(house, with_tests(ECHO, test, schema=schema)) == ""
    said = await said_of(house, with_tests(ECHO, *[test] * 4, schema=schema))
    assert "its input_schema cannot be used: the validation takes more than 5,000 steps" in said


async def test_the_policies_are_those_of_the_commit_that_is_checked(house: House) -> None:
    stub: Json = {"url": "https://a.example/", "body": "ok"}
    test: Json = {"input": {"url": "https://a.example/"}, "http": [stub], "expect": "ok"}
    entry, pinned = with_tests(FETCH, test, modules=["http_client"]), house.registry.snapshot()
    house.write(*create(policy("app:offline", "deny", "http_client.request", "*")))
    assert await said_of(house, entry, pinned) == ""
    assert "policy denied: http_client.request" in await said_of(house, entry)


async def test_a_return_alone_ends_no_line_that_is_written(house: House) -> None:
    hidden = "return { handler = function() -- usual\rif true then return 2 end\n return 1 end }"
    said = await said_of(house, with_tests(hidden))
    assert said == r"source: line ends are \n: in line 1 stands a \r without one"
    library = Entry(with_tests(hidden).id, "library.lua", {}, {"source": hidden})
    with pytest.raises(EntryError, match=r"source: line ends are \\n"):
        check_kind(library)
    house.write(*create(with_tests(hidden)))
    assert (await house.run("app.generated:t", {})).value == 2, "what stands there still runs"
    assert await said_of(house, with_tests(ECHO.replace("{ ", "{\r\n"))) == ""


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "hub.git")


@pytest.fixture
def ann(enter: Enter, hub: Hub) -> Sharer:
    return Sharer(enter(), hub)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the entries that are tested, as they are."""
    tested: list[str] = []
    run = ToolTesting.run

    async def counting(self: ToolTesting, entry: Entry, *rest: Any) -> Any:
        tested.append(entry.id.name)
        return await run(self, entry, *rest)

    monkeypatch.setattr(ToolTesting, "run", counting)
    return tested


async def test_a_pull_tests_each_entry_once(ann: Sharer, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    await ann.push()
    hub.write(
        {
            **files_of(with_tests(ECHO, name="one"), with_tests(ECHO, {"input": {}, "expect": 1}, name="wrong")),
            "docs/page.md": b"hi",
        }
    )
    tested = counted(monkeypatch)
    done = await ann.pull()
    assert fates(done) == {"app.generated:one": "taken", "app.generated:wrong": "refused", "docs/page.md": "waiting"}
    assert sorted(tested) == ["one", "wrong"]
    tested.clear()
    await ann.pull(reject="app.generated:wrong")
    assert tested == [], "what the person leaves is not tested"


async def test_it_tests_again_what_another_entry_is_for(ann: Sharer, hub: Hub) -> None:
    """A library that is not taken with it leaves a tool with the one that stands here."""
    library = Entry(tool("app.lib:l").id, "library.lua", {}, {"source": "return 1"})
    ann.house.write(*create(library))
    await ann.push()
    source = 'local l = require("l") return { handler = function() return l end }'
    user = with_tests(source, {"input": {}, "expect": 2}, name="user", imports={"l": "app.lib:l"})
    hub.write(files_of(replace(library, data={"source": "return 2"}), user))
    done = await ann.pull()
    assert fates(done) == {"app.lib:l": "waiting", "app.generated:user": "waiting"}
    assert "expected 2, got 1" in next(item.why for item in done.items if str(item.subject) == "app.generated:user")
    assert fates(await ann.pull(accept="app.lib:l app.generated:user")) == {
        "app.lib:l": "taken",
        "app.generated:user": "taken",
    }


async def test_what_there_was_no_time_for_waits(ann: Sharer, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    await ann.push()
    hub.write(files_of(with_tests(ENDLESS, {"input": {}, "expect": 1}, name="slow")))
    monkeypatch.setattr(intake, "PULL_TEST_SECONDS", 0.2)
    for decision in ("", "app.generated:slow"):
        [item] = (await ann.pull(accept=decision)).items
        assert item.fate == "waiting", "nobody can accept what was not tested"
        assert item.why == ("not tested yet: the tests of one pull have 0.2 s together; pull again for the rest")
    monkeypatch.setattr(intake, "PULL_TEST_SECONDS", 60)
    hub.write(files_of(with_tests(ECHO, {"input": {}, "expect": {}}, name="slow")))
    assert fates(await ann.pull()) == {"app.generated:slow": "taken"}


async def test_rounds_know_what_an_entry_reaches(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    tested, entry, at = counted(monkeypatch), with_tests(ECHO), house.registry.snapshot()
    rounds = Rounds(30)
    for _ in range(2):
        assert (await house.checks.all([entry], at, at.get, rounds)).refusals == {}
    assert tested == ["t"]
    changed = with_tests(ENDLESS)
    rounds.deadline = 0.0
    [refusal] = (await house.checks.all([changed], at, at.get, rounds)).refusals.values()
    assert isinstance(refusal, NotTested)
