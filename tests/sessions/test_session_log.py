"""The log of a session, written and read: what gets in, what never does, and what a hostile file can do."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_log_kit import Log

from micro_agi_kernel.entries import EntryId, Operation
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.events import (
    Asked,
    CommandAnswered,
    DiffShown,
    EntryPublished,
    Event,
    FileRead,
    Notice,
    ReasoningDelta,
    RegistryShown,
    Revision,
    Spent,
    TextDelta,
    ToolDisplay,
    ToolFinished,
    ToolLoaded,
    ToolOutput,
    ToolProgress,
    ToolStarted,
    TurnFinished,
    UsageReport,
)
from micro_agi_kernel.frontends.cli.sessions import _show, _turn_json
from micro_agi_kernel.frontends.jupyter.ipynb import as_ipynb
from micro_agi_kernel.logs.lines import LINE
from micro_agi_kernel.logs.turns import Turn, find_log, read_header, read_turns
from micro_agi_kernel.logs.writer import OUTPUT
from micro_agi_kernel.messages import (
    AssistantMessage,
    ModelRequest,
    SystemMessage,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    UserMessage,
)
from micro_agi_kernel.panels import Change, Excerpt, PanelTool, ToolCommit

TOOL = PanelTool(
    *(EntryId("app.generated", "x"), "X", "Does x", ("time",), ("app:lib",), ("app.tools:y",), 2, 3, 1),
    Excerpt("return 1", 7),
    (ToolCommit(4, "a" * 40, "2026-03-01 12:30", "update", "service:agent", "Update x", "2", Excerpt("-a\n+b", 1)),),
    has_older=True,
)
EVENTS: list[Event] = [
    Notice("a note"),
    ReasoningDelta("hm"),
    TextDelta("It is "),
    TextDelta("nö\ud800n."),
    ToolStarted("c1", "clock", '{"a": 1}'),
    ToolStarted("c2", "lua", "{}", by_person=True),
    CommandAnswered("| a |\n|---|\n| `b` |"),
    ToolOutput("c1", "looking\n"),
    Asked("tool.call on app.generated:clock", ("app:asked",), "always"),
    FileRead("my data.csv", 1_234, "0" * 64, "table, 3 rows, 2 columns, all sent, 1,234 bytes"),
    ToolProgress("c1", 1.0, None, "half"),
    ToolProgress("c1", 1.0, 2.0, "half"),
    ToolDisplay("c1", {"image/png": b"\x89PNG\r\n\x1a\n", "text/plain": "dot", "application/json": {"a": [1]}}),
    EntryPublished(
        *("a" * 40, "Update app.generated:x", (Operation("update", EntryId("app.generated", "x")),)),
        *("undefined", 2, "--- x.lua\n-a\n+b\n"),
    ),
    RegistryShown("x", 300, (TOOL, TOOL)),
    DiffShown((Change("update", "app.generated:x", "--- x.lua\n-a\n+b\n"),), "micro-agi registry diff v1 main"),
    ToolFinished("c1", "clock", "ok", "", 0.5, {"utc": ["noon", 1, 2.5, None, True]}),
    ToolLoaded(EntryId("app.generated", "x"), "x"),
    UsageReport("gpt-5.1", Usage(100, 20, 10, 5), 0.25),
    TurnFinished("error", "no key", "ModelError"),
    TurnFinished(
        "ok", registry=Revision("b" * 40, "c" * 40, "s1", 1), spent=Spent(2, Usage(100, 20, 10, 5), 0.25, 1.5)
    ),
]


def read(path: Path) -> list[Turn]:
    return list(read_turns(path))


def written(path: Path, *lines: object) -> Path:
    """A log of these lines behind a header; those that are no JSON yet become JSON."""
    header = {"kind": "Session", "format": 1, "session": "s1"}
    texts = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in (header, *lines))
    path.write_bytes(b"\n".join(texts) + b"\n")
    return path


def test_every_event_comes_back(tmp_path: Path) -> None:
    """A new event is written by itself; `logs.turns` must be told how to read it, and each field of it."""
    assert {type(event) for event in EVENTS} == {*get_args(Event)}
    usual = {
        f"{kind.__name__}.{each.name}"
        for kind in get_args(Event)
        for each in fields(kind)
        if all(getattr(event, each.name) == each.default for event in EVENTS if type(event) is kind)
    }
    assert not usual, "these would come back if nothing were read"
    log = Log(tmp_path)
    log.turn(*EVENTS)
    log.close()
    [turn] = read(log.path)
    assert turn.events == [*EVENTS[:2], TextDelta("It is nö\ufffdn."), *EVENTS[4:]]
    assert (turn.cell, turn.prompt, turn.status) == (1, "what time is it?", "ok")
    header = read_header(log.path)
    assert header.session == "s1" and header.time


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        log = Log(tmp_path)
        log.turn(*EVENTS)
        log.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.path.parent.stat().st_mode) == 0o700


def test_each_line_is_there_before_the_session_ends(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.turn(ToolStarted("c1", "clock", "{}"))
    log._writer.submit(int).result()  # the thread got there
    assert [json.loads(line)["kind"] for line in log.path.read_text().splitlines()] == [
        "Session",
        "Prompt",
        "ToolStarted",
    ]
    log.close()
    log.event(Notice("too late"))  # harmless
    log.close()


def test_requests_hold_what_is_new(tmp_path: Path) -> None:
    log = Log(tmp_path)
    call = ToolCall("c1", "clock", "{}")
    said = (SystemMessage("be brief"), UserMessage("time?"))
    more = (AssistantMessage("", (call,)), ToolResult("c1", "clock", '"noon"', ok=True))
    tools = (ToolSpec("clock", "a long description", {"type": "object"}),)
    log.turn()
    log.request("m", ModelRequest(said, tools))
    log.request("m", ModelRequest((SystemMessage("be brief"), *said[1:], *more), tools))
    log.request("m", ModelRequest((*said, *more, UserMessage("and now?"))))
    requests = log.lines()[2:]
    assert [(r["step"], r["kept"], [m["role"] for m in r["messages"]], r["tools"]) for r in requests] == [
        (1, 0, ["system", "user"], ["clock"]),
        (2, 2, ["assistant", "tool"], ["clock"]),
        (3, 4, ["user"], []),
    ]
    [turn] = read(log.path)
    assert [(s.prompt, s.first) for s in turn.steps] == [("time?", True), ("time?", False), ("and now?", True)]


def test_what_is_too_long_is_cut_with_a_mark(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.turn(
        ToolOutput("c1", "y" * OUTPUT),
        ToolOutput("c1", "z" * 5),
        ToolOutput("c1", "z" * 5),
        ToolFinished("c1", "big", "ok", "", 0.1, {"a": "x" * (LINE + 1_000), "b": "x" * 50, "c": 1}),
        ToolFinished("c2", "many", "ok", "", 0.1, [*range(LINE)]),
        TurnFinished("ok"),
    )
    _, _, printed, big, many, end = log.lines()
    assert "characters left out" in printed["text"] and len(printed["text"]) < LINE + 100
    assert big["value"]["a"].endswith("characters left out) ...") and len(big["value"]["a"]) < LINE + 100
    assert many["value"][-1] == "... (items left out) ..." and many["value"][:3] == [0, 1, 2]
    assert end["status"] == "ok"
    [turn] = read(log.path)
    assert len(turn.events) == 4


def test_only_the_first_line_says_whether_it_is_a_log(tmp_path: Path) -> None:
    """A file that is none may be a terabyte long."""
    path = written(tmp_path / "log.jsonl", PROMPT)
    content = path.read_bytes()
    for before in (b"\n", b"{}\n", b"\0" * 100 + b"\n", b" " * 1_000_000):
        path.write_bytes(before + content)
        with pytest.raises(Refused, match="is no session log"):
            read_header(path)
        with pytest.raises(Refused, match="is no session log"):
            read(path)
    path.write_bytes(content)
    assert read_header(path).session == "s1"


def test_thoughts_come_back(tmp_path: Path) -> None:
    request = {"kind": "Request", "messages": [{"role": "user", "text": "hi"}]}
    answer = {"kind": "Answer", "text": "x", "reasoning": "hm", "finish": "stop"}
    [turn] = read(written(tmp_path / "log.jsonl", PROMPT, request, answer))
    assert [(step.text, step.reasoning) for step in turn.steps] == [("x", "hm")]


def test_a_stopped_turn_and_a_cut_log(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.turn(TextDelta("It"))
    log.stopped()
    log.turn(TextDelta("It is"), Notice("gone"))
    log.close()
    assert [turn.status for turn in read(log.path)] == ["interrupted", "cut"]
    content = log.path.read_bytes()
    log.path.write_bytes(content[:-10])
    assert [len(turn.events) for turn in read(log.path)] == [1, 1]


PROMPT = {"kind": "Prompt", "cell": 1, "text": "hi"}
HOSTILE: dict[str, list[object]] = {
    "unknown-kinds": [{"kind": "Later", "x": 1}, {"kind": 5}, {"kind": ["Prompt"]}, {}, PROMPT],
    "no-objects": [b"[]", b"5", b"null", b"{", b"\xff\xfe", b'{"kind": NaN}', b"[" * 100_000, PROMPT],
    "numbers": [{"kind": "Prompt", "cell": True}, b'{"kind": "Prompt", "cell": %s}' % (b"9" * 5_000), PROMPT],
    "wrong-types": [
        {**PROMPT, "text": 5, "cell": -1},
        {"kind": "Request", "messages": 5, "tools": {"a": 1}, "kept": -5},
    ],
    "no-prompt": [{"kind": "Answer", "text": "x"}, {"kind": "TextDelta", "text": "x"}, PROMPT],
    "answer-without-request": [PROMPT, {"kind": "Answer", "calls": [1, {}, {"id": 5}], "usage": [], "finish": {}}],
    "surrogates": [b'{"kind": "Prompt", "text": "\\ud800 \\u001b[31m \\u202e"}'],
    "tool": [PROMPT, {"kind": "ToolFinished", "status": [], "seconds": 1e400, "name": {}, "value": {"a": "\ud800"}}],
    "displays": [
        PROMPT,
        {"kind": "ToolDisplay", "data": {"image/png": "!!", "text/html": 5, "x/y": "a", "application/json": "a"}},
        {"kind": "ToolDisplay", "data": {"image/png": "AAAA", "image/jpeg": []}},
        {"kind": "ToolProgress", "done": -5, "total": "x"},
    ],
    "ids": [PROMPT, {"kind": "ToolLoaded", "id": "../x"}, {"kind": "EntryPublished", "operations": [{"id": 5}]}],
    "registry": [PROMPT, {"kind": "TurnFinished", "status": "odd", "registry": {"registry": "--", "before": 5}}],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_lines(tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    turns = read(written(tmp_path / "log.jsonl", *HOSTILE[case]))
    assert turns
    check_shown(turns)
    assert "\x1b" not in capsys.readouterr().out


def test_deeply_nested_lines_are_passed_over(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    [turn] = read(written(tmp_path / "log.jsonl", PROMPT, {"kind": "ToolFinished", "value": deep}, {"kind": "Notice"}))
    assert turn.events == [Notice("")]


def check_shown(turns: list[Turn]) -> None:
    """Whatever a log holds, it can be printed and exported."""
    json.dumps(as_ipynb(turns, footer=True)).encode()
    for turn in turns:
        _show(turn, footer=True)
        json.dumps(_turn_json(turn)).encode()


KINDS = [*(kind.__name__ for kind in get_args(Event)), "Prompt", "Request", "Answer", "Session"]
NAMES = ["call_id", "text", "status", "messages", "kept", "tools", "calls", "usage", "finish", "data", "id", "value"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["ok", "user"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "role"]), inner, max_size=3),
    max_leaves=8,
)
LINES = st.lists(
    st.builds(
        lambda kind, more: {**more, "kind": kind}, st.sampled_from(KINDS), st.dictionaries(st.sampled_from(NAMES), JSON)
    )
)


@settings(max_examples=40, deadline=None)
@given(lines=LINES)
def test_random_lines(tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, Any]]) -> None:
    check_shown(read(written(tmp_path_factory.getbasetemp() / "random.jsonl", PROMPT, *lines)))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no session log"),
        (b"\x00" * 100, "is no session log"),
        (b'{"kind": "Prompt", "text": "x"}\n', "is no session log"),
        (b'{"kind": "Session", "format": 2}\n', "was written by another version of Micro AGI; this one reads 1"),
    ],
)
def test_what_is_no_log(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(Refused, match=why):
        read(path)


def test_logs_are_found_by_id_or_path(tmp_path: Path) -> None:
    path = written(tmp_path / "20260102T030405Z-abcd.jsonl")
    assert find_log(tmp_path, path.stem) == find_log(tmp_path / "other", str(path)) == path
    for named in ("", "nothing", str(tmp_path), "a\0b", "x" * 5_000, "../" * 5):
        with pytest.raises(Refused, match="there is no session log"):
            find_log(tmp_path, named)
