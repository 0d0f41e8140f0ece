"""An agent from Python: its events, its failures, and how a turn is stopped from the thread that asks."""

from __future__ import annotations

import shutil
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import Hold, ModelServer, Reply, calls, reply, text

from micro_agi_kernel import (
    Agent,
    Answer,
    EntryPublished,
    Event,
    MicroAgiError,
    Question,
    TextDelta,
    ToolError,
    ToolFinished,
    TurnFinished,
    load_settings,
    open_session,
)
from micro_agi_kernel.commands.cell import run_cell

SECONDS = 30
TOOL = {
    "name": "twice",
    "description": "Twice a number.",
    "source": "return { handler = function(input) return input.x * 2 end }",
    "input_schema": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
}

Open = Callable[..., Agent]


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose registry holds the seed."""
    home = tmp_path_factory.mktemp("seed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICRO_AGI_HOME", str(home))
        Agent().close()
    return home


@pytest.fixture
def opened(seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens agents on a registry of the test; with a script, on a model that says that."""
    monkeypatch.setenv("MICRO_AGI_HOME", str(shutil.copytree(seed, tmp_path / "home")))
    agents: list[Agent] = []

    def open(server: ModelServer | None = None, **settings: object) -> Agent:
        if server is not None:
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            monkeypatch.setenv("OPENAI_API_KEY", "k")
        agents.append(Agent(**settings))  # type: ignore[arg-type]
        return agents[-1]

    yield open
    for agent in agents:
        agent.close()


def held(hold: Hold) -> Reply:
    """An answer that begins, and goes on when the test wants it."""
    whole = text("begun ", "ended")
    return Reply((*whole.events[:2], hold, *whole.events[2:]), whole.usage)


