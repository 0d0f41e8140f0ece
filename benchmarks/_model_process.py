"""The model's side of benchmarks/agent.py and front_end.py, in a process of its own.

Its CPU is not counted, and it ends with its parent. It prints its URL. To each line on its standard input it answers
with one line: the JSON bodies of the requests since the line before. What it answers depends on the newest prompt of a
request: see `script`.
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

HELLO, PRINT, ANSWER, PACED = "say hello", "print lines: ", "write a report", "write it in five seconds"
"""Of front_end.py: one word; call PRINTER with the number that follows, and end with PRINTED; REPORT at once; REPORT in
PACED_SECONDS."""

PROMPTS = (LOAD, TURN, THOUGHTFUL, LONG, TIMED, HELLO, PRINT, ANSWER, PACED)
THINKING = 0.05
"""Seconds to the first event of an answer; of a hosted model it is ten times as long."""

TOOLS: dict[str, dict[str, Any]] = {
    "weather": {"city": "Lisbon", "days": 3},
    "distance": {"start": "Berlin", "goal": "Lisbon"},
    "exchange_rate": {"currency": "EUR", "into": "USD"},
    "time_zone": {"city": "Lisbon"},
}
"""The tools of the turn, in the order of their calls, and what they are called with."""

PRINTER, PRINTED = "print_lines", "All lines are printed."
CHAPTER = """\
{heading}

Prices in *Lisbon* rose by **{number} %**, and `rates.csv` says $x_{{{number}}} < y$ for [the year](https://example.com).
What was measured is in the table; the code that did it stands below.

| city | days | degrees |
|---|---|---|
| Lisbon | {number} | 21.5 |
| Berlin | 3 | 12.0 |

```lua
local function weather(city) -- {number}
  return {{ city = city, degrees = 21.5, days = {number} }}
end
```

1. First, what there was.
2. Then what came of it.

"""
LAST = "This is where the report ends."
SECTIONS = 5
"""Chapters below one heading, 2.3 kB of text: JupyterLab draws each heading once more in its table of contents."""

REPORT = (
    "".join(
        CHAPTER.format(number=number, heading=f"**{number}**" if number % SECTIONS else f"## Chapter {number}")
        for number in range(425)
    )
    + LAST
)
"""Markdown of 200 kB."""

PIECE = 20
"""Characters of a delta of it."""

PACED_SECONDS = 5.0
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
    return replace(
        answer,
        events=tuple(
            event if isinstance(event, float) else f"data: {json.dumps(event)}\n\n".encode() for event in answer.events
        ),
    )


WORDS = encoded(text("Three ", "mild ", "days, ", "2,310 km, ", "1.08 ", "dollars, ", "one ", "hour ", "back."))
STORY = encoded(text(*(f"word{number} " for number in range(DELTAS))))


def in_pieces(pause: float = 0.0) -> Iterator[Event]:
    """REPORT, with `pause` seconds behind each twenty deltas."""
    yield delta(role="assistant", content="")
    for start in range(0, len(REPORT), PIECE):
        yield delta(content=REPORT[start : start + PIECE])
        if pause and start % (20 * PIECE) == 0:
            yield pause
    yield end("stop")


REPORTED = encoded(Reply(tuple(in_pieces()), USAGE))
SLOWLY = encoded(Reply(tuple(in_pieces(PACED_SECONDS * 20 * PIECE / len(REPORT))), USAGE))


def script(body: dict[str, Any]) -> Reply:
    messages = body["messages"]
    start = max(index for index, message in enumerate(messages) if any(each in str(message) for each in PROMPTS))
    prompt, since = str(messages[start]), json.dumps(messages[start + 1 :])
    if TIMED in prompt:
        return Reply(sent_now(), USAGE)  # no tuple: an event is made when it is sent
    if LONG in prompt:
        return STORY
    if HELLO in prompt:
        return text("Hello.")
    if ANSWER in prompt:
        return REPORTED
    if PACED in prompt:
        return SLOWLY
    if PRINT in prompt:
        return printing(body, int(prompt.split(PRINT)[1].split()[0].rstrip("'}\"\\]")), since)
    if LOAD in prompt:
        return WORDS if since != "[]" else calls(*(("load_tool", {"id": f"app.generated:{name}"}) for name in TOOLS))
    answer = next_step(body, since)
    return replace(answer, events=(THINKING, *answer.events)) if THOUGHTFUL in prompt else answer


def printing(body: dict[str, Any], lines: int, since: str) -> Reply:
    """The call of PRINTER, which an agent of ours has to load first."""
    offered = {tool["function"]["name"] for tool in body["tools"]}
    if PRINTER not in offered:
        return calls(("load_tool", {"id": f"app.generated:{PRINTER}"}))
    return text(PRINTED) if f'"{PRINTER}"' in since else calls((PRINTER, {"lines": lines}))


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
