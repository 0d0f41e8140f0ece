"""The row that every benchmark gives, the one way in which rows are printed, and what each script's command line is."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

Size = Literal["quick", "usual", "large"]
"""How much is measured: as little as there can be, as a try; what `make bench` does; and all sizes, however long."""

HEADS = ("part", "what", "ours", "beside", "theirs", "times", "aim")
WIDTHS = (12, 72, 13, 30, 13, 7, 14)


@dataclass(frozen=True)
class Row:
    """A figure of ours beside the same of something known, of one run. Less is better in all of them."""

    part: str
    what: str
    ours: float
    """NaN, here and in `theirs`: the end was never seen."""
    unit: str
    beside: str
    theirs: float
    most: float | None = None
    """An aim: ours is at most so many times theirs."""
    limit: float | None = None
    """An aim in `unit`: ours is at most this."""

    @property
    def times(self) -> float:
        """How many times theirs ours is; NaN where that says nothing."""
        return self.ours / self.theirs if self.theirs else math.nan

    @property
    def missed(self) -> bool:
        return not ((self.most is None or self.times <= self.most) and (self.limit is None or self.ours <= self.limit))

    @property
    def aim(self) -> str:
        aims = [f"≤ {self.most:g}"] if self.most is not None else []
        aims += [f"≤ {self.limit:g} {self.unit}"] if self.limit is not None else []
        return " and ".join(aims) + (", missed" if self.missed else "")


Found = Row | str
"""A string says in a sentence what is no row: what was not measured, and why."""

Rows = Callable[[Size], Iterator[Found] | AsyncIterator[Found]]


def figure(value: float) -> str:
    """With three digits that count."""
    if math.isnan(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def line(row: Row) -> str:
    """A row of a Markdown table, wide enough to be read as it is."""
    ours, theirs = (f"{figure(value)} {row.unit}".strip() for value in (row.ours, row.theirs))
    times = "" if math.isnan(row.times) else figure(row.times)
    return _line((row.part, row.what, ours, row.beside, theirs, times, row.aim))


def head() -> str:
    return f"{_line(HEADS)}\n{_line(tuple('-' * width for width in WIDTHS))}"


def _line(cells: tuple[str, ...]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return "| " + " | ".join(f"{cell:{width}}" for cell, width in zip(escaped, WIDTHS, strict=True)) + " |"


def to_json(found: Found) -> str:
    return json.dumps(found if isinstance(found, str) else asdict(found))


def from_json(text: str) -> Found:
    read: Any = json.loads(text)
    return read if isinstance(read, str) else Row(**read)


def add_size(parser: argparse.ArgumentParser) -> None:
    sizes = parser.add_mutually_exclusive_group()
    sizes.set_defaults(size="usual")
    for size, text in (("quick", "the smallest counts: a try, no figures"), ("large", "larger counts, for as long")):
        sizes.add_argument(f"--{size}", dest="size", action="store_const", const=size, help=text)


def main(rows: Rows, about: str | None) -> None:
    """The command line of one script."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_size(parser)
    parser.add_argument("--json", action="store_true", help="a row a line as JSON, and no head")
    chosen = parser.parse_args()
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = (
        "true"  # pydantic-ai brings one, which would load logfire in us and in openai
    )
    if not chosen.json:
        print(head())

    def put(found: Found) -> None:
        text = to_json(found) if chosen.json else found if isinstance(found, str) else line(found)
        print(text, flush=True)

    async def put_each(all: AsyncIterator[Found]) -> None:
        async for each in all:
            put(each)

    found = rows(chosen.size)
    if isinstance(found, AsyncIterator):
        asyncio.run(put_each(found))
    else:
        for each in found:
            put(each)
