"""One hostile text in every place that a model, a tool or a commit may fill: no front end shows it as it is."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from click.testing import CliRunner

from micro_agi_kernel import questions
from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange, Operation
from micro_agi_kernel.events import Asked, Event
from micro_agi_kernel.frontends import panel_text
from micro_agi_kernel.frontends.cli.ask import ConsoleTranscript
from micro_agi_kernel.frontends.cli.main import main
from micro_agi_kernel.frontends.jupyter.batch_sink import BatchSink
from micro_agi_kernel.frontends.jupyter.cards import question_html
from micro_agi_kernel.frontends.jupyter.notebook_sink import NotebookSink
from micro_agi_kernel.frontends.jupyter.terminal_sink import TerminalSink
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.frontends.question_text import prompt, question_text
from micro_agi_kernel.registry import CommitMessage, Person, Registry

HOSTILE = "\x1b]0;title\x07\x1b[2Jtext \x9b31m\u202eback\u2066\rline\x08\u2028more\x85\x00\x7f<script>alert(1)</script>"
BAD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")
SCRIPT = "<script>alert(1)"
COMMIT = "a" * 40
PERSON = Person("Ada", "ada@example.org")


def hostile(kind: Any) -> Any:
    """A value of that type with HOSTILE for each text in it."""
    if kind is str:
        return HOSTILE
    if kind is EntryId:
        return EntryId("app.generated", "x")
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        made = {field.name: hostile(hints[field.name]) for field in dataclasses.fields(kind) if field.init}
        return kind(**{**made, **{name: COMMIT for name in ("commit", "before", "registry") if hints.get(name) is str}})
    if kind in (int, float, bool):
        return kind(1)
    options = get_args(kind)
    origin = get_origin(kind)
    if origin is Literal:
        return options[0]
    if origin in (Union, types.UnionType):
        return hostile(next((each for each in options if each is str or dataclasses.is_dataclass(each)), options[0]))
    if origin is tuple and ... not in options:
        return tuple(map(hostile, options))
    if origin in (tuple, list) or getattr(origin, "__name__", "") in ("Sequence", "Iterable"):
        return (hostile(options[0]),)
    if origin is dict or getattr(origin, "__name__", "") == "Mapping":
        return {HOSTILE: HOSTILE}
    return HOSTILE  # Json and Value


def events() -> Iterator[Event]:
    for kind in get_args(Event):
        if kind is not Asked:
            event = hostile(kind)
            forms = dict.fromkeys(("text/plain", "text/markdown", "text/html", "image/svg+xml"), HOSTILE)
            chart: Any = {"mark": "bar", "title": HOSTILE, "data": {"values": [{HOSTILE: HOSTILE}]}, "encoding": {}}
            more: Any = {
                "data": {**forms, "application/json": {HOSTILE: [HOSTILE]}, "application/vnd.vegalite.v5+json": chart}
            }
            yield dataclasses.replace(event, **more) if kind.__name__ == "ToolDisplay" else event
            if kind.__name__ == "ToolFinished":
                yield dataclasses.replace(event, status="error", call_id="other")


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield key, str(name)
            yield from leaves(item, str(name) if "/" in str(name) else key)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item, key)


class Seen:
    """Stands for the front end; whatever is sent to it must be harmless."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def __call__(self, msg_type: str, content: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        self.texts += leaves({name: each for name, each in content.items() if name not in ("metadata", "transient")})


def check_harmless(text: str, where: str = "", *, is_markup: bool = False) -> None:
    found = BAD.search(text)
    assert not found, (where, text[max(0, found.start() - 60) : found.end() + 20] if found else "")
    assert not (is_markup and SCRIPT in text), (where, text)


@pytest.mark.parametrize("sink", [NotebookSink, TerminalSink, BatchSink], ids=lambda sink: sink.__name__)
async def test_sinks_of_the_kernel(sink: Any) -> None:
    for together in (True, False):  # all in one cell, and each in one of its own
        groups = [[*events()]] if together else [[event] for event in events()]
        for group in groups:
            seen = Seen()
            takes = inspect.signature(sink).parameters
            shown = sink(seen, footer=True, **({"color": False} if "color" in takes else {}))
            for event in group:
                shown.handle(event)
            shown.close()
            await asyncio.sleep(0)
            for form, text in seen.texts:
                check_harmless(
                    text,
                    f"{sink.__name__} {type(group[0]).__name__} {form}",
                    is_markup=form in ("text/html", "image/svg+xml"),
                )


