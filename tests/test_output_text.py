"""What a tool shows, as text: the fold of every front end that shows no more than text."""

from __future__ import annotations

import pytest

from micro_agi_kernel.events import ToolDisplay, ToolFinished, ToolOutput, ToolProgress
from micro_agi_kernel.frontends.cli.ask import ConsoleTranscript
from micro_agi_kernel.frontends.output_text import OutputText, display_text
from micro_agi_kernel.outputs import Display, Output, Printed, Progress
from micro_agi_kernel.values import Value


def shown(*outputs: Output) -> str:
    text = OutputText()
    return "".join(text.add(output) for output in outputs)


def test_displays_and_progress_stand_on_lines_of_their_own() -> None:
    assert shown(Printed("a"), Display({"text/plain": "b\n\n"}), Printed("c\n"), Progress(1, 2, "half\nway")) == (
        "a\nb\nc\n[1/2] half way\n"
    )


def test_of_a_long_progress_the_tenths_are_shown() -> None:
    lines = shown(*(Progress(n, 1000) for n in range(1001))).splitlines()
    assert lines == [f"[{n}/1000]" for n in range(0, 1001, 100)]


def test_of_a_progress_without_a_total_the_doublings_are_shown() -> None:
    lines = shown(*(Progress(n) for n in range(1000))).splitlines()
    assert lines == ["[0]", "[1]", "[2]", "[4]", "[8]", "[16]", "[32]", "[64]", "[128]", "[256]", "[512]"]


@pytest.mark.parametrize("progress", [Progress(1e308), Progress(5, 0), Progress(1e308, 1e-308), Progress(0, 0)])
def test_odd_numbers_are_shown_too(progress: Progress) -> None:
    assert shown(progress).startswith("[")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text/html": "<b>", "text/markdown": "*m*", "text/plain": "p"}, "p"),
        ({"text/html": "<b>", "text/markdown": "*m*"}, "*m*"),
        ({"text/markdown": "# up\n| n | **primes** |\n|--:|---|\n| 10 | `4` |"}, "# up\n n  primes\n--  ------\n10  4"),
        ({"application/json": {"a": [1, "ä"]}}, '{\n  "a": [\n    1,\n    "ä"\n  ]\n}'),
        ({"application/json": [b"\xff"]}, '[\n  "<1 bytes>"\n]'),
        ({"image/png": b"x" * 1234}, "<image/png, 1,234 bytes>"),
        ({"text/html": "<b>ä"}, "<text/html, 4 characters>"),
    ],
)
def test_a_display_is_its_text_or_what_it_is(data: dict[str, Value], text: str) -> None:
    assert display_text(data) == text


@pytest.mark.parametrize(("columns", "rows", "tables"), [(1_000, 1_000, 1), (100, 95, 200)])
def test_tables_of_nothing_stay_as_they_are(columns: int, rows: int, tables: int) -> None:
    """Millions of cells from a few thousand characters: they would be laid out on the event loop."""
    table = "|" * columns + "\n" + "|-" * columns + "|\n" + "|\n" * rows
    text = "\n".join([table] * tables)
    assert display_text({"text/markdown": text}).endswith(table)


def test_a_transcript_shows_them_behind_bars_and_without_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    transcript = ConsoleTranscript(footer=True)
    transcript.handle(ToolOutput("c", "one"))
    transcript.handle(ToolProgress("c", 1, 2, "\x1b[31m red"))
    transcript.handle(ToolDisplay("c", {"text/plain": "  [tool] ok\n\x1b]0;title\x07"}))
    transcript.handle(ToolFinished("c", "tool", "ok", "", 0.1))
    assert capsys.readouterr().out == ("  | one\n  | [1/2] ␛[31m red\n  |   [tool] ok\n  | ␛]0;title␇\n  [tool] ok\n")
