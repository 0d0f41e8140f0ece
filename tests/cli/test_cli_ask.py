"""`micro-agi ask`: a conversation without Jupyter."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result
from model_server import Hold, ModelServer, Reply, Script, calls, delta, end, failure, text

from micro_agi_kernel.events import Event

TIME = """\
  [doc_search] ok
  [create_tool] ok
  [load_tool] ok
  [+] app.generated:current_time_utc
  [current_time_utc] ok
The current UTC time is 20"""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Script], ModelServer]]:
    """Starts the model server of a test; the product talks to it."""
    servers: list[ModelServer] = []

    def start(script: Script) -> ModelServer:
        server = ModelServer(script)
        server.__enter__()
        servers.append(server)
        monkeypatch.setenv("OPENAI_API_KEY", "anything")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        return server

    yield start
    for server in servers:
        server.__exit__(None)


def test_the_demo_model_makes_a_tool(cli: Callable[..., Result]) -> None:
    shown = cli("ask", "what time is it?").stdout
    note, rest = shown.split("\n", 1)
    assert note.startswith("  note: running the offline demo model, since gpt-5.1 needs a key: set OPENAI_API_KEY")
    assert TIME in rest
    assert TIME in cli("ask", "--model", "demo", "-", input="what time is it?\n").stdout


def test_several_texts_are_turns_of_one_conversation(
    cli: Callable[..., Result], serve: Callable[[Script], ModelServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICRO_AGI_RENDER_FOOTER", "false")
    server = serve([text("One."), text("Two."), text("Three.")])
    assert (
        cli("ask", "first", "-", "third ✓", input="second\n").stdout
        == "> first\nOne.\n> second\nTwo.\n> third ✓\nThree.\n"
    )
    said = [message["content"] for message in server.requests[2].body["messages"] if message["role"] == "user"]
    assert [str(content).strip() for content in said][-3:] == ["first", "second", "third ✓"]


def test_every_event_is_a_line_of_json(cli: Callable[..., Result]) -> None:
    result = cli("ask", "--json", "--model", "demo", "what time is it?")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    names = [event["event"] for event in events]
    known = {kind.__name__ for kind in Event.__args__}  # type: ignore[attr-defined]
    assert set(names) <= known
    assert {"TextDelta", "ToolStarted", "ToolFinished", "EntryPublished", "ToolLoaded", "TurnFinished"} <= set(names)
    assert names.count("TurnFinished") == 1 and names[-1] == "TurnFinished"
    assert events[-1]["status"] == "ok" and len(events[-1]["registry"]["registry"]) == 40
    published = events[names.index("EntryPublished")]
    assert published["operations"] == [{"action": "create", "id": "app.generated:current_time_utc"}]
    assert result.stderr == ""


def test_hostile_text_cannot_act_on_the_terminal(
    cli: Callable[..., Result], serve: Callable[[Script], ModelServer]
) -> None:
    evil = "\x1b]0;t\x07 \x9b31m \u202e"
    serve([calls((f"no{evil}", {})), text(evil), text(evil)])
    shown = cli("ask", "hi").output
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert "␛]0;t␇" in shown
    document = cli("ask", "--json", "hi").stdout
    assert "\x1b" not in document
    assert json.loads(document.splitlines()[0])["text"] == evil


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_turn_that_fails_is_one_line_and_the_next_is_not_asked(
    cli: Callable[..., Result], serve: Callable[[Script], ModelServer], options: list[str]
) -> None:
    server = serve([text("One."), failure(401, "wrong key")])
    result = cli("ask", *options, "first", "second", "third")
    assert result.exit_code == 1 and len(server.requests) == 2
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    assert "OPENAI_API_KEY" in result.stderr and "One." in result.stdout
    if options:
        assert json.loads(result.stdout.splitlines()[-1])["status"] == "error"


@pytest.mark.parametrize(
    ("rest", "said"), [([], ""), (["b"], "; 1 text was not asked"), (["b", "c"], "; 2 texts were not asked")]
)
def test_what_was_not_asked_is_counted(
    cli: Callable[..., Result], serve: Callable[[Script], ModelServer], rest: list[str], said: str
) -> None:
    serve([failure(401, "wrong key")] * 2)
    alone = cli("ask", "a").stderr.rstrip("\n")
    assert cli("ask", "a", *rest).stderr == f"{alone}{said}\n"


@pytest.mark.parametrize(
    ("words", "input", "line"),
    [
        (["ask", "-"], b"\xff", "stdin: not UTF-8 text"),
        (["ask", "\udcff"], b"", "TEXT: not UTF-8 text"),
        (
            ["ask", "--model", "nope", "hi"],
            b"",
            "no model or class is called 'nope': there are the models demo, gpt-4.1-nano, gpt-5.1 "
            "and the classes demo, fast, reasoning",
        ),
    ],
)
def test_what_cannot_be_asked(cli: Callable[..., Result], words: list[str], input: bytes, line: str) -> None:
    result = cli(*words, input=input)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {line}\n")


def test_a_long_prompt_is_sent_whole(cli: Callable[..., Result], serve: Callable[[Script], ModelServer]) -> None:
    server = serve(lambda body: text(f"{len(str(body['messages'][-1]['content']))}"))
    result = cli("ask", "-", input="x" * 1_000_000)
    if result.exit_code == 0:
        note, answer, footer = result.stdout.splitlines()
        assert re.match(
            r"  note: the request has about \d{3},\d{3} tokens, more than the model's window of 128,000: ", note
        )
        assert int(answer) >= 1_000_000
        assert re.fullmatch(r"  1 step, 120 tokens, \$0\.00\d\d, \d+\.\d s", footer)
    else:
        assert "Error: " in result.stderr and not server.requests


def test_text_streams_and_ctrl_c_hangs_up(start: Callable[..., Any], serve: Callable[[Script], ModelServer]) -> None:
    hold = Hold()
    serve([Reply((delta(role="assistant", content=""), delta(content="It is\n"), hold, end("stop")))])
    command = start("ask", "what time is it?")
    assert command.line() == "It is\n", "shown before the answer is complete"
    assert command.signal(signal.SIGINT) == (130, "", "interrupted\n")
    assert hold.closed.wait(10), "the connection to the model is closed"
