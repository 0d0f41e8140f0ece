"""Whatever stands in a cell, Tab and Shift-Tab answer, and a command that it is no good for is refused in one line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parser_words import CELL_WORDS

from micro_agi_kernel import errors
from micro_agi_kernel.commands import COMMANDS
from micro_agi_kernel.commands.cell import command_in, run_cell
from micro_agi_kernel.completion import complete
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.events import TurnFinished
from micro_agi_kernel.inspection import inspect
from micro_agi_kernel.session import Session, open_session

EXAMPLES = 6_000 if os.environ.get("MICRO_AGI_FULL") == "1" else 60
READ = ("help", "tools", "tool", "docs", "registry", "log", "diff", "model", "pin", "session", "cost", "approve")
"""Commands that write nothing and wait for nobody."""
WORDS = (
    *CELL_WORDS,
    *(f"%{key} " for key in COMMANDS),
    "app.tools:create_tool",
    "main~2",
    "v1",
    "limits.steps",
    "app.",
    "lua/core/time",
)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with asyncio.Runner() as runner:
        home = tmp_path_factory.mktemp("cells")

        async def begin() -> Session:
            return open_session(load_settings({"MICRO_AGI_HOME": str(home)}, model="demo"))

        session = runner.run(begin())
        yield session
        runner.run(session.close())


TEXTS = st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=8).map("".join)


def test_tab_and_shift_tab(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(TEXTS, st.data())
    def holds(text: str, data: st.DataObject) -> None:
        cursor = data.draw(st.integers(0, len(text)))
        found = complete(session, text, cursor)
        assert 0 <= found.start <= found.end <= len(text)
        assert "\x1b" not in inspect(session, text, cursor)

    holds()


def test_commands_with_any_words(session: Session) -> None:
    names = {kind.__name__ for kind in vars(errors).values() if isinstance(kind, type)}
    with asyncio.Runner() as runner:

        @settings(max_examples=EXAMPLES, deadline=None, database=None)
        @given(st.sampled_from(READ), TEXTS)
        def holds(key: str, words: str) -> None:
            text = f"%{key} {words}"
            said = command_in(text)
            if said is None or said.name not in READ:
                return

            async def run() -> None:
                events = [event async for event in run_cell(session, text)]
                assert isinstance(events[-1], TurnFinished)
                assert "\n" not in events[-1].error and "Traceback" not in events[-1].error
                assert events[-1].error_name in ("", *names), text

            runner.run(run())

        holds()
