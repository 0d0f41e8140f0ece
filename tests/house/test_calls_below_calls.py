"""Calls below calls: what bounds all of them together, and how they run in tests and under questions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from house_kit import ALLOW_LOOPBACK, GOOD, House, create, id_of, loopback, policy, tool

from micro_agi_kernel.entries import Changeset, Entry, EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.funcs import AT_ONCE
from micro_agi_kernel.interfaces import CallContext, CallOutcome
from micro_agi_kernel.questions import Question
from micro_agi_kernel.settings import SandboxSettings
from micro_agi_kernel.values import Json, Value

SIDE_BY_SIDE = """
local funcs = require("funcs")
return { handler = function()
  local results = channel.new(%(count)d)
  for i = 1, %(count)d do
    coroutine.spawn(function()
      local value, err = funcs.call("%(id)s", {})
      results:send(err and {error = err:message()} or {value = value})
    end)
  end
  local sum = 0
  for i = 1, %(count)d do
    local each = results:receive()
    if each.error then return nil, errors.new({kind = errors.INTERNAL, message = each.error}) end
    sum = sum + each.value
  end
  return sum
end }
"""

IN_A_ROW = """
local funcs = require("funcs")
return { handler = function()
  local said = {}
  for i = 1, %(count)d do
    local value, err = funcs.call("%(id)s", {})
    said[i] = err and tostring(err:kind()) .. ": " .. err:message() or value
  end
  return said
end }
"""

FETCH = """
local http, time = require("http_client"), require("time")
return { handler = function(input)
  local response, err = http.get(input.url)
  if err then return nil, err end
  return { body = response.body, day = time.now():format("2006-01-02") }
end }
"""

BOTH = """
local funcs = require("funcs")
return { handler = function(input)
  local first, err = funcs.call("app.generated:fetch", { url = input.url })
  if err then return nil, err end
  local second, err = funcs.call("app.generated:fetch", { url = input.url })
  if err then return nil, err end
  return { first = first.body, second = second.body, day = second.day }
end }
"""


def calling(name: str, form: str, id: str, count: int = 1, **data: Any) -> Entry:
    entry = tool(name, form % {"id": id, "count": count} if "%(" in form else form)
    return Entry(entry.id, entry.kind, entry.meta, {**entry.data, "calls": [id], **data})


async def said_by(house: House, id: str) -> Any:
    outcome = await house.run(id, {})
    assert outcome.error is None, outcome.error
    return outcome.value


async def test_many_calls_side_by_side_end_and_few_run_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers at every depth wait for calls below them, more than may run: none waits for what it holds itself."""
    house.write(
        *create(
            tool("one", GOOD),
            calling("few", SIDE_BY_SIDE, "app.generated:one", 2),
            calling("some", SIDE_BY_SIDE, "app.generated:few", AT_ONCE + 2),
        )
    )
    running: Counter[int] = Counter()
    most: Counter[int] = Counter()
    real = house._functions.call

    async def counted(id: EntryId, input: Value, context: CallContext) -> CallOutcome:
        depth = len(context.callers)
        running[depth] += 1
        most[depth] = max(most[depth], running[depth])
        try:
            return await real(id, input, context)
        finally:
            running[depth] -= 1

    monkeypatch.setattr(house._functions, "call", counted)
    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(*(house.run("app.generated:some", {}) for _ in range(2)))
    assert [outcome.value for outcome in outcomes] == [(AT_ONCE + 2) * 2] * 2, outcomes
    assert most[0] == 2 and most[1] == AT_ONCE and most[2] <= AT_ONCE


async def test_waiting_for_a_turn_is_not_the_caller_s_time(enter: Callable[..., House]) -> None:
    house = enter(sandbox=SandboxSettings(timeout=0.5))
    house.write(*create(tool("one", GOOD), calling("asks", IN_A_ROW, "app.generated:one")))
    turns = house._functions._host._handlers["funcs.call"][1].__self__._turns[0]
    for _ in range(AT_ONCE):
        await turns.acquire()
    waiting = asyncio.create_task(said_by(house, "app.generated:asks"))
    await asyncio.sleep(0.7)
    assert not waiting.done()
    turns.release()
    assert await waiting == [1]


async def test_all_calls_below_one_share_what_one_entry_may_ask_for(enter: Callable[..., House]) -> None:
    """Neither a call nor its caller is over its own limit."""
    limits = {"max_timeout": 1, "max_output": 1, "max_host_calls": 5}
    house = enter(sandbox=SandboxSettings(timeout=1, output=1, host_calls=5, **limits))
    sleeps = "return { handler = function() require('time').sleep('550ms') return 'slept' end }"
    prints = "return { handler = function() print(('x'):rep(600000)) return 'printed' end }"
    house.write(
        *create(
            tool("sleeps", sleeps, modules=["time"]),
            tool("prints", prints),
            tool("one", GOOD),
            calling("thrice", IN_A_ROW, "app.generated:one", 3),
            calling("long", IN_A_ROW, "app.generated:sleeps", 3),
            calling("loud", IN_A_ROW, "app.generated:prints", 3),
            calling("often", IN_A_ROW, "app.generated:thrice", 2),
        )
    )
    used_up = "the calls below app.generated:{} have used up the {} that they may have together".format
    first, cut, refused = await said_by(house, "app.generated:long")
    assert first == "slept" and cut.startswith("TIMEOUT: time limit of 0."), cut
    assert refused == f"TIMEOUT: {used_up('long', 'running time')}"
    first, cut, refused = await said_by(house, "app.generated:loud")
    assert first == "printed" and cut.startswith("OUTPUT_LIMIT: output limit of 0.4"), cut
    assert refused == f"OUTPUT_LIMIT: {used_up('loud', 'output')}"
    assert len(house.output) == 1 << 20
    refused = f"CALL_LIMIT: {used_up('often', 'calls')}"
    assert await said_by(house, "app.generated:often") == [[1, 1, 1], [refused] * 3]
    assert await said_by(house, "app.generated:often") == [[1, 1, 1], [refused] * 3], "each call has it anew"


