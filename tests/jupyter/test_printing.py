"""A tool that prints a hundred thousand lines, from the real jail to what a notebook is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.events import ToolFinished, ToolOutput
from micro_agi_kernel.frontends.jupyter.notebook_sink import NotebookSink
from micro_agi_kernel.frontends.transcript import SHOWN
from micro_agi_kernel.interfaces import Program
from micro_agi_kernel.outputs import Output, Printed
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.values import Value

LINES = 100_000
PRINTS = Program(f"for n = 1, {LINES} do print('line', n) end", "prints")


class NoHost:
    async def request(self, op: str, payload: Value) -> Value:
        raise MicroAgiError("nothing is granted")


async def test_a_hundred_thousand_lines_stall_nothing_and_keep_head_and_tail() -> None:
    sent: list[Mapping[str, str]] = []

    def send(msg_type: str, content: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        sent.append(content["data"])

    sink = NotebookSink(send, footer=True)
    told: list[int] = []

    def hear(output: Output) -> None:
        assert isinstance(output, Printed)
        told.append(output.text.count("\n"))
        sink.handle(ToolOutput("call", output.text))

    turns = 0

    async def other_work() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    sandbox = JailedSandbox("micro_agi_kernel.lua_modules", spares=0)
    beside = asyncio.create_task(other_work())
    try:
        await sandbox.start()
        turns = 0
        outcome = await sandbox.run(PRINTS, NoHost(), hear)
        during = turns
    finally:
        beside.cancel()
        await sandbox.close()
    sink.handle(ToolFinished("call", "prints", "ok", "", outcome.seconds))
    sink.close()

    assert outcome.ok and sum(told) == LINES
    assert during > len(told), "the event loop came round at least once for each piece of output"
    whole = "".join(f"line\t{n}\n" for n in range(1, LINES + 1))
    shown = sent[-1]["text/plain"]
    head, gap, tail = shown.partition(f"\n  | ... {len(whole) - 2 * SHOWN:,} characters not shown ...\n")
    assert gap
    assert unbarred(head) == whole[:SHOWN]
    assert unbarred(tail.removesuffix("  [prints] ok\n")) == whole[-SHOWN:]
    assert all(len(data["text/html"]) < 10_000 for data in sent[:-1]), "while it runs only the newest lines"
    assert len(sent) < 100, "few large messages, since a server drops many small ones"


def unbarred(text: str) -> str:
    return "".join(line.removeprefix("  | ") for line in text.splitlines(keepends=True))
