"""What each peer script does: its agent has the four tools as Python functions, and its turns are measured."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

URL, PROMPT, TIMES = sys.argv[1], sys.argv[2], int(sys.argv[3])
WARM_UP = min(3, TIMES)
SETTLING = 0.1  # see benchmarks/agent.py


def weather(city: str, days: int) -> str:
    """Says how the weather of a city will be.

    Args:
        city: Name of the city.
        days: Days from today on.
    """
    return json.dumps({"weather": [{"day": day, "degrees": 21.5} for day in range(days)], "city": city})


def distance(start: str, goal: str) -> str:
    """Says how far it is from one city to another.

    Args:
        start: Name of the city from which.
        goal: Name of the city to which.
    """
    return json.dumps({"distance": 2310, "start": start, "goal": goal})


def exchange_rate(currency: str, into: str) -> str:
    """Says what a currency is worth in another one.

    Args:
        currency: Its three letters.
        into: The three letters of the other one.
    """
    return json.dumps({"exchange_rate": 1.08, "currency": currency, "into": into})


def time_zone(city: str) -> str:
    """Says which time zone a city has.

    Args:
        city: Name of the city.
    """
    return json.dumps({"time_zone": "WEST", "city": city})


TOOLS = [weather, distance, exchange_rate, time_zone]


def report(turn: Callable[[], Awaitable[object]]) -> None:
    """Run `turn` a few times and print the median of its seconds, of wall and of CPU, as JSON."""

    async def measure() -> None:
        taken = []
        for number in range(WARM_UP + TIMES):
            wall, cpu = time.perf_counter(), time.process_time()
            await turn()
            seconds = time.perf_counter() - wall
            await asyncio.sleep(SETTLING)
            if number >= WARM_UP:
                taken.append((seconds, time.process_time() - cpu))
        wall, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
        print()  # what a peer printed may have no end of line
        print(json.dumps({"wall": wall, "cpu": cpu}))

    asyncio.run(measure())
