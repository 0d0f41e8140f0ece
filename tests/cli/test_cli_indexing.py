"""The bar while a registry is indexed: on a terminal, when it takes long, and on stderr only."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from micro_agi_kernel.frontends.cli.opening import SHOWN_FROM, IndexingBar
from micro_agi_kernel.registry import Registry


def show(steps: int) -> None:
    with click.Context(click.Command("list")):
        bar = IndexingBar()
        for done in range(0, steps + 1, 500):
            bar(done, steps)


@pytest.mark.parametrize(("terminal", "steps"), [(True, SHOWN_FROM * 2), (True, SHOWN_FROM - 500), (False, 100_000)])
def test_a_bar_is_shown_where_a_person_waits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, steps: int
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    show(steps)
    out, err = capsys.readouterr()
    assert out == "" and ("Indexing the registry" in err) is (terminal and steps > SHOWN_FROM)


def test_a_bar_that_was_cut_short_gives_the_terminal_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with click.Context(click.Command("list")):
        IndexingBar()(0, SHOWN_FROM * 2)
    assert capsys.readouterr().err.endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # the cursor is back, the bar gone


COMMANDS = (
    ("registry", "list"),
    ("registry", "log", "app:agent_security"),
    ("registry", "import", "entry.yaml"),
    ("registry", "restore", "v1"),
    ("registry", "revert", "v2"),
    ("registry", "push"),
    ("call", "app.tools:registry_list"),
    ("ask", "%restore v1"),
    ("docs", "search", "time"),
    ("models",),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_shows_how_far_it_is(
    seeded: Path, cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    Path("entry.yaml").write_text("{id: app.mine:x, kind: registry.entry}")
    watched: list[object] = []
    monkeypatch.setattr(Registry, "watch", lambda registry, bar: watched.append(bar))
    cli(*command)
    assert [type(bar) for bar in watched] == [IndexingBar]