def with_tests(name: str, *tests: Json, source: str = BOTH, calls: tuple[str, ...] = ("app.generated:fetch",)) -> Entry:
    entry = tool(name, source, input_schema={"type": "object"})
    return Entry(entry.id, entry.kind, entry.meta, {**entry.data, "calls": [*calls], "tests": [*tests]})


FETCHER = tool("fetch", FETCH, modules=["http_client", "time"], input_schema={"type": "object"})
"""Not there in a test that calls it, but in its changeset."""


async def refusals(house: House, *entries: Entry) -> dict[str, str]:
    snapshot = house.registry.snapshot()
    together = {entry.id: entry for entry in entries}
    found = (await house.checks.all(entries, snapshot, lambda id: together.get(id) or snapshot.get(id))).refusals
    return {id.name: str(refusal) for id, refusal in found.items()}


async def test_in_a_test_the_called_tools_run_on_its_network_and_by_its_clock(house: House) -> None:
    answers: Json = [{"url": "https://a.example/x", "body": body} for body in ("one", "two")]
    right: Json = {
        "input": {"url": "https://a.example/x"},
        "expect": {"first": "one", "second": "two", "day": "2024-02-29"},
        "http": answers,
        "now": "2024-02-29T12:00:00Z",
    }
    wrong: Json = {"input": {"url": "https://b.example/"}, "error": "the test has no answer to GET https://b.example/"}
    before = house.head
    assert await refusals(house, FETCHER, with_tests("both", right)) == {}
    missed = await refusals(house, FETCHER, with_tests("both", right, wrong))
    assert "'tests[2]' the test has no answer to GET https://b.example/" in missed["both"]
    shown = await refusals(house, FETCHER, with_tests("both", {**right, "expect": {}}))
    assert '"second": "two"' in shown["both"]
    assert house.head == before and house.output == ""
    assert not house.uses.of(FETCHER.id).calls, "a test is no use"


async def test_a_test_reaches_no_host_and_no_network_through_others(house: House) -> None:
    reads = "return { handler = function() return require('registry').get('app:x') end }"
    house.write(
        *create(
            tool("app.mine:reads", reads, modules=["registry"], callable=True, input_schema={"type": "object"}),
            FETCHER,
            ALLOW_LOOPBACK,
        )
    )
    with loopback({"/": b"real"}) as site:
        alone = with_tests("both", {"input": {"url": site.url}, "error": "the test has no answer to GET"})
        assert "'tests[1]' the test has no answer to GET" in (await refusals(house, alone))["both"]
        assert site.visits == []
    source = "return { handler = function() return require('funcs').call('app.mine:reads', {}) end }"
    case: Json = {"input": {}, "error": "PERMISSION_DENIED: not granted: registry.get"}
    assert await refusals(house, with_tests("asks", case, source=source, calls=("app.mine:reads",))) == {}


async def test_a_test_has_one_time_for_all_that_it_calls(house: House) -> None:
    loop = tool("loop", "return { handler = function() while true do end end }")
    source = "return { handler = function() return require('funcs').call('app.generated:loop', {}) end }"
    entry = with_tests(
        "waits", {"input": {}, "error": "time limit of 0.3 s"}, source=source, calls=("app.generated:loop",)
    )
    limited = Entry(entry.id, entry.kind, {**entry.meta, "limits": {"timeout": 0.3}}, entry.data)
    assert "time limit of 0.3 s" in (await refusals(house, loop, limited))["waits"]


class Person:
    """Says yes, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    async def approve(self, question: Question) -> None:
        self.asked.append(question)


async def test_a_nested_call_is_one_question(house: House) -> None:
    one = create(tool("one", GOOD), calling("asks", IN_A_ROW, "app.generated:one"))
    house.write(*one, *create(policy("app:ask", "ask", ["tool.call", "funcs.call"], "app.generated:one")))
    entry = calling("again", IN_A_ROW, "app.generated:one", tests=[{"input": {}, "expect": [1]}])
    await house.publishing.publish(Changeset(create(entry)), house.context())
    person = Person()
    context = replace(house.context(), approver=person)
    assert (await house.call(id_of("app.generated:asks"), {}, context)).value == [1]
    [question] = person.asked
    assert question.asker == "tool:app.generated:asks"
    assert question.subjects == (("tool.call", "app.generated:one"), ("funcs.call", "app.generated:one"))
    [said] = await said_by(house, "app.generated:asks")
    assert said.startswith("PERMISSION_DENIED: a person must approve this (policy app:ask)")


async def test_the_host_asks_what_is_listed_not_the_child(house: House) -> None:
    """A program that broke out of its jail calls what it likes."""
    entry = calling("outlaw", IN_A_ROW, "app.generated:one")
    house.write(*create(tool("one", GOOD), entry))
    host = house.host("funcs", entry=entry)
    assert await host.request("funcs.call", {"id": "app.generated:one", "input": {}}) == 1
    for id in ("app.tools:create_tool", "app.generated:outlaw", "app.generated:two"):
        with pytest.raises(Refused, match="does not list") as caught:
            await host.request("funcs.call", {"id": id, "input": {}})
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
    bare = house.host("funcs", entry=tool("outlaw"))
    with pytest.raises(Refused, match="it lists none"):
        await bare.request("funcs.call", {"id": "app.generated:one", "input": {}})
