"""Which outputs a cell has: how many, in what order, and what each holds in the end."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Mapping
from typing import Any

import pytest

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.events import (
    CommandAnswered,
    DiffShown,
    Event,
    Notice,
    Revision,
    Spent,
    TextDelta,
    ToolDisplay,
    ToolFinished,
    ToolLoaded,
    ToolOutput,
    ToolProgress,
    ToolStarted,
    TurnFinished,
)
from micro_agi_kernel.frontends.displays import IN_CELL, MOST_IN_CELL
from micro_agi_kernel.frontends.jupyter.batch_sink import BatchSink
from micro_agi_kernel.frontends.jupyter.notebook_sink import CARDS, LISTED, LONG, PARTS, NotebookSink
from micro_agi_kernel.frontends.jupyter.terminal_sink import TerminalSink
from micro_agi_kernel.frontends.rendering import last_block
from micro_agi_kernel.markdown_text import code, fenced, prose, table
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.panels import Change

PARAGRAPH = "A paragraph of *some* words that is about this long.\n\n"


REVISION = Revision("b" * 40, before="a" * 40, session="s", cell=1)


class Outputs:
    """The outputs of a cell, in order, each as it is in the end."""

    def __init__(self) -> None:
        self.messages = 0
        self.characters = 0
        self.outputs: dict[str, Mapping[str, Any]] = {}
        self.stream = ""

    def send(self, msg_type: str, content: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        self.messages += 1
        if msg_type == "stream":
            self.stream += content["text"]
            return
        id = content["transient"].get("display_id", str(self.messages))
        assert (id in self.outputs) == (msg_type == "update_display_data")
        assert content["metadata"] == {}
        self.outputs[id] = content["data"]
        self.characters += sum(map(len, content["data"].values()))

    @property
    def last(self) -> Mapping[str, Any]:
        return [*self.outputs.values()][-1]

    @property
    def texts(self) -> list[str]:
        return [data["text/plain"] for data in self.outputs.values()]


def notebook(*events: Event) -> Outputs:
    outputs = Outputs()
    sink = NotebookSink(outputs.send, footer=True)
    for event in events:
        sink.handle(event)
    sink.close()
    return outputs


def shown_by(sink: type[NotebookSink | BatchSink], *events: Event) -> Outputs:
    outputs = Outputs()
    made = sink(outputs.send, footer=True)
    for event in (*events, TurnFinished("ok")):
        made.handle(event)
    made.close()
    return outputs


def terminal(*events: Event, color: bool = True) -> str:
    outputs = Outputs()
    sink = TerminalSink(outputs.send, footer=True, color=color)
    for event in events:
        sink.handle(event)
    sink.close()
    return outputs.stream


def call(id: str, name: str, *between: Event) -> list[Event]:
    return [ToolStarted(id, name, "{}"), *between, ToolFinished(id, name, "ok", "", 0.1)]


async def test_each_call_is_an_output_and_loading_belongs_to_its_call() -> None:
    loading = [*call("c1", "load_tool"), ToolLoaded(EntryId.parse("app.generated:x"), "x")]
    outputs = notebook(TextDelta("Well."), *loading, *call("c2", "x", ToolOutput("c2", "hello")), Notice("done"))
    assert outputs.texts == [
        "Well.",
        "  [load_tool] ok\n  [+] app.generated:x\n",
        "  | hello\n  [x] ok\n",
        "  note: done\n",
    ]
    assert all({"text/html", "text/markdown"} & {*data} for data in outputs.outputs.values())


async def test_calls_side_by_side_keep_their_own_output() -> None:
    outputs = notebook(
        ToolStarted("a", "one", "{}"),
        ToolStarted("b", "two", "{}"),
        ToolOutput("b", "of two"),
        ToolOutput("a", "of one"),
        ToolFinished("b", "two", "error", "no", 0.1),
        ToolFinished("a", "one", "ok", "", 0.1),
    )
    assert outputs.texts == ["  | of one\n  [one] ok\n", "  | of two\n  [two] error: no\n"]


async def test_what_a_tool_displays_is_an_output_below_its_call() -> None:
    outputs = notebook(*call("c", "plot", ToolDisplay("c", {"text/plain": "a plot"}), ToolOutput("c", "drawn\n")))
    assert outputs.texts[0] == "  | drawn\n  [plot] ok\n"
    assert "a plot" in outputs.texts[1] and len(outputs.texts) == 2


async def test_a_display_cannot_pose_as_the_answer() -> None:
    outputs = notebook(*call("c", "plot", ToolDisplay("c", {"text/markdown": "I am **done**."})))
    assert outputs.last["text/markdown"] == "*Display of `plot`:*\n\nI am **done**."
    assert outputs.last["text/plain"] == "  | I am done."


@pytest.mark.parametrize("sink", [NotebookSink, BatchSink])
async def test_a_cell_shows_some_displays_and_says_how_many_it_does_not(sink: type[NotebookSink | BatchSink]) -> None:
    many = [ToolDisplay("c", {"text/markdown": f"display {n}"}) for n in range(1_000)]
    outputs = shown_by(sink, *call("c", "plot", *many), TextDelta("Done."))
    assert sum("Display of" in data.get("text/markdown", "") for data in outputs.outputs.values()) == IN_CELL
    assert f"note: {1_000 - IN_CELL} displays not shown" in "".join(outputs.texts)
    assert "Done." in outputs.texts[-1] and outputs.messages < 50

    large = [ToolDisplay("c", {"text/html": "<p>" + "x" * 240_000}) for _ in range(15)]
    outputs = shown_by(sink, *call("c", "plot", *large))
    assert MOST_IN_CELL / 2 < len(str(outputs.outputs)) < MOST_IN_CELL * 1.1
    assert "displays not shown" in "".join(outputs.texts)


async def test_a_person_s_own_call_stays_open_when_it_printed() -> None:
    for by_person, ended in itertools.product((True, False), repeat=2):
        start = ToolStarted("c", "lua", "{}", by_person=by_person)
        end = [ToolFinished("c", "lua", "ok", "", 0.1)] if ended else []
        card = notebook(start, ToolOutput("c", "hello\n"), *end).last["text/html"]
        assert ("<details open>" in card) == by_person, "stopped or not"
        assert re.search(r" \d+ ms<| 0\.\d s<|>\d", card), "how long it took"
    quiet = [ToolStarted("c", "lua", '{"a": 1}', by_person=True), ToolFinished("c", "lua", "ok", "", 0.1, [1])]
    assert "<details" not in notebook(*quiet).last["text/html"], "what it was given and gave stands beside it"


async def test_a_cell_with_many_calls_has_few_outputs() -> None:
    """JupyterLab hides what stands behind fifty, and the answer is the last one."""
    events = [event for n in range(300) for event in call(f"c{n}", f"t{n}")]
    outputs = notebook(*events, TextDelta("Done."))
    assert len(outputs.texts) == CARDS + 2
    shown = [*range(CARDS), *range(300 - LISTED, 300)]
    lines = [f"  [t{n}] ok\n" for n in shown]
    lines.insert(CARDS, f"  {300 - CARDS - LISTED} more calls, not shown\n")
    assert "".join(outputs.texts) == "".join(lines) + "Done."
    assert outputs.outputs[[*outputs.outputs][CARDS]]["text/html"].count("<li>") == LISTED


async def test_calls_that_share_an_output_do_not_flood() -> None:
    starts = [ToolStarted(f"c{n}", "t", "{}") for n in range(300)]
    outputs = notebook(*starts, *(ToolFinished(f"c{n}", "t", "ok", "", 0.1) for n in range(300)))
    assert outputs.messages < 100
    assert "".join(outputs.texts).count("[t] ok") == CARDS + LISTED


async def test_what_calls_print_that_share_an_output_is_not_sent() -> None:
    """A Jupyter server drops what comes faster than a megabyte a second."""
    printed: list[Event] = [ToolOutput("c", "x" * 3_000), ToolProgress("c", 1, 2, "x" * 3_000)]
    one_by_one = [event for n in range(200) for event in (ToolStarted("c", "t", "{}"), *printed, *call("c", "t")[1:])]
    few, many = notebook(*one_by_one[: 4 * CARDS]), notebook(*one_by_one)
    assert many.characters - few.characters < 200_000
    assert many.texts[CARDS] == "  [t] ok\n" * (200 - CARDS)


async def test_a_batch_runner_keeps_the_pieces_of_a_long_answer() -> None:
    """To put the next one to all before it takes the longer the longer it is."""
    outputs = Outputs()
    sink = BatchSink(outputs.send, footer=True)
    for _ in range(5_000):
        sink.handle(TextDelta("word 1234 "))
    assert {len(piece) for _, pieces in sink._items for piece in pieces} == {10}
    sink.close()
    assert len(outputs.texts[0]) == 50_000


async def test_a_call_that_was_stopped_does_not_run_for_ever_in_the_saved_notebook() -> None:
    outputs = notebook(ToolStarted("c", "slow", "{}"), ToolOutput("c", "so far"))
    assert outputs.texts == ["  | so far\n  [slow] interrupted\n"]
    assert "running" not in str(outputs.outputs.values())


async def test_a_long_answer_goes_on_in_a_new_output_and_loses_nothing() -> None:
    text = PARAGRAPH * 2_000 + "```lua\n" + "x = 1\n\n" * 3_000 + "```\n"
    outputs = notebook(*(TextDelta(text[at : at + 50]) for at in range(0, len(text), 50)))
    assert "".join(outputs.texts) == text
    *parts, code = outputs.texts
    assert all(len(part) < 2 * LONG for part in parts[:PARTS]) and len(parts) > PARTS
    assert all(len(part) > 2 * LONG for part in parts[PARTS:-1]), "JupyterLab hides what comes behind 50 outputs"
    assert code.startswith("```lua\n"), "a block of code is never cut"


def test_a_block_of_markdown_is_found_where_it_begins() -> None:
    for before, last in (
        ("a\n\n", "b"),
        ("# a\n", "b\nc"),
        ("x\n\n", "- a\n\n- b\n\n  c"),
        ("x\n\n", "```\n\n\n# no\n"),
    ):
        assert last_block(before + last) == len(before)
        assert last_block(last) == 0


async def test_the_footer_says_what_the_cell_took() -> None:
    spent = Spent(2, Usage(1_000, 200, 400), 0.0123, 3.25)
    assert notebook(TurnFinished("ok", spent=spent)).texts == ["  2 steps, 1,200 tokens (400 cached), $0.0123, 3.2 s\n"]


async def test_a_footer_without_tokens_is_for_notebooks() -> None:
    end = TurnFinished("ok", spent=Spent(1, seconds=1.23))
    assert notebook(end).texts == ["  1 step, 1.2 s\n"]
    assert terminal(end) == "" and shown_by(BatchSink, end).texts == []
    assert notebook(TurnFinished("ok")).texts == [], "a command's cell"


@pytest.mark.parametrize("spent", [Spent(), Spent(1, seconds=1.0)])
async def test_the_last_output_carries_the_revision_if_it_is_complete(spent: Spent) -> None:
    sent: list[Mapping[str, Any]] = []
    sink = NotebookSink(lambda _type, content, metadata=None: sent.append(content), footer=True)
    for event in (CommandAnswered("- one `$5`"), TurnFinished("ok", registry=REVISION, spent=spent)):
        sink.handle(event)
    sink.close()
    assert [bool(each["metadata"]) for each in sent] == [False] * (len(sent) - 1) + [True]
    assert len(sent) == 1 + bool(spent.steps) and sent[0]["data"]["text/plain"] == "- one $5"


async def test_what_a_command_answers_reads_well_where_nothing_renders_it() -> None:
    rows = [(code("app.tools:read"), "1"), (prose("a | *b* &amp; \x1b[2J"), "1,234")]
    answer = CommandAnswered(f"{table(('tool', 'uses'), rows, numbers_from=1)}\n\n{fenced('{}', 'json')}")
    text = (
        "tool                 uses\n------------------  -----\napp.tools:read          1\n"
        "a | *b* &amp; ␛[2J  1,234\n\n    {}"
    )
    assert terminal(answer) == f"{text}\n"
    assert terminal(TextDelta("| a |\n|---|\n`x`\n")) == "| a |\n|---|\n`x`\n", "a model's stays as it is"
    for sink in (NotebookSink, BatchSink):
        [data] = shown_by(sink, answer).outputs.values()
        assert data["text/plain"] == text and "| `app.tools:read` | 1 |" in data["text/markdown"]


async def test_a_diff_has_its_colours_in_a_notebook_and_is_a_plain_diff_everywhere_else() -> None:
    diff = "--- x.lua\n+++ x.lua\n@@ -1 +1 @@\n-a <b>\n+c\n"
    event = DiffShown((Change("update", "app.generated:x", diff),))
    text = "Update app.generated:x\n\n    --- x.lua\n    +++ x.lua\n    @@ -1 +1 @@\n    -a <b>\n    +c"
    assert terminal(event) == f"{text}\n"
    [data] = shown_by(NotebookSink, event).outputs.values()
    assert {*data} == {"text/html", "text/plain"} and data["text/plain"] == text
    assert "<del>-a &lt;b&gt;</del>\n<ins>+c</ins>" in data["text/html"]
    [data] = shown_by(BatchSink, event).outputs.values()
    assert data["text/plain"] == text and f"```diff\n{diff}```" in data["text/markdown"]


async def test_a_terminal_has_colours_beside_the_words() -> None:
    events = [*call("c", "x"), ToolFinished("d", "y", "error", "no \x1b[2J", 0.1), Notice("n")]
    assert terminal(*events) == (
        "  [x] \x1b[32mok\x1b[0m\n  [y] \x1b[31merror: no ␛[2J\x1b[0m\n  \x1b[33mnote: n\x1b[0m\n"
    )
    assert "\x1b" not in terminal(*events, color=False)


async def test_progress_is_one_line_of_a_terminal_that_is_written_anew() -> None:
    steps = [ToolProgress("c", n, 1_000, "\x1b[2J") for n in range(1_001)]
    shown = terminal(*call("c", "x", ToolOutput("c", "half"), *steps, ToolOutput("c", "more\n")))
    half, drawn, *rest = shown.split("\n")
    assert half == "  | half" and rest == ["  | more", "  [x] \x1b[32mok\x1b[0m", ""]
    assert drawn.count("\r\x1b[K") == 101 and "\x1b[2J" not in drawn and "[1000/1000]" in drawn


async def test_two_tools_in_progress_have_a_line_each() -> None:
    shown = terminal(ToolProgress("a", 1, 10, ""), ToolProgress("b", 1, 10, ""), ToolProgress("b", 2, 10, ""))
    assert shown.count("\n") == 2 and shown.endswith("\n") and shown.count("\r\x1b[K") == 3


async def test_progress_without_codes_is_a_few_lines() -> None:
    shown = terminal(*call("c", "x", *(ToolProgress("c", n, 100, "") for n in range(101))), color=False)
    assert shown.count("\n") == 12 and "\r" not in shown


async def test_a_batch_runner_gets_displays_where_they_belong() -> None:
    outputs = Outputs()
    sink = BatchSink(outputs.send, footer=True)
    for event in (*call("c", "plot", ToolDisplay("c", {"text/plain": "a plot"})), TextDelta("Done.")):
        sink.handle(event)
    sink.close()
    assert ["a plot" in text for text in outputs.texts] == [True, False]
    assert outputs.texts[-1] == "  [plot] ok\nDone."


async def test_a_running_call_shows_its_newest_lines() -> None:
    outputs = Outputs()
    sink = NotebookSink(outputs.send, footer=True)
    sink.handle(ToolStarted("c", "x", "{}"))
    sink.handle(ToolOutput("c", ("x" * 177 + "\n") * 40))  # of as many characters that a cut could fall within a bar
    await asyncio.sleep(0.3)
    [data] = outputs.outputs.values()
    assert "x" * 177 in data["text/html"] and "| x" not in data["text/html"]
    assert data["text/plain"].startswith(f"  | {'x' * 177}\n  | x")
    for n in range(20_000):
        sink.handle(ToolOutput("c", f"line {n}\n"))
    await asyncio.sleep(0.3)
    [data] = outputs.outputs.values()
    assert "line 19999" in data["text/html"] and "line 19980" not in data["text/html"]
    assert data["text/plain"].endswith("  [x] running\n")
    sink.close()
