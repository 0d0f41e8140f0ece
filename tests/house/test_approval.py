"""The person is asked: what they see, what their answer does, and what becomes of a turn while a question stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import pytest
from conversation_kit import CLOCK, load
from house_kit import (
    ALLOW_LOOPBACK,
    BROKEN_SCOPES,
    GOOD,
    House,
    Talk,
    check_events,
    create,
    delete,
    finished,
    git,
    id_of,
    loopback,
    policy,
    talking,
    tool,
    update,
    words,
)
from model_server import calls, text
from test_calling_tools import FETCH

from micro_agi_kernel.approval import Standing
from micro_agi_kernel.entries import Changeset, Entry
from micro_agi_kernel.errors import Conflict, ErrorKind, Refused
from micro_agi_kernel.events import Asked, Event, TurnFinished
from micro_agi_kernel.interfaces import Bounds
from micro_agi_kernel.questions import Answer, Question, not_approved

TESTED = {**CLOCK, "tests": [{"input": {}, "schema": {"type": "object", "required": ["utc"]}}]}
WRITES = policy("app:asked", "ask", ["registry.create", "registry.update"], "*", "agent_security")


class Person:
    """Answers by a list, and keeps what it was asked."""

    def __init__(self, *answers: Answer, meanwhile: Callable[[], Any] = lambda: None) -> None:
        self.answers = [*answers]
        self.asked: list[Question] = []
        self.meanwhile = meanwhile
        self.at_once = 0

    async def __call__(self, question: Question) -> Answer:
        assert not self.at_once
        self.at_once += 1
        self.asked.append(question)
        self.meanwhile()
        await asyncio.sleep(0.01)
        self.at_once -= 1
        return self.answers.pop(0)

    async def approve(self, question: Question) -> None:
        """As the Approver of a context."""
        if (answer := await self(question)) == "no":
            raise not_approved(question, answer)

    @property
    def subjects(self) -> list[str]:
        return [str(question) for question in self.asked]


async def say(talk: Talk, prompt: str, person: Person | None) -> list[Event]:
    events = [event async for event in talk.session.run(prompt, cell=1, ask=person)]
    check_events(events)
    return events


def asked(events: list[Event]) -> list[tuple[str, Answer]]:
    return [(event.question, event.answer) for event in events if isinstance(event, Asked)]


async def publish(house: House, person: Person | None, *entries: Entry, base: str | None = None) -> str:
    """Write `entries` as the agent does; the trailer that says who let it pass."""
    snapshot = house.registry.snapshot()
    operations = [(update if snapshot.has(entry.id) else create)(entry)[0] for entry in entries]
    context = house.context()
    if person is not None:
        context = replace(context, approver=person)
    await house.publishing.publish(Changeset(tuple(operations)), context, base=base)
    return trailer(house)


def trailer(house: House) -> str:
    return git(house.registry.path, "log", "-1", "--format=%(trailers:key=Policy,valueonly)", house.head)


async def test_a_guarded_turn_that_is_approved(enter: Callable[..., House]) -> None:
    house, person = enter(profile="guarded"), Person("yes", "yes")
    script = [calls(("create_tool", TESTED)), calls(load("current_time")), calls(("current_time", {})), text("noon")]
    async with talking(house, script) as talk:
        events = await say(talk, "what time is it?", person)
    assert finished(events) == [("create_tool", "ok"), ("load_tool", "ok"), ("current_time", "ok")]
    written, loaded = person.asked
    assert asked(events) == [
        ("registry.create on app.generated:current_time", "yes"),
        ("tool.load on app.generated:current_time", "yes"),
    ]
    assert (written.asker, written.policies) == ("service:agent", ("guarded:ask_write",))
    assert (written.modules, written.hosts, written.tests) == (("time",), None, 1)
    assert written.diff.startswith("--- current_time.lua\n+local time = require('time')\n")
    assert "--- current_time.yaml\n+kind: function.lua\n" in written.diff
    assert (loaded.policies, loaded.about) == (("guarded:ask_load",), "Returns the current UTC time.")
    assert trailer(house) == f"asked (guarded:ask_write), approved by user:{house.person.name}"


async def test_nothing_is_asked_in_the_reference_profile(house: House) -> None:
    person = Person()
    script = [calls(("create_tool", CLOCK)), calls(load("current_time")), calls(("current_time", {})), text("noon")]
    async with talking(house, script) as talk:
        assert not asked(await say(talk, "what time is it?", person))
    assert "undefined" in trailer(house)


@pytest.mark.parametrize("answer", ["no", "nobody"])
async def test_a_no_goes_to_the_model(enter: Callable[..., House], answer: Answer) -> None:
    house = enter(profile="guarded")
    head, person = house.head, Person("no") if answer == "no" else None
    async with talking(house, [calls(("create_tool", CLOCK)), text("as you wish")]) as talk:
        events = await say(talk, "what time is it?", person)
        (said,) = talk.results()
    assert house.head == head
    assert asked(events) == [("registry.create on app.generated:current_time", answer)]
    reason = {
        "no": "not approved by the person: registry.create on app.generated:current_time",
        "nobody": "a person must approve this (policy guarded:ask_write), and nobody can be asked here: "
        "registry.create on app.generated:current_time",
    }[answer]
    assert reason in str(said["error"])


async def test_always_is_for_the_session_and_what_was_asked(enter: Callable[..., House]) -> None:
    house, person = enter(profile="guarded"), Person("yes", "always", "always")
    house.write(*create(tool("a"), tool("b")))

    def new(name: str, number: int) -> tuple[str, dict[str, Any]]:
        source = GOOD.replace("1", str(number))
        return "create_tool", {**CLOCK, "name": name, "source": source, "modules": [], "intent": "replace"}

    script = [calls(new("a", 2), new("a", 3)), text("1"), calls(new("a", 4), new("b", 5)), text("2")]
    async with talking(house, script) as talk:
        await say(talk, "go", person)
        events = await say(talk, "go on", person)
        assert all("updated" in said for said in talk.results())
    assert person.subjects == [f"registry.update on app.generated:{name}" for name in "aab"]
    assert asked(events) == [("registry.update on app.generated:b", "always")]
    assert not person.answers and trailer(house).startswith("asked (guarded:ask_write), approved by user:")


async def test_a_tool_that_asks_the_network(enter: Callable[..., House]) -> None:
    """Its call is asked about, and each host: a yes holds for one call, "always" for the session."""
    house, person = enter(profile="guarded"), Person("yes", "yes", "yes", "always", "yes")
    with loopback() as site:
        source = f"-- https://api.example.com/x\n{FETCH}"
        house.write(*create(ALLOW_LOOPBACK, tool("fetch", source, modules=["http_client"]), tool("plain", GOOD)))
        go = calls(("fetch", {"url": site.url}))
        async with talking(house, [calls(load("fetch")), go, go, go, text("done")]) as talk:
            await say(talk, "go", person_with(person, "yes"))
            assert [said["status"] for said in talk.results()[1:]] == [200, 200, 200]
    call, http = "tool.call on app.generated:fetch", f"http_client.request on GET/HEAD {site.url}"
    assert person.subjects == ["tool.load on app.generated:fetch", call, http, call, http, call]
    assert person.asked[1].hosts == ("api.example.com",) and person.asked[1].about.startswith('input: {"url": ')
    assert (person.asked[2].asker, person.asked[2].about) == ("tool:app.generated:fetch", f"GET {site.url}/")


def person_with(person: Person, *first: Answer) -> Person:
    person.answers[:0] = first
    return person


TWICE = """
local http = require("http_client")
return { handler = function(input)
  local first, second = http.get(input.url), http.get(input.url .. "/again")
  local both = http.request_batch({ { "GET", input.url .. "/a" }, { "GET", input.url .. "/b" } })
  return { first.status_code, second.status_code, #both }
end }
"""


async def test_a_yes_to_a_host_holds_for_the_call(enter: Callable[..., House]) -> None:
    house = enter(profile="guarded")
    with loopback() as site:
        house.write(*create(ALLOW_LOOPBACK, tool("twice", TWICE, modules=["http_client"])))
        for _ in range(2):
            person = Person("yes", "yes")
            context = replace(house.context(), approver=person)
            outcome = await house.call(id_of("app.generated:twice"), {"url": site.url}, context)
            assert outcome.value == [200, 200, 2], outcome.error
            assert len(person.asked) == 2


async def test_a_host_that_is_not_approved_is_not_asked(enter: Callable[..., House]) -> None:
    house = enter(profile="guarded")
    with loopback() as site:
        house.write(*create(ALLOW_LOOPBACK, tool("fetch", FETCH, modules=["http_client"])))
        async with talking(house, [calls(load("fetch")), calls(("fetch", {"url": site.url})), text("no")]) as talk:
            await say(talk, "go", Person("yes", "yes", "no"))
            refused = f"not approved by the person: http_client.request on GET/HEAD {site.url}"
            assert refused in str(talk.results()[1])
        assert not site.visits


async def test_no_clock_runs_while_the_person_thinks(enter: Callable[..., House]) -> None:
    house = enter(profile="guarded", limits=Bounds(seconds=60))
    stopped: list[object] = []
    with loopback() as site:
        limited = tool("fetch", FETCH.replace("input.url", "input.url, {timeout = 1}"), modules=["http_client"])
        limited = Entry(limited.id, limited.kind, {**limited.meta, "limits": {"timeout": 1}}, limited.data)
        house.write(*create(ALLOW_LOOPBACK, limited))

        class Slow(Person):
            async def __call__(self, question: Question) -> Answer:
                clock = talk.session.budget._clock
                assert clock is not None
                stopped.append(clock.when())
                await asyncio.sleep(1.1 if "http" in str(question) else 0)
                return await super().__call__(question)

        async with talking(house, [calls(load("fetch")), calls(("fetch", {"url": site.url})), text("ok")]) as talk:
            events = await say(talk, "go", Slow("yes", "yes", "yes"))
            assert talk.results()[1]["status"] == 200, talk.results()
    assert stopped == [None] * 3 and isinstance(events[-1], TurnFinished) and events[-1].status == "ok"


async def test_calls_side_by_side_ask_one_after_another(enter: Callable[..., House]) -> None:
    house, names = enter(profile="guarded"), [f"fetch{number}" for number in range(4)]
    house.write(*create(*(tool(name, GOOD, modules=["http_client"]) for name in names)))
    person = Person(*["always"] * 4, "yes", "no", "yes", "always")
    script = [calls(*map(load, names)), calls(*((name, {}) for name in names)), text("ok")]
    async with talking(house, script) as talk:
        events = await say(talk, "go", person)
    assert sorted(person.subjects[4:]) == [f"tool.call on app.generated:{name}" for name in names]
    assert sorted(status for name, status in finished(events)[4:]) == ["error", "ok", "ok", "ok"]


async def test_a_stop_while_a_question_stands(enter: Callable[..., House]) -> None:
    house, standing, ended = enter(profile="guarded"), asyncio.Event(), asyncio.Event()
    head = house.head

    async def thinks(question: Question) -> Answer:
        standing.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "yes"

    async with talking(house, [calls(("create_tool", CLOCK)), text("well")]) as talk:

        async def listen() -> None:
            async with aclosing(talk.session.run("make it", ask=thinks)) as events:
                async for _ in events:
                    pass

        turn = asyncio.create_task(listen())
        await asyncio.wait_for(standing.wait(), 10)
        turn.cancel()
        with suppress(asyncio.CancelledError):
            await turn
        assert ended.is_set() and house.head == head
        assert words(await say(talk, "and now?", Person())) == "well"
        assert talk.results()[0]["error"]["kind"] == "CANCELED"


async def test_the_question_is_taken_back_when_its_call_ends(house: House) -> None:
    ended = asyncio.Event()

    async def thinks(question: Question) -> Answer:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "yes"

    standing = Standing(Question((("a", "b"),), "x", ("p",)), asyncio.get_running_loop().create_future())
    settling = asyncio.create_task(standing.settle(thinks, set()))
    await asyncio.sleep(0)
    standing.answer.cancel()
    await asyncio.wait_for(settling, 10)
    assert ended.is_set()
    person = Person()
    await standing.settle(person, set())  # nor is it asked when it stood behind others until then
    assert not person.asked


async def test_always_answers_the_questions_that_stand_behind(house: House) -> None:
    always: set[tuple[str, str]] = set()
    question = Question((("a", "b"),), "x", ("p",))
    first, second = (Standing(question, asyncio.get_running_loop().create_future()) for _ in range(2))
    person = Person("always")
    for standing in (first, second):
        await standing.settle(person, always)
    assert (first.answer.result(), second.answer.result(), len(person.asked)) == ("always", "always", 1)


async def test_a_profile_is_no_scope(enter: Callable[..., House]) -> None:
    """Where the registry has lost its policies, or one cannot be read, agents write nothing, approved or not."""
    for broken in ("empty", "broken-yaml"):
        house, person = enter(profile="guarded"), Person("yes")
        house.push(BROKEN_SCOPES[broken])
        with pytest.raises(Refused, match="failed to load security scope"):
            await publish(house, person, tool("one", GOOD))
        assert not person.asked


# -- while a question stands, others write


async def test_what_was_approved_is_written(house: House) -> None:
    """A change elsewhere is no reason to ask again; what the checks read is, if it makes another question."""
    house.write(*create(WRITES))
    person = Person("yes", meanwhile=lambda: house.write(*create(tool("other"))))
    assert await publish(house, person, tool("one", GOOD)) == f"asked (app:asked), approved by user:{house.person.name}"
    person = Person("yes", meanwhile=lambda: house.write(*create(policy("app:more", "allow", "x", "y"))))
    await publish(house, person, tool("two", GOOD))
    assert len(person.asked) == 1
    more = policy("app:also", "ask", "registry.create", "*", "agent_security")
    person = Person(
        "yes", "yes", meanwhile=lambda: house.registry.snapshot().has(more.id) or house.write(*create(more))
    )
    assert (await publish(house, person, tool("three", GOOD))).startswith("asked (app:also), approved")
    assert [question.policies for question in person.asked] == [("app:asked",), ("app:also",)]


async def test_the_same_entry_changes_meanwhile(house: House) -> None:
    house.write(*create(WRITES, tool("one", GOOD)))
    theirs = tool("one", GOOD.replace("1", "3"))
    person = Person("yes", meanwhile=lambda: house.write(*update(theirs)))
    with pytest.raises(Conflict):
        await publish(house, person, tool("one", GOOD.replace("1", "2")))
    assert "-return { handler = function() return 1 end }\n+return" in person.asked[0].diff
    assert house.registry.snapshot().get(theirs.id) == theirs


async def test_a_policy_that_comes_meanwhile_wins(house: House) -> None:
    house.write(*create(WRITES))
    never = policy("app:never", "deny", "registry.create", "*", "agent_security")
    person = Person("yes", meanwhile=lambda: house.write(*create(never)))
    with pytest.raises(Refused, match="policy app:never"):
        await publish(house, person, tool("one", GOOD))
    assert not house.registry.snapshot().has(id_of("app.generated:one"))


async def test_one_question_for_a_changeset(house: House) -> None:
    house.write(*create(WRITES, tool("gone", GOOD)))
    person = Person("no")
    changeset = Changeset((*create(tool("one", GOOD), tool("two", GOOD)), *delete("app.generated:gone")))
    with pytest.raises(Refused) as refused:
        await house.publishing.publish(changeset, replace(house.context(), approver=person))
    assert refused.value.kind is ErrorKind.PERMISSION_DENIED and refused.value.retryable is False
    (question,) = person.asked
    assert str(question) == "registry.create on app.generated:one, registry.create on app.generated:two"
    assert "--- gone.lua\n-return { handler" in question.diff


async def test_what_fails_is_not_asked_about(house: House) -> None:
    house.write(*create(WRITES))
    person = Person()
    for source in ("return 1 +", "return { handler = 1 }"):
        with pytest.raises(Refused):
            await publish(house, person, tool("one", source))
    with pytest.raises(Refused, match="policy app:deny_core_ns"):
        await publish(house, person, tool("app:one", GOOD))
    assert not person.asked


async def test_calls_by_what_an_entry_says_of_itself(house: House) -> None:
    body = {"actions": "tool.call", "resources": "*", "effect": "ask"}
    dear = {"field": "meta.dear", "operator": "eq", "value": True}
    rule = Entry(
        id_of("app:dear"),
        "security.policy",
        {},
        {"policy": {**body, "conditions": [dear]}, "groups": ["tool_security"]},
    )
    house.write(*create(rule, tool("dear", GOOD, dear=True), tool("cheap", GOOD)))
    assert (await house.run("app.generated:cheap", {})).value == 1
    outcome = await house.run("app.generated:dear", {})
    assert outcome.error is not None and "tool.call on app.generated:dear" in outcome.error.message
    person = Person("yes")
    context = replace(house.context(), approver=person)
    assert (await house.call(id_of("app.generated:dear"), {}, context)).value == 1
    assert person.asked[0].about == "input: {}"