def test_a_turn_its_answer_and_the_registry(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    script = [
        reply(["I write it. "], [("create_tool", TOOL)]),
        calls(("load_tool", {"id": "app.generated:twice"})),
        calls(("twice", {"x": 4})),
        text("It is ", "8."),
        text("Yes."),
    ]
    with ModelServer(script) as server:
        agent = opened(server)
        before = agent.registry.head
        assert agent.ask("twice 4?") == "It is 8."
        *_, end = agent.run("really?")
        assert isinstance(end, TurnFinished) and end.status == "ok"
        assert agent.call("twice", {"x": 2.5}) == 5
        assert agent.call("app.generated:twice", {"x": 3}) == 6
    assert server.requests[-1].body["messages"][-1]["content"] == "really?"
    registry = agent.registry
    assert registry.head != before and [version.commit for version in registry.log(2)] == [registry.head, before]
    assert [str(id) for _, id in registry.log(1)[0].operations] == ["app.generated:twice"]
    assert registry.log(id="twice") == registry.log(1) and len(registry.log(None)) == len(registry.log(10**30)) == 2
    assert registry.log(0) == []
    assert registry.entry("twice").source == TOOL["source"] and registry.entry("twice") in registry.tools()
    assert not caplog.records


def test_what_a_command_answers_can_be_read_when_it_is_printed(opened: Open) -> None:
    with ModelServer(
        [calls(("create_tool", TOOL)), calls(("load_tool", {"id": "app.generated:twice"})), text("Done.")]
    ) as server:
        agent = opened(server)
        agent.ask("make it")
    tools, listed, changed = agent.ask("%tools"), agent.ask("%registry twice"), agent.ask("%diff main~1")
    assert [line.split()[:3] for line in tools.splitlines() if "twice" in line] == [
        ["twice", "app.generated:twice", "yes"]
    ]
    assert "&#" not in tools and "`" not in tools
    assert [line.split()[0] for line in listed.splitlines()[2:]] == ["app.generated:twice"]
    assert changed.startswith("Create app.generated:twice\n\n    ") and TOOL["source"] in changed
    agent.ask("%pin v1")
    pinned = agent.ask("%registry registry_read")
    assert "app.tools:registry_read" in pinned and "\n\nThis is the registry " in pinned


def failing(agent: Agent) -> list[tuple[str, Callable[[], object]]]:
    """Each line, and what raises it."""
    return [
        ("the prompt is empty", lambda: agent.ask(" \n")),
        ("the prompt is text, not None", lambda: agent.ask(None)),  # type: ignore[arg-type]
        ("None is no entry: write its id", lambda: agent.call(None)),  # type: ignore[arg-type]
        ("None is no entry: write its id", lambda: agent.registry.entry(None)),  # type: ignore[arg-type]
        ("5 is no entry: write its id", lambda: agent.registry.log(id=5)),  # type: ignore[arg-type]
        ("limit is a whole number of commits, or None for all, not -1", lambda: agent.registry.log(-1)),
        ("limit is a whole number of commits, or None for all, not 1.5", lambda: agent.registry.log(1.5)),  # type: ignore[arg-type]
        ("limit is a whole number of commits, or None for all, not 'x'", lambda: agent.registry.log("x")),  # type: ignore[arg-type]
        ("limit is a whole number of commits, or None for all, not True", lambda: agent.registry.log(True)),
        ("approve is a function of a question, not 5", lambda: Agent(approve=5)),  # type: ignore[arg-type]
        ("approve is a function of a question, not 'x'", lambda: Agent(approve="x")),  # type: ignore[arg-type]
        ("the input is an object, not 5", lambda: agent.call("registry_list", 5)),  # type: ignore[arg-type]
        ("the prompt: text with a lone surrogate", lambda: agent.ask("\ud800")),
        ("no command %nope; %help lists them all", lambda: agent.ask("%nope")),
        ("there is no entry nope; ", lambda: agent.call("nope")),
        ("'x y' is no entry: write its id, such as app.tools:registry_list", lambda: agent.call("x y")),
        ("the input: a set is no JSON value", lambda: agent.call("registry_list", {"x": {1}})),
        ("there is no entry app.tools:registry_lists; the nearest: ", lambda: agent.call("app.tools:registry_lists")),
        ("there is no entry app:x; ", lambda: agent.registry.entry("app:x")),
        ("unknown setting 'modell' (argument modell); the nearest is model", lambda: Agent(modell="x")),
        (
            "unknown setting 'limits_step' (argument limits_step); the nearest is limits_steps:",
            lambda: Agent(limits_step=3),
        ),
        (
            "unknown setting 'limits.step' (argument limits.step); the nearest is limits.steps:",
            lambda: Agent(**{"limits.step": 3}),
        ),  # type: ignore[arg-type]
        ("unknown setting 'modell' (argument modell); the nearest is model:", lambda: Agent(modell=None)),
        ("unknown setting 'environment' (argument environment); the nearest are ", lambda: Agent(environment=5)),
        ("unknown setting 'self' (argument self); the nearest are ", lambda: Agent(self=5)),
        ("registry: it is empty (argument registry)", lambda: Agent(registry="")),
        ("limits.steps is a whole number above 0, not 'many'", lambda: Agent(limits_steps="many")),
        ("not a registry: ", lambda: Agent(registry=__file__)),
        ("no model or class is called 'none': ", lambda: opened_with("none")),
    ]


def opened_with(model: str) -> str:
    with Agent(model=model) as agent:
        return agent.ask("hello")


def test_what_a_person_can_mend_is_one_line(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = opened()
    for line, fails in failing(agent):
        with pytest.raises(MicroAgiError) as raised:
            fails()
        assert str(raised.value).startswith(line) and "\n" not in str(raised.value)
    with pytest.raises(ToolError, match=r"^the arguments do not fit the input_schema of app\.tools:registry_read"):
        agent.call("registry_read", {"id": 5})
    monkeypatch.setenv("MICRO_AGI_MODELL", "x")
    with pytest.raises(MicroAgiError, match="unknown setting"):
        Agent()
    with pytest.raises(TypeError):
        Agent("demo")  # type: ignore[misc]


def test_a_turn_that_fails_is_an_event_or_an_error(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    with ModelServer([Reply(status=401, plain=b"{}")] * 2) as server:
        agent = opened(server)
        *_, end = agent.run("hello")
        assert isinstance(end, TurnFinished) and end.status == "error"
        with pytest.raises(MicroAgiError) as raised:
            agent.ask("hello")
    assert str(raised.value) == end.error and "\n" not in end.error
    assert not caplog.records


def test_notes_to_the_person_are_logged_where_nobody_takes_events(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    assert opened().ask("hello").startswith("I am the demo model")  # no key
    assert [record.getMessage()[:35] for record in caplog.records] == ["running the offline demo model, sin"]


@pytest.mark.parametrize("way", ["break", "close", "raise"])
def test_leaving_the_events_stops_the_turn(opened: Open, way: str) -> None:
    hold = Hold()
    with ModelServer([held(hold), text("again")]) as server:
        agent = opened(server)
        events = agent.run("hello")
        if way == "break":
            for event in events:
                if isinstance(event, TextDelta):
                    break
            del event, events
        elif way == "close":
            next(event for event in events if isinstance(event, TextDelta))
            events.close()
        else:
            with pytest.raises(ZeroDivisionError):
                next(1 / 0 for event in events if isinstance(event, TextDelta))
            events.close()
        assert hold.closed.wait(SECONDS)
        assert agent.ask("and now?") == "again"
    said = [message["content"] for message in server.requests[1].body["messages"]]
    assert any("begun" in str(each) for each in said) and not any("ended" in str(each) for each in said)


def test_one_thing_at_a_time_and_closing_ends_it(opened: Open) -> None:
    hold, begun, ends = Hold(), threading.Event(), list[str]()
    with ModelServer([held(hold)]) as server:
        agent = opened(server)

        def ask() -> None:
            try:
                for event in agent.run("hello"):
                    if isinstance(event, TextDelta):
                        begun.set()
            except MicroAgiError as error:
                ends.append(str(error))

        other = threading.Thread(target=ask)
        other.start()
        assert begun.wait(SECONDS)
        for busy in (lambda: agent.ask("me too"), lambda: agent.call("registry_list")):
            with pytest.raises(MicroAgiError, match="the agent is busy"):
                busy()
        registry = agent.registry
        assert registry.tools() and registry.path.is_dir()
        agent.close()
        other.join(SECONDS)
    assert ends == ["this was stopped: the agent is closed"]
    ways = (lambda: agent.ask("x"), lambda: agent.call("registry_list"), lambda: agent.registry)
    for closed in (*ways, lambda: registry.path, registry.tools):
        with pytest.raises(MicroAgiError, match="this agent is closed"):
            closed()
    agent.close()


def test_questions_are_answered_in_the_thread_that_takes_the_events(opened: Open) -> None:
    asked: list[tuple[str, str, int]] = []

    def approve(question: Question) -> Answer:
        asked.append((str(question), question.diff[:60], threading.get_ident()))
        return "yes" if len(asked) == 1 else "no"

    script = [calls(("create_tool", TOOL)), calls(("load_tool", {"id": "app.generated:twice"})), text("Done.")]
    with ModelServer(script) as server:
        agent = opened(server, profile="guarded", approve=approve)
        events = list(agent.run("twice 4?"))
    wanted = ["registry.create on app.generated:twice", "tool.load on app.generated:twice"]
    assert [what for what, *_ in asked] == wanted
    assert {thread for *_, thread in asked} == {threading.get_ident()} and "handler" in asked[0][1]
    assert [event.status for event in events if isinstance(event, ToolFinished)] == ["ok", "error"]
    assert len([event for event in events if isinstance(event, EntryPublished)]) == 1


def test_what_approve_raises_stops_the_turn_and_reaches_the_caller(opened: Open) -> None:
    def approve(question: Question) -> Answer:
        raise KeyboardInterrupt

    with ModelServer([calls(("create_tool", TOOL)), text("Well.")]) as server:
        agent = opened(server, profile="guarded", approve=approve)
        with pytest.raises(KeyboardInterrupt):
            agent.ask("twice 4?")
        assert agent.ask("so?") == "Well."
    assert len(agent.registry.log()) == 1


@pytest.mark.parametrize("answer", [None, True, "Yes", [], "y"])
def test_what_is_no_answer_stops_the_turn_and_is_one_line(opened: Open, answer: Any) -> None:
    with ModelServer([calls(("create_tool", TOOL)), text("on")]) as server:
        agent = opened(server, profile="guarded", approve=lambda question: answer)
        with pytest.raises(MicroAgiError) as raised:
            agent.ask("twice")
        assert str(raised.value) == f"approve answers one of 'yes', 'no', 'always', 'nobody', not {answer!r}"
        assert agent.ask("go on") == "on"


def test_without_approve_the_answer_is_no(opened: Open) -> None:
    with ModelServer([calls(("create_tool", TOOL)), text("Well.")]) as server:
        assert opened(server, profile="guarded").ask("twice 4?") == "Well."
    assert "nobody can be asked here" in str(server.requests[1].body["messages"][-1])


def test_what_a_tool_or_a_server_says_reaches_no_terminal_as_an_escape(opened: Open) -> None:
    """Python prints an error that nobody catches as it is."""
    source = "return { handler = function() return nil, 'bad \\27]0;pwn\\7\\27[2J\\nworse' end }"
    tool = {"name": "loud", "description": "Fails loudly.", "source": source, "input_schema": {"type": "object"}}
    refused = Reply(status=400, plain=b'{"error": {"message": "no \\u001b]0;pwn\\u0007\\u001b[2J"}}')
    with ModelServer([calls(("create_tool", tool)), text("Done."), refused]) as server:
        agent = opened(server)
        agent.ask("make it")
        with pytest.raises(ToolError) as call:
            agent.call("loud")
        with pytest.raises(MicroAgiError) as turn:
            agent.ask("and now?")
    assert "bad \u241b]0;pwn\u2407\u241b[2J worse" in str(call.value)
    assert "pwn" in str(turn.value)
    for raised in (call, turn):
        assert str(raised.value).isprintable()


def test_an_agent_closed_by_its_own_approve_says_so(opened: Open) -> None:
    def approve(question: Question) -> Answer:
        agents[0].close()
        return "yes"

    with ModelServer([calls(("create_tool", TOOL)), text("Well.")]) as server:
        agents = [opened(server, profile="guarded", approve=approve)]
        with pytest.raises(MicroAgiError, match=r"^this was stopped: the agent is closed$"):
            agents[0].ask("twice 4?")
    with pytest.raises(MicroAgiError, match="this agent is closed"):
        agents[0].ask("and now?")


async def test_it_works_where_a_loop_is_running(opened: Open) -> None:
    with ModelServer([text("Hello.")]) as server:
        assert opened(server).ask("hello") == "Hello."


@pytest.mark.usefixtures("opened")
async def test_a_session_refuses_what_an_agent_refuses() -> None:
    session = open_session(load_settings(model="demo"))

    async def refused(events: AsyncGenerator[Event, None]) -> str:
        with pytest.raises(MicroAgiError) as raised:
            assert [event async for event in events] == []
        return str(raised.value)

    assert [event.status async for event in session.run("hello") if isinstance(event, TurnFinished)] == ["ok"]
    assert await refused(session.run(" \n")) == "the prompt is empty"
    log = (await session.about()).log
    await session.close()
    written = log.read_bytes()
    for events in (session.run("hello"), run_cell(session, "%session")):
        assert await refused(events) == "this session is closed: make another one"
    await session.close()
    assert log.read_bytes() == written


def test_nothing_is_left_of_an_agent_that_was_closed_or_forgotten(opened: Open) -> None:
    others = set(threading.enumerate())

    def ours() -> set[str]:
        mine = {thread.name.partition("_")[0] for thread in threading.enumerate() if thread not in others}
        return mine & {"micro-agi", "session-log", "uses", "asyncio"}

    for way in ("closed", "forgotten"):
        agent = Agent()
        agent.call("registry_list")
        assert "micro-agi" in ours()
        if way == "closed":
            agent.close()
        del agent
        assert not ours()
