"""What never gets into a log, and a disk that is full, or slow: keys are hidden, nobody waits, memory is bounded."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from session_log_kit import Log

from micro_agi_kernel.events import (
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolDisplay,
    ToolFinished,
    ToolOutput,
    ToolStarted,
    TurnFinished,
)
from micro_agi_kernel.logs import writer
from micro_agi_kernel.logs.keys import PLACEHOLDERS, Keys
from micro_agi_kernel.logs.lines import LINE, weight
from micro_agi_kernel.logs.turns import read_turns
from micro_agi_kernel.logs.writer import SessionLog
from micro_agi_kernel.messages import AssistantMessage, ModelRequest, ToolCall, UserMessage

KEY = 'sk-"planted\\0123456789abcdef'


def test_a_key_never_gets_in(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY, "n0ne")
    log.prompt(1, f"my key is {KEY}")
    arguments = json.dumps({"headers": json.dumps({"Authorization": f"Bearer {KEY}"})})
    log.event(ToolStarted("c1", "fetch", arguments))
    for piece in ("x" * 10_000 + KEY[:5], KEY[5:], " a short word\n"):
        log.event(ToolOutput("c1", piece))
    log.event(ToolDisplay("c1", {"image/png": b"\x89PNG\r\n\x1a\n" + KEY.encode()}))
    log.event(ToolFinished("c1", "fetch", "error", f"401 {KEY}", 0.1, {KEY: [KEY, {"a": KEY}]}))
    log.request("m", ModelRequest((UserMessage(KEY), AssistantMessage(KEY, (ToolCall(KEY, KEY, KEY),)))))
    log.close()
    content = log.path.read_text("utf-8")
    assert not any(part in content for part in ("plant", "0123456789")) and content.count("***") >= 10
    assert "a short word" in content
    [turn] = read_turns(log.path)
    shown = next(event for event in turn.events if isinstance(event, ToolDisplay))
    assert shown.data["image/png"] == b"\x89PNG\r\n\x1a\n***"


@pytest.mark.parametrize("size", [1, 10, len(KEY) - 1])
def test_a_key_in_pieces_never_gets_in(tmp_path: Path, size: int) -> None:
    """Words and thoughts may come in turns, and so may what two tools print."""
    log = Log(tmp_path, KEY)
    log.prompt(1, "go")
    pieces = [KEY[start : start + size] for start in range(0, len(KEY), size)]
    for piece in ("all said: ", *pieces, ", and on"):
        log.event(TextDelta(piece))
        log.event(ReasoningDelta("hm "))
    for piece in ("printed: ", *pieces, ", and on\n"):
        log.event(ToolOutput("c1", piece))
        log.event(ToolOutput("c2", "meanwhile\n"))
    log.event(Notice("end"))
    lines = log.lines()
    told = {kind: "".join(line["text"] for line in lines if line["kind"] == kind) for kind in ("TextDelta", "Notice")}
    assert told == {"TextDelta": "all said: ***, and on", "Notice": "end"}
    printed = "".join(line["text"] for line in lines if line.get("call_id") == "c1")
    assert printed == "printed: ***, and on\n" and lines[-1]["kind"] == "Notice"
    thoughts = "".join(line["text"] for line in lines if line["kind"] == "ReasoningDelta")
    assert thoughts == "hm " * (len(pieces) + 2)


def test_nothing_is_written_while_the_keys_are_unknown(tmp_path: Path) -> None:
    def fails() -> Iterable[str]:
        raise LookupError

    notices: list[str] = []
    log = SessionLog(tmp_path, "s1", fails, notices.append)
    for _ in range(2):
        log.prompt(1, KEY)
        log.event(Notice(KEY))
    log.close()
    assert not log.path.exists() and len(notices) == 1 and "LookupError" in notices[0]


@pytest.mark.parametrize("key", ["abcd", "ab-1", "s3cret!", "a.b(", "secret7"])
def test_a_short_key_is_hidden_where_it_stands_as_a_word(key: str) -> None:
    keys = Keys()
    keys.learn([key])
    for before, after in (("", ""), (" ", "\n"), ('{"key": "', '"}'), ("Bearer ", ","), (r"\n", ""), (r"\u201c", ".")):
        assert keys.hidden_in(f"{before}{key}{after}") == f"{before}***{after}"
    for word in (f"x{key}", f"1{key}", f"_{key}y"):
        assert keys.hidden_in(word) == word
    if key[-1].isalnum():
        assert keys.hidden_in(f"{key}s") == f"{key}s"


def test_what_is_no_secret_stays_in_the_log(tmp_path: Path) -> None:
    words = ["abc", "x", "1", "EMPTY", "LM-Studio", *PLACEHOLDERS]
    log = Log(tmp_path, "", *words)
    log.turn(Notice(" ".join(words)))
    assert log.lines()[-1]["text"] == " ".join(words)


def test_keys_of_earlier_prompts_stay_hidden() -> None:
    keys = Keys()
    keys.learn(["first-key", "one1"])
    keys.learn(["second-key", "two2"])
    assert keys.hidden_in("first-key second-key one1 two2") == "*** *** *** ***"


def test_a_full_disk_is_one_notice(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.path.parent.mkdir()
    log.path.symlink_to("/dev/full")
    for _ in range(2):
        log.turn(Notice("a"), TurnFinished("ok"))
    log.close()
    reason = "No space left on device"
    assert log.notices == [f"the log of this session cannot be written, it ends here: {reason} ({log.path})"]


def test_a_disk_that_hangs_keeps_nobody_waiting(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.path.parent.mkdir()
    os.mkfifo(log.path)  # to open it waits for a reader
    log.turn(Notice("a"), TurnFinished("ok"))
    assert not log.notices
    reader = os.open(log.path, os.O_RDONLY | os.O_NONBLOCK)
    log.close()
    os.close(reader)
    assert len(log.notices) == 1  # a pipe is no log


class SlowDisk:
    """A log whose thread does not come to write until it may."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, room: int) -> None:
        monkeypatch.setattr(writer, "QUEUE", room)
        self.go = threading.Event()
        self.notices: list[str] = []
        self.log = SessionLog(folder, "s1", self._keys, self.notices.append)

    def _keys(self) -> Iterable[str]:
        assert self.go.wait(30)
        return ()

    def catch_up(self) -> None:
        self.go.set()
        self.log._writer.submit(int).result()

    def lines(self) -> list[dict[str, Any]]:
        self.log.close()
        return [json.loads(line) for line in self.log.path.read_text("utf-8").splitlines()]


