"""The fold that all front ends share, on its own."""

from __future__ import annotations

from micro_agi_kernel.events import ToolFinished, ToolOutput
from micro_agi_kernel.frontends.transcript import IN_CELL, SHOWN, Transcript


class Kept(Transcript):
    def __init__(self) -> None:
        super().__init__(footer=True)
        self.text = ""

    def answer(self, text: str) -> None:
        self.text += text

    def print(self, text: str, *, new_line: bool) -> None:
        self.text += text


def test_hundreds_of_calls_that_print_show_a_little_more_than_the_cells_share() -> None:
    kept = Kept()
    for number in range(300):
        kept.handle(ToolOutput(str(number), "x" * 200_000))
        kept.handle(ToolFinished(str(number), "loud", "ok", "", 0.1))
    assert IN_CELL < len(kept.text) < IN_CELL + 2 * SHOWN + 300 * 1_200
    assert kept.text.count("[loud] ok") == 300 and kept.text.count("characters not shown") == 300
