"""A log of somebody else is resumed: it lowers nothing that was spent, and comes back as a whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_kit import Cells, stop_while_it_looks
from house_kit import House, create, talking, tool
from model_server import text

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.logs.writer import FORMAT
from micro_agi_kernel.questions import Question


def log(path: Path, *messages: str, session: str = "20260101T000000Z-abcd", **more: object) -> Path:
    """A log with these prompts, and its state."""
    said = [{"role": "user", "text": text} for text in messages or ("hi",)]
    header = {"kind": "Session", "format": FORMAT, "session": session, "time": "2026-01-01T00:00:00.000+00:00"}
    state = {"kind": "State", "kept": 0, "messages": said, "cells": 1, **more}
    path.write_text("".join(f"{json.dumps(line)}\n" for line in (header, state)))
    return path


async def test_what_was_spent_never_gets_less(house: House, tmp_path: Path) -> None:
    spent = {"other": {"steps": 2, "usage": {"prompt": 7}, "cost": 0.5}}
    free, dear = log(tmp_path / "a.jsonl", session="a"), log(tmp_path / "b.jsonl", session="b", spent=spent)
    async with talking(house, [text("ok")]) as talk:
        budget = talk.session.budget
        async for _ in run_cell(talk.session, "hello"):
            pass
        took = budget.session
        assert took.tokens == 120
        for path, tokens in ((free, 120), (dear, 127), (free, 127), (dear, 127)):
            async for _ in run_cell(talk.session, f"%resume {path}"):
                pass
            assert talk.session.resumed == path.stem and budget.session.tokens == tokens
        assert budget.by_model["other"].cost == 0.5 and budget.session.cost == took.cost + 0.5


async def test_after_the_first_no_nobody_is_asked(enter: Callable[..., House], tmp_path: Path) -> None:
    house = enter(profile="guarded")
    names = [f"app.generated:x{number}" for number in range(4)]
    house.write(*create(*map(tool, names)))
    answers = ["yes", "no"]
    asked: list[str] = []

    async def ask(question: Question) -> str:
        asked.append(str(question))
        return answers[len(asked) - 1]

    cells = Cells(house)
    said = await cells.said(f"%resume {log(tmp_path / 'a.jsonl', loaded=names)}", ask)  # type: ignore[arg-type]
    assert len(asked) == 2 and "1 loaded tool\n" in said
    assert markdown_as_text(said).count("(not asked after a no: %load loads it)") == 2
    assert cells.session._agent is not None and [*map(str, cells.session._agent.loaded)] == names[:1]
    many = [f"app.generated:y{number}" for number in range(500)]
    assert (await cells.said(f"%resume {log(tmp_path / 'b.jsonl', loaded=many)}")).count("not loaded again") == 50
    await house.close()


async def test_a_resume_that_is_stopped_while_it_reads_pins_nothing(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = house.head
    house.write(*create(tool("later")))
    cells = Cells(house)
    was = cells.session.id
    resume = cells.run(f"%resume {log(tmp_path / 'a.jsonl', pinned=then)}")
    await stop_while_it_looks(resume, monkeypatch, "micro_agi_kernel.resuming.own_revision")
    assert house.pin.commit == "" and cells.session.id == was and not cells.session.resumed
