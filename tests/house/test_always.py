"""What "always for this session" covers: the same again, and of an entry that is created its updates."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from conversation_kit import CLOCK, load
from house_kit import (
    ALLOW_LOOPBACK,
    GOOD,
    House,
    create,
    finished,
    id_of,
    loopback,
    policy,
    talking,
    tool,
    update,
)
from model_server import Reply, calls, text
from test_approval import TESTED, Person, asked, say

from micro_agi_kernel.approval import Approvals, Standing
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.questions import Question, Subject
from micro_agi_kernel.workspace import RegistryTools

X, Y = "app.generated:x", "app.generated:y"


async def test_always_on_a_new_tool_holds_for_what_becomes_of_it(enter: Callable[..., House]) -> None:
    house, person = enter(profile="guarded"), Person("always", "no")
    again = {**CLOCK, "description": "Returns the current UTC time, again."}
    other = {**CLOCK, "name": "another", "intent": "new"}
    script = [calls(("create_tool", step)) for step in (TESTED, again, other)]
    async with talking(house, [*script, text("done")]) as talk:
        events = await say(talk, "make it", person)
        created, updated, refused = talk.results()
    assert created["created"] is True and updated["updated"] is True, (created, updated)
    assert "not approved by the person" in str(refused)
    assert person.subjects == [
        "registry.create on app.generated:current_time",
        "registry.create on app.generated:another",
    ]
    assert [answer for _, answer in asked(events)] == ["always", "no"]


@pytest.mark.parametrize(
    ("subjects", "covered"),
    [
        ([("registry.create", X)], {("registry.create", X), ("registry.update", X)}),
        ([("registry.update", X)], {("registry.update", X)}),
        ([("registry.delete", X)], {("registry.delete", X)}),
        (
            [("registry.create", X), ("registry.delete", Y)],
            {("registry.create", X), ("registry.update", X), ("registry.delete", Y)},
        ),
        ([("http_client.request", "example.com")], {("http_client.request", "example.com")}),
    ],
)
async def test_it_covers_nothing_wider(subjects: list[Subject], covered: set[Subject]) -> None:
    always: set[Subject] = set()
    question = Question(tuple(subjects), "service:agent", ("p",))
    await Standing(question, asyncio.get_running_loop().create_future()).settle(Person("always"), always)
    assert always == covered


PAYS = policy("app:ask_pay", "ask", ["tool.call", "tool.load"], "app.generated:pay_*")


@pytest.mark.parametrize("changed", ["pay_x", "bank"])
async def test_always_ends_when_the_code_changes(house: House, changed: str) -> None:
    """Neither the tool nor a library below it can become something else behind a yes."""
    bank = Entry(id_of("app.generated:bank"), "library.lua", {}, {"source": "return { rate = 1 }"})
    pay = tool("pay_x", "local bank = require('bank')\nreturn { handler = function() return bank.rate end }")
    pay = Entry(pay.id, pay.kind, pay.meta, {**pay.data, "imports": {"bank": "app.generated:bank"}})
    house.write(*create(PAYS, bank, pay))
    person, always = Person("always", "no"), set[Subject]()
    standing = asyncio.Queue[Standing]()

    async def settle() -> None:
        while True:
            await (await standing.get()).settle(person, always)

    settling = asyncio.create_task(settle())
    context = replace(
        house.context(), approver=Approvals(standing.put_nowait, always, lambda _: None, contextlib.nullcontext)
    )
    for _ in range(2):
        assert (await house.call(pay.id, {}, context)).value == 1
    assert len(person.asked) == 1
    old = {"pay_x": pay, "bank": bank}[changed]
    house.write(*update(Entry(old.id, old.kind, old.meta, {**old.data, "source": f"{old.source} -- not the same"})))
    outcome = await house.call(pay.id, {}, context)
    settling.cancel()
    assert outcome.error is not None and "not approved by the person: tool.call on" in outcome.error.message
    assert person.subjects == ["tool.call on app.generated:pay_x"] * 2


async def test_always_for_loading_ends_too(house: House) -> None:
    house.write(*create(PAYS, tool("pay_x", GOOD)))
    catalog, id = RegistryTools(house), id_of("app.generated:pay_x")

    def question() -> Question:
        entry = catalog.get(id)
        assert entry is not None
        asked = catalog.asks_load(entry)
        assert isinstance(asked, Question)
        return asked

    first = question()
    assert first.covers == question().covers
    house.write(*update(tool("pay_x", GOOD.replace("1", "2"))))
    assert first.subjects == question().subjects and first.covers != question().covers


SENDS = """
local http = require("http_client")
return { handler = function(input)
  local said = {}
  for i, method in ipairs(input.methods) do
    local response, err = http.request(method, input.url)
    said[i] = err and err:message() or response.status_code
  end
  return said
end }
"""


async def test_a_yes_to_reading_is_none_to_writing(enter: Callable[..., House]) -> None:
    """Neither within a call nor for the session."""
    house = enter(profile="guarded")
    with loopback() as site:
        house.write(*create(ALLOW_LOOPBACK, tool("sends", SENDS, modules=["http_client"])))
        http = f"http_client.request on {{}} {site.url}"
        reading, posting, deleting = (http.format(method) for method in ("GET/HEAD", "POST", "DELETE"))

        def go(*methods: str) -> Reply:
            return calls(("sends", {"url": site.url, "methods": methods}))

        script = [calls(load("sends")), go("HEAD", "GET", "POST", "POST", "DELETE"), go("GET"), text("done")]
        script += [go("HEAD", "POST"), text("done")]
        async with talking(house, script) as talk:
            person = Person("yes", "always", "yes", "yes", "no", "always")
            await say(talk, "go", person)
            assert person.subjects[2:] == [reading, posting, deleting, reading]
            assert [question.about.partition(" ")[0] for question in person.asked[2:]] == [
                "HEAD",
                "POST",
                "DELETE",
                "GET",
            ]
            said = talk.results()[1]
            assert said[:4] == [501, 200, 501, 501]  # the site answers all but GET by 501
            assert said[4] == f"not approved by the person: {deleting}"
            person = Person("no")
            events = await say(talk, "and now?", person)
            assert asked(events) == [(posting, "no")] and finished(events) == [("sends", "ok")]