def test_the_command_line_and_questions(capsys: pytest.CaptureFixture[str]) -> None:
    console = ConsoleTranscript(footer=True)
    for event in events():
        console.handle(event)
    console.close()
    shown = capsys.readouterr()
    check_harmless(shown.out, "ask")
    check_harmless(shown.err, "ask, stderr")
    question = hostile(questions.Question)
    for text in (prompt(question), question_text(question)):
        check_harmless(text, "question")
    check_harmless(question_html(question_text(question)), "question", is_markup=True)
    [panel] = [event for event in events() if type(event).__name__ == "RegistryShown"]
    check_harmless(markdown_as_text(panel_text.panel_markdown(panel)), "panel")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry whose texts are hostile: entries, sources, messages, pages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MICRO_AGI_HOME", str(tmp_path / "data"))
    assert CliRunner().invoke(main, ["registry", "init"]).exit_code == 0
    path = tmp_path / "data" / "registry.git"
    meta: dict[str, Any] = {
        "type": "tool",
        "title": HOSTILE,
        "comment": HOSTILE,
        "description": HOSTILE,
        HOSTILE: HOSTILE,
    }
    entry = Entry(
        EntryId.parse("app.generated:evil"), "function.lua", meta, {"source": f"--[[ {HOSTILE} ]]", "modules": ["time"]}
    )
    other = Entry(EntryId.parse("app.generated:other"), HOSTILE.replace("\x00", ""), {"type": HOSTILE}, {"x": HOSTILE})
    page = FileChange("docs/evil.md", f"# {HOSTILE}\n\nneedle {HOSTILE}\n".encode())
    message = CommitMessage(
        "service:agent", body=HOSTILE, policy=HOSTILE, model=HOSTILE, prompt=HOSTILE, session=HOSTILE
    )
    with Registry.open(path) as opened:
        for operations, files in (((entry,), ()), ((other,), (page,))):
            change = Changeset(tuple(Operation("create", each.id, each) for each in operations), files)
            opened.commit(change, message, author=PERSON, committer=PERSON, base=opened.snapshot())
    return path


COMMANDS = (
    "registry list",
    "registry show evil",
    "registry show app.generated:other",
    "registry log",
    "registry log evil",
    "registry diff HEAD~2 HEAD",
    "registry blame evil",
    "registry verify",
    "registry revert HEAD --json",
    "docs search needle",
    "docs show evil",
    "models",
    "doctor",
    "call evil",
    "sessions list",
    "sessions show theirs",
)


def test_commands_of_a_hostile_registry(registry: Path) -> None:
    sessions = registry.parent / "sessions"
    sessions.mkdir(exist_ok=True)
    lines: list[dict[str, Any]] = [
        {"kind": "Session", "format": 1, "session": HOSTILE, "time": HOSTILE, "version": HOSTILE}
    ]
    lines += [{"kind": "Prompt", "text": HOSTILE}, {"kind": "Request", "model": HOSTILE}]
    for event in events():
        fields = json.loads(json.dumps(dataclasses.asdict(event), default=str))
        lines.append({"kind": type(event).__name__, **fields})
    (sessions / "theirs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    shown = ""
    for command in COMMANDS:
        result = CliRunner().invoke(main, command.split())
        assert result.exit_code < 2 and isinstance(result.exception, SystemExit | None), (command, result.exception)
        check_harmless(result.stdout, command)
        check_harmless(result.stderr, command)
        shown += result.stdout
    assert shown.count("␛") > 10 or shown.count("\\x1b") > 10
    for command in (
        "registry show",
        "registry log",
        "docs show",
        "docs search",
        "call",
        "sessions show",
        "ask --model",
        "registry revert",
    ):
        result = CliRunner().invoke(main, [*command.split(), HOSTILE])
        check_harmless(result.stdout + result.stderr, f"{command} with hostile words")