def test_what_the_disk_is_too_slow_for_is_left_out_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SlowDisk(tmp_path, monkeypatch, room=10_000)
    disk.log.prompt(1, "hi")
    for number in range(50):
        disk.log.event(Notice(f"{number} " + "x" * 1_000))
    assert disk.notices == [
        f"the disk is too slow for the log of this session, some lines are left out ({disk.log.path})"
    ]
    disk.catch_up()
    disk.log.event(Notice("later"))
    lines = disk.lines()
    kept = [line["text"].split()[0] for line in lines if line["kind"] == "Notice"]
    assert kept[-1] == "later" and kept[:-1] == [str(number) for number in range(len(kept) - 1)]
    assert 5 <= len(kept) - 1 <= 9
    assert [line["lines"] for line in lines if line["kind"] == "Missing"] == [50 - (len(kept) - 1)]
    assert [line["kind"] for line in lines[-2:]] == ["Missing", "Notice"] and len(disk.notices) == 1
    [turn] = read_turns(disk.log.path)
    missing = turn.events[-2]
    assert isinstance(missing, Notice) and "lines of the log are missing here" in missing.text


def test_what_is_missing_at_the_end_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SlowDisk(tmp_path, monkeypatch, room=2_000)
    disk.log.prompt(1, "hi")
    disk.log.event(Notice("a"))
    disk.log.event(ToolFinished("c1", "big", "ok", "", 0.1, ["x" * 5_000]))
    disk.go.set()
    assert [(line["kind"], line.get("lines")) for line in disk.lines()][2:] == [("Notice", None), ("Missing", 1)]


def test_one_line_always_fits_and_a_request_after_a_gap_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(tmp_path, monkeypatch, room=2_000)
    said = (UserMessage("hi"), AssistantMessage("hello"))
    disk.log.prompt(1, "x" * 10_000)
    disk.log.request("m", ModelRequest(said))
    disk.catch_up()
    disk.log.request("m", ModelRequest((*said, UserMessage("more"))))
    _, prompt, missing, request = disk.lines()
    assert len(prompt["text"]) == 10_000 and missing["lines"] == 1
    assert request["kept"] == 0 and len(request["messages"]) == 3


def test_a_log_that_ended_keeps_nothing_in_memory(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.path.parent.mkdir()
    log.path.symlink_to("/dev/full")
    log.turn(Notice("a"))
    log._writer.submit(int).result()
    assert len(log.notices) == 1
    for _ in range(100):
        log.event(Notice("b"))
    assert not log._pending
    log.close()


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (("x" * 1_000, b"y" * 1_000), 2_000, 2_100),
        ({"a" * 500: ["b" * 500, None, 1.5]}, 1_000, 1_200),
        (Notice("x" * 1_000), 1_000, 1_100),
        ([0] * 100_000, LINE, 2 * LINE),
        ({str(number): 0 for number in range(100_000)}, LINE, 2 * LINE),
        ([[0] * 200] * 200, LINE, 2 * LINE),
        ({}, 0, 100),
    ],
)
def test_weight(value: object, least: int, most: int) -> None:
    assert least <= weight(value) <= most
