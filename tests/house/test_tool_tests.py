"""Tests that live with a tool: when they run, what they may reach, what is said of one that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from house_kit import GOOD, House, create, delete, git, id_of, tool, update

from micro_agi_kernel import verify
from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.entries import AGENT, Entry
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import SandboxSettings, ToolsSettings
from micro_agi_kernel.tool_tests import MAX_TESTS, read_tests
from micro_agi_kernel.values import Json
from micro_agi_kernel.verify import verify_registry

ECHO = "return { handler = function(input) return input end }"


def with_tests(tests: Json, source: str = ECHO, modules: tuple[str, ...] = ()) -> Entry:
    entry = tool("t", source, modules=modules, input_schema={"type": "object"})
    return Entry(entry.id, entry.kind, entry.meta, {**entry.data, "tests": tests})


async def refusals(house: House, tests: Json, source: str = ECHO, modules: tuple[str, ...] = ()) -> list[str]:
    entry, snapshot = with_tests(tests, source, modules), house.registry.snapshot()
    return [str(said) for said in (await house.checks.all([entry], snapshot, snapshot.get)).refusals.values()]


BAD_FORMS: list[tuple[Json, str]] = [
    ("no list", "tests: a list of at most 20"),
    ([{"input": {}, "expect": 1}] * (MAX_TESTS + 1), "tests: a list of at most 20"),
    ([1], "tests[1]: an object with input and one of expect, schema or error"),
    ([{"expect": 1}], "tests[1]: input is missing"),
    ([{"input": {}}], "exactly one of expect, schema and error is required, not none"),
    ([{"input": {}, "expect": 1, "error": "x"}], "one of expect, schema and error is required, not expect and error"),
    ([{"input": {}, "expects": 1}], "there is no field 'expects'; there are name, input, expect"),
    ([{"input": {}, "error": ""}], "error: a part of the error's kind and message"),
    ([{"input": {}, "schema": 5}], "schema: a JSON Schema"),
    ([{"input": {}, "expect": 1, "name": "a\nb"}], "name: one line"),
    ([{"input": {}, "expect": 1, "now": "yesterday"}], "now: a time as in RFC 3339"),
    ([{"input": {}, "expect": 1, "now": 5}], "now: a time as in RFC 3339"),
    ([{"input": {}, "expect": 1, "http": {}}], "http: a list of at most"),
    ([{"input": {}, "expect": 1, "http": [1]}], "http[1]: an object with the url of a request, and what is answered"),
    ([{"input": {}, "expect": 1, "http": [{}]}], "http[1]: url: the whole URL"),
    ([{"input": {}, "expect": 1, "http": [{"url": "https://x", "status": 99}]}], "http[1]: status"),
    ([{"input": {}, "expect": 1, "http": [{"url": "https://x", "body": {}}]}], "http[1]: body: text is required"),
    (
        [{"input": {}, "expect": 1, "http": [{"url": "https://x", "headers": {"a": "b\r\nc"}}]}],
        "headers: 'a' is no name",
    ),
    ([{"input": "x" * 70_000, "expect": 1}], "characters of JSON, at most 64000 are allowed"),
]


@pytest.mark.parametrize(("tests", "why"), BAD_FORMS)
def test_what_is_no_test_is_said_with_its_place(tests: Json, why: str) -> None:
    with pytest.raises(EntryError) as caught:
        read_tests(with_tests(tests))
    assert why in str(caught.value) and "\n" not in str(caught.value)


PASSING: list[tuple[Json, str, tuple[str, ...]]] = [
    ({"input": {"a": [1, 2.0, "é", True]}, "expect": {"a": [1.0, 2, "é", True]}}, ECHO, ()),
    ({"input": {"a": {}}, "expect": {"a": []}}, ECHO, ()),
    ({"input": {"a": 1}, "schema": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}}, ECHO, ()),
    (
        {"input": {}, "error": "INVALID: no"},
        "return {handler = function() return nil, errors.new({kind = 'INVALID', message = 'no'}) end}",
        (),
    ),
    ({"input": 5, "error": "INVALID: the arguments do not fit the input_schema"}, ECHO, ()),
    (
        {"input": {}, "expect": 1_709_208_000, "now": "2024-02-29T13:00:00+01:00"},
        "return {handler = function() return os.time() end}",
        (),
    ),
]


@pytest.mark.parametrize(("test", "source", "modules"), PASSING)
async def test_what_passes(house: House, test: Json, source: str, modules: tuple[str, ...]) -> None:
    assert await refusals(house, [test], source, modules) == []


FAILING: list[tuple[Json, str, str]] = [
    ({"name": "adds", "input": {"a": 1}, "expect": {"a": 2}}, ECHO, """'adds' expected {"a": 2}, got {"a": 1}"""),
    ({"input": {"a": 1}, "expect": {"a": True}}, ECHO, "'tests[1]' expected"),
    ({"input": {"a": 0}, "expect": {"a": False}}, ECHO, "expected"),
    ({"input": {"a": 1}, "expect": {"a": "1"}}, ECHO, "expected"),
    ({"input": {"a": 1}, "error": "boom"}, ECHO, """expected an error with "boom", got {"a": 1}"""),
    ({"input": {}, "expect": 1}, "return {handler = function() error('boom') end}", "got the error UNKNOWN: t:1: boom"),
    ({"input": {"a": "x"}, "schema": {"required": ["a"], "properties": {"a": {"type": "integer"}}}}, ECHO, "/a"),
    ({"input": {}, "schema": {"$ref": "#/nowhere"}}, ECHO, "has a schema that cannot be used: $ref"),
    (
        {"input": {}, "expect": 1},
        "return {handler = function() while true do end end}",
        "got the error TIMEOUT: time limit",
    ),
]


@pytest.mark.parametrize(("test", "source", "why"), FAILING)
async def test_what_fails_shows_expected_and_got(hasty: House, test: Json, source: str, why: str) -> None:
    [said] = await refusals(hasty, [test], source)
    assert said.startswith("tests: 1 of 1 failed: ") and why in said and "\n" not in said


@pytest.fixture
def hasty(enter: Callable[..., House]) -> House:
    return enter(sandbox=SandboxSettings(timeout=1))


FETCH = """
local http = require("http_client")
return { handler = function(input)
  local got, err = http.get(input.url, input.options)
  if err then return nil, err end
  return {got.status_code, got.body, got.headers["X-A"] or "", got.url}
end }
"""
ANSWER = {"url": "https://api.example.com/a?b=1", "status": 201, "headers": {"x-a": "1"}, "body": "hé"}


async def test_the_network_is_what_the_test_says(house: House) -> None:
    url = "https://api.example.com/a?b=1"
    moved = {"url": "http://old.example.com/", "status": 301, "headers": {"Location": url}}
    assert (
        await refusals(
            house,
            [
                {"input": {"url": url}, "expect": [201, "hé", "1", url], "http": [ANSWER]},
                {"input": {"url": "http://old.example.com"}, "expect": [201, "hé", "1", url], "http": [moved, ANSWER]},
                {
                    "input": {"url": "http://127.0.0.1/"},
                    "error": "policy denied: http_client.private_ip",
                },
            ],
            FETCH,
            ("http_client",),
        )
        == []
    )


async def test_answers_come_in_their_order_and_the_last_stays(house: House) -> None:
    source = """
    local http = require("http_client")
    return { handler = function()
      local bodies = {}
      for n = 1, 3 do bodies[n] = http.get("https://x.example/").body end
      return bodies
    end }
    """
    answers = [{"url": "https://x.example", "body": "one"}, {"url": "https://x.example", "body": "two"}]
    assert (
        await refusals(
            house, [{"input": {}, "expect": ["one", "two", "two"], "http": answers}], source, ("http_client",)
        )
        == []
    )


async def test_nothing_of_the_host_is_there_while_a_tool_is_loaded(house: House) -> None:
    source = 'local http = require("http_client") http.get("https://example.com/") return { handler = print }'
    assert await refusals(house, [], source, ("http_client",)) == []
    source = 'local got, err = require("http_client").get("https://example.com/") error(err) return {}'
    [said] = await refusals(house, [], source, ("http_client",))
    assert "http.request is not available while a tool is loaded: ask in its handler" in said
    for source, why in (
        ("return 1", "`return { handler = handler }`"),
        ("error('no')", "t:1: no"),
        ("return {handler = 1}", "the source must end"),
    ):
        [said] = await refusals(house, [], source)
        assert said.startswith("source: cannot be loaded: ") and why in said


async def test_they_run_at_each_change_and_at_a_revert(house: House) -> None:
    right = [{"input": {}, "expect": 1}]
    made = await house.make("t", GOOD, tests=right)
    assert house.registry.version("main").trailers["Tests"] == "1 passed"
    changed = GOOD.replace("1", "2")
    assert "expected 1, got 2" in (await house.make("t", changed, tests=right, intent="replace"))["error"]
    assert "updated" in await house.make(
        "t", changed, tests=[{"input": {}, "expect": 2}, {"input": {"a": 1}, "expect": 2}], intent="replace"
    )
    assert house.registry.version("main").trailers["Tests"] == "2 passed"
    kept = house.registry.snapshot().get(id_of("app.generated:t"))
    assert kept is not None and len(read_tests(kept)) == 2, "the tests are kept in the entry"
    session = Session(house, house.settings)
    assert [type(e).__name__ for e in [e async for e in run_cell(session, f"%revert {house.head[:10]}")]][
        -1
    ] == "TurnFinished"
    assert house.registry.version("main").trailers["Tests"] == "1 passed" and made["commit"] != house.head
    # A revert to what fails by now (another clock, another library) is none.
    house.write(*update(with_tests([{"input": {}, "expect": "never"}])))
    house.write(*update(with_tests([], GOOD)))
    head = house.head
    events = [e async for e in run_cell(session, f"%revert {head[:10]}")]
    assert "expected" in events[-1].error and house.head == head  # type: ignore[union-attr]


async def test_a_setting_demands_one(enter: Callable[..., House]) -> None:
    house = enter(tools=ToolsSettings(tests_required=True))
    for source in (GOOD, "error('it is not even loaded')"):
        said = (await house.make("t", source))["error"]
        assert said == 'tests: at least one is required here, such as [{"input": {"n": 2}, "expect": 4}]'
    assert "created" in await house.make("t", GOOD, tests=[{"input": {}, "expect": 1}])


async def test_verify_runs_them_when_asked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "Workspace", lambda settings: house)

    async def said(**more: Any) -> dict[str, str]:
        return {f.message: f.status async for f in verify_registry(house.settings, **more) if f.check == "tests"}

    house.write(*create(with_tests([{"input": {}, "expect": []}])), actor=AGENT)
    assert await said() == {}
    assert await said(tests=True) == {"1 tests pass": "ok"}
    house.write(*update(with_tests([{"input": {}, "expect": 1}])), actor=AGENT)
    house.write(
        *create(replace(with_tests([{"input": {}, "expect": []}]), id=id_of("app.generated:good"))), actor=AGENT
    )
    (line, status), summary = (await said(tests=True)).items()
    assert status == "fail" and line.startswith("app.generated:t: tests: 1 of 1 failed")
    functions = len(house.registry.snapshot().find({".kind": "function.lua"}))
    assert summary == (f"{functions - 1} of {functions} functions can be loaded and pass their tests", "fail")
    house.write(*delete("app.generated:t"), actor=AGENT)
    assert git(house.registry.path, "fsck", "--strict") == ""


async def test_an_update_keeps_tests_and_what_a_person_added(house: House) -> None:
    await house.make("t", GOOD, tests=[{"input": {}, "expect": 1}])
    made = house.registry.snapshot().get(id_of("app.generated:t"))
    assert made is not None
    marked = {**made.meta, "limits": {"timeout": 5}, "money": True}
    house.write(*update(Entry(made.id, made.kind, marked, made.data)))
    said = await house.make("t", GOOD.replace("1", "2"), intent="replace")
    assert "expected 1, got 2" in said["error"], "left out is not dropped"
    assert "updated" in await house.make("t", f"{GOOD} -- mended", description="Another purpose", intent="replace")
    after = house.registry.snapshot().get(id_of("app.generated:t"))
    assert after is not None and len(read_tests(after)) == 1
    assert after.meta["money"] is True and after.meta["limits"] == {"timeout": 5}
    assert after.meta["comment"] == "Another purpose"
    assert "updated" in await house.make("t", GOOD.replace("1", "2"), tests=[], intent="replace")
    last = house.registry.snapshot().get(id_of("app.generated:t"))
    assert last is not None and read_tests(last) == ()
