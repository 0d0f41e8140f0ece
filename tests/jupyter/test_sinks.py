"""What each kind of front end gets to see."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

REGISTRY = {"registry": "b" * 40, "before": "a" * 40, "session": "s", "cell": 1}
TRANSCRIPT = """\
tool doc_search
publish app.generated:current_time_utc
tool create_tool
tool load_tool
load app.generated:current_time_utc
tool current_time_utc
say The current UTC time is **noon**.
"""
LINES = """\
  [doc_search] ok
  [create_tool] ok
  [load_tool] ok
  [+] app.generated:current_time_utc
  [current_time_utc] ok
"""


def test_terminal_gets_the_transcript_and_nothing_else(kernel: Any) -> None:
    reply, shown = kernel.run(TRANSCRIPT, front_end="terminal")
    assert {m["msg_type"] for m in shown} == {"stream"}
    assert kernel.text(shown) == LINES + "The current UTC time is **noon**. \n"
    assert reply["metadata"]["micro_agi"] == REGISTRY


def test_batch_gets_one_output(kernel: Any) -> None:
    reply, shown = kernel.run(TRANSCRIPT, front_end="batch")
    [message] = shown
    assert message["msg_type"] == "display_data"
    assert message["content"]["data"]["text/plain"] == LINES + "The current UTC time is **noon**. "
    assert message["content"]["data"]["text/markdown"] == f"```\n{LINES}```\n\nThe current UTC time is **noon**. "
    assert message["content"]["metadata"] == {"micro_agi": REGISTRY}
    assert reply["metadata"]["micro_agi"] == REGISTRY


def test_notebook_gets_lines_then_a_growing_answer_then_the_revision(kernel: Any) -> None:
    reply, shown = kernel.run(TRANSCRIPT)
    lines = LINES.replace("  [create", "  commit 1a2b3c400000 Create app.generated:current_time_utc\n  [create")
    assert kernel.text(shown) == lines + "The current UTC time is **noon**. "
    *cards, answer, revision = [m for m in shown if m["msg_type"] != "update_display_data"]
    assert [set(m["content"]["data"]) for m in cards] == [{"text/html", "text/plain"}] * 5
    assert set(answer["content"]["data"]) == {"text/markdown", "text/plain"}
    assert revision["content"] == {"data": {"text/plain": ""}, "metadata": {"micro_agi": REGISTRY}, "transient": {}}
    assert reply["metadata"]["micro_agi"] == REGISTRY


def test_the_first_delta_is_shown_at_once_and_the_rest_in_batches(kernel: Any) -> None:
    _, shown = kernel.run("flood 5000")
    updates = [m for m in shown if m["content"].get("transient", {}).get("display_id")]
    assert updates[0]["msg_type"] == "display_data"
    assert updates[0]["content"]["data"]["text/plain"] == "word0 "
    assert {m["msg_type"] for m in updates[1:]} == {"update_display_data"}
    assert len({m["content"]["transient"]["display_id"] for m in updates}) == 1
    assert all(m["content"]["metadata"] == {} for m in updates)
    assert len(updates) < 100
    assert updates[-1]["content"]["data"]["text/plain"] == "".join(f"word{n} " for n in range(5000))


def test_each_answer_item_is_a_display_of_its_own_in_order(kernel: Any) -> None:
    _, shown = kernel.run("say before\ntool x\nsay after")
    kinds = [m["msg_type"] for m in shown]
    assert kinds == ["display_data", "display_data", "update_display_data", "display_data", "display_data"]
    places = [m["content"]["transient"].get("display_id") for m in shown]
    assert places[1] == places[2] and len({*places}) == 4


@pytest.mark.parametrize("front_end", ["notebook", "terminal"])
def test_a_tools_output_comes_as_it_runs(kernel: Any, front_end: str) -> None:
    request = kernel.send('start slow\nprint "half a line, "\nprint "the rest\\nmore"\nstall', front_end=front_end)
    seen: list[dict[str, Any]] = []
    for message in kernel.shows(request):
        seen.append(message)
        if "more" in kernel.text(seen):
            break
    kernel.interrupt()
    output = "  | half a line, the rest\n  | more"
    running = "\n  [slow] running\n" if front_end == "notebook" else ""
    assert kernel.text(seen) == output + running
    stopped = "\n  [slow] interrupted\n" if front_end == "notebook" else "\n"
    assert kernel.text([*seen, *kernel.shows(request)]) == output + stopped
    assert kernel.reply(request)["content"]["ename"] == "Interrupted"


def test_a_tool_cannot_pose_as_a_status_line(kernel: Any) -> None:
    _, shown = kernel.run(f"start evil\nprint {json.dumps('  [create_tool] ok')}\nfinish evil", front_end="terminal")
    assert kernel.text(shown) == "  |   [create_tool] ok\n  [evil] ok\n"


def test_a_line_end_may_come_in_two_pieces(kernel: Any) -> None:
    _, shown = kernel.run('start dos\nprint "one\\r"\nprint "\\ntwo\\r\\n"\nfinish dos', front_end="terminal")
    assert kernel.text(shown) == "  | one\n  | two\n  [dos] ok\n"


def test_a_tools_failure_is_one_line(kernel: Any) -> None:
    _, shown = kernel.run("fail_tool fetch", front_end="terminal")
    assert kernel.text(shown) == "  [fetch] error: no such host ␛[31m\n"


@pytest.mark.parametrize("front_end", ["notebook", "terminal", "batch"])
def test_a_flood_of_output_is_cut_head_and_tail(kernel: Any, front_end: str) -> None:
    _, shown = kernel.run("start loud\nprint_lines 100000\nfinish loud", front_end=front_end)
    text = kernel.text(shown)
    assert len(shown) < 60
    assert len(text) < 130_000
    assert text.startswith("  | line 0\n  | line 1\n")
    assert "characters not shown" in text
    assert "  | line 99999\n  [loud] ok" in text


def test_a_notice_is_one_line(kernel: Any) -> None:
    _, shown = kernel.run("notice no key: the demo model answers", front_end="terminal")
    assert kernel.text(shown) == "  note: no key: the demo model answers\n"


def test_an_answer_without_text_shows_nothing(kernel: Any) -> None:
    for front_end in ("notebook", "terminal", "batch"):
        assert kernel.run("silence", front_end=front_end)[1] == []


@pytest.mark.parametrize("front_end", ["notebook", "terminal", "batch"])
def test_hostile_answers_arrive_defused(kernel: Any, front_end: str) -> None:
    hostile = "<img src=x onerror=alert(1)> \x1b[2J \x9b31m \u202e \ud800 [x](javascript:alert(1)) `<b>`"
    encoded = base64.b64encode(hostile.encode("utf-8", "surrogatepass")).decode()
    _, shown = kernel.run(f"markdown {encoded}", front_end=front_end)
    sent = json.dumps([m["content"] for m in shown], ensure_ascii=False)
    assert not any(char in sent for char in "\x1b\x9b\u202e\ud800")
    for message in shown:
        markdown = message["content"].get("data", {}).get("text/markdown", "")
        assert "<img" not in markdown
        assert "](javascript" not in markdown
