"""The model's side of benchmarks/agent.py, in a process of its own, whose CPU is not counted; it ends with its parent.

It prints its URL. To each line on its standard input it answers with one line: the JSON bodies of the requests since
the line before. What it answers depends on the newest prompt of a request: see `script`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from model_server import USAGE, Event, ModelServer, Reply, calls, delta, end, text

MOST_SECONDS = 1_800
"""After these it ends by itself, whatever its parent does."""

LOAD, TURN, THOUGHTFUL = "load the tools", "plan the trip", "think and plan"
LONG, TIMED = "tell a long story", "tell it slowly"
"""Prompts: load all of TOOLS; call each of them and end with words; the same, with THINKING before each answer; answer
in DELTAS deltas; in TIMED_DELTAS, each the time at which it was written, in nanoseconds of the monotonic clock, which
all processes of a machine share."""

PROMPTS = (LOAD, TURN, THOUGHTFUL, LONG, TIMED)
THINKING = 0.05
"""Seconds to the first event of an answer; of a hosted model it is ten times as long."""

TOOLS: dict[str, dict[str, Any]] = {
    "weather": {"city": "Lisbon", "days": 3},
    "distance": {"start": "Berlin", "goal": "Lisbon"},
    "exchange_rate": {"currency": "EUR", "into": "USD"},
    "time_zone": {"city": "Lisbon"},
}
"""The tools of the turn, in the order of their calls, and what they are called with."""

DELTAS = 5_000
TIMED_DELTAS = 300
PAUSE = 0.01


def sent_now() -> Iterator[Event]:
    yield delta(role="assistant", content="")
    for _ in range(TIMED_DELTAS):
        yield PAUSE
        yield delta(content=f"{time.monotonic_ns()} ")
    yield end("stop")


def encoded(answer: Reply) -> Reply:
    """The same answer, with nothing left to do for its events but to write them."""
    return replace(answer, events=tuple(f"data: {json.dumps(event)}\n\n".encode() for event in answer.events))


WORDS = encoded(text("Three ", "mild ", "days, ", "2,310 km, ", "1.08 ", "dollars, ", "one ", "hour ", "back."))
STORY = encoded(text(*(f"word{number} " for number in range(DELTAS))))


def script(body: dict[str, Any]) -> Reply:
    messages = body["messages"]
    start = max(index for index, message in enumerate(messages) if any(each in str(message) for each in PROMPTS))
    prompt, since = str(messages[start]), json.dumps(messages[start + 1 :])
    if TIMED in prompt:
        return Reply(sent_now(), USAGE)  # no tuple: an event is made when it is sent
    if LONG in prompt:
        return STORY
    if LOAD in prompt:
        return WORDS if since != "[]" else calls(*(("load_tool", {"id": f"app.generated:{name}"}) for name in TOOLS))
    answer = next_step(body, since)
    return replace(answer, events=(THINKING, *answer.events)) if THOUGHTFUL in prompt else answer


def next_step(body: dict[str, Any], since: str) -> Reply:
    """The call of the first tool that was not called yet, or the end."""
    for name, arguments in TOOLS.items():
        if name not in since:
            return calls((name, arguments))
    offered = {tool["function"]["name"] for tool in body.get("tools", ())}
    # smolagents ends with a call too.
    return calls(("final_answer", {"answer": "Three mild days."})) if "final_answer" in offered else WORDS


def main() -> None:
    bound = threading.Timer(MOST_SECONDS, os._exit, (1,))
    bound.daemon = True
    bound.start()
    with ModelServer(script) as server:
        print(server.url, flush=True)
        for _ in sys.stdin:
            print(json.dumps([request.body for request in server.requests]), flush=True)
            server.requests.clear()


if __name__ == "__main__":
    main()
