"""A kernel process whose conversation is a script: `python scripted_kernel.py -f FILE`.

The prompt names the script: each of its lines is one step. A double stands for the conversation only;
kernel, sinks and protocol are the shipped ones.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from micro_agi_kernel.approval import Ask
from micro_agi_kernel.entries import Action, Entry, EntryId, Operation
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.events import (
    EntryPublished,
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
from micro_agi_kernel.frontends.jupyter.app import main
from micro_agi_kernel.frontends.jupyter.kernel import MicroAgiKernel
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.outputs import PICTURE_FORMS
from micro_agi_kernel.questions import Question
from micro_agi_kernel.settings import Settings

HOSTILE = "--- x.lua\n+print '\x1b[2J'\n+\u202e\n"
REVISION = Revision("b" * 40, before="a" * 40, session="s", cell=1)


class Script:
    """A conversation: reads the prompt line by line and does what each line says."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.prompts: list[str] = []
        self.interrupts = 0

    async def run(
        self, text: str, *, cell: int, cell_id: str = "", ask: Ask | None = None
    ) -> AsyncGenerator[Event, None]:
        self.prompts.append(text)
        self.ask = ask
        try:
            for line in text.splitlines():
                word, _, rest = line.partition(" ")
                async for event in self._step(word, rest):
                    yield event
                    if isinstance(event, TurnFinished):
                        return
        except asyncio.CancelledError:
            self.interrupts += 1
            raise
        yield TurnFinished("ok", registry=REVISION)

    async def _step(self, word: str, rest: str) -> AsyncGenerator[Event, None]:
        match word:
            case "say":
                for piece in rest.split(" "):
                    yield TextDelta(piece + " ")
            case "markdown":  # base64 of the text, in small pieces
                text = base64.b64decode(rest).decode("utf-8", "surrogatepass")
                for start in range(0, len(text), 7):
                    yield TextDelta(text[start : start + 7])
            case "flood":
                for number in range(int(rest)):
                    yield TextDelta(f"word{number} ")
            case "call":  # name and arguments
                name, _, given = rest.partition(" ")
                yield ToolStarted("c1", name, given)
            case "tool":
                yield ToolStarted("c1", rest, "{}")
                yield ToolFinished("c1", rest, "ok", "", 0.1)
            case "start":
                yield ToolStarted("c1", rest, "{}")
            case "print":
                yield ToolOutput("c1", json.loads(rest))
            case "print_lines":
                for number in range(int(rest)):
                    yield ToolOutput("c1", f"line {number}\n")
            case "display":  # pictures as base64
                data = json.loads(rest)
                for form in data.keys() & PICTURE_FORMS.keys():
                    data[form] = base64.b64decode(data[form])
                yield ToolDisplay("c1", data)
            case "progress":
                yield ToolProgress("c1", *json.loads(rest))
            case "finish":
                yield ToolFinished("c1", rest, "ok", "", 0.1)
            case "fail_tool":
                yield ToolFinished("c1", rest, "error", "no such\nhost \x1b[31m", 0.1)
            case "load":
                yield ToolLoaded(EntryId.parse(rest), "alias")
            case "publish":
                yield EntryPublished("1a2b3c4" + "0" * 33, f"Create {rest}", ())
            case "commit":  # the source of a tool, and a diff, as JSON
                source, diff = json.loads(rest)
                id = EntryId.parse("app.generated:clock")
                entry = Entry(id, "function.lua", {"type": "tool"}, {"source": source, "modules": ["time"]})
                action: Action = "update" if diff else "create"
                subject = f"{action.capitalize()} {id}"
                operations = (Operation(action, id, entry),)
                yield EntryPublished("5d6e7f8" + "0" * 33, subject, operations, "undefined (app:deny)", 2, diff)
            case "spend":
                spent = Spent(2, Usage(1_000, 200, 400), 0.0123, 3.25)
                yield TurnFinished("ok", registry=REVISION, spent=spent)
            case "notice":
                yield Notice(rest)
            case "wait":
                await asyncio.sleep(0 if not rest else float(rest))
            case "work":
                yield Notice("begun")
                await asyncio.Event().wait()
            case "stall":
                await asyncio.Event().wait()
            case "stubborn":
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    yield Notice("holding out")
                    await asyncio.Event().wait()  # only a second interrupt ends this
            case "error":
                yield TurnFinished("error", error=rest, error_name="ModelError", registry=REVISION)
            case "bug":
                raise ZeroDivisionError(rest)
            case "ask":
                question = Question((("registry.create", rest),), "service:agent", ("app:p",), diff=HOSTILE, tests=1)
                yield TextDelta(await self.ask(question) if self.ask else "nobody")
            case "report":
                yield TextDelta(json.dumps({"prompts": len(self.prompts), "interrupts": self.interrupts}))
            case "silence":
                yield TurnFinished("ok")
            case _:
                yield TextDelta(f"you said: {word}")

    async def close(self) -> None:
        if CLOSED:
            CLOSED.write_text("closed")

    def preload(self) -> None:
        asyncio.get_running_loop()  # the session starts a task here
        if BROKEN == "preload":
            raise ZeroDivisionError("preload is broken")


class ScriptedKernel(MicroAgiKernel):
    def make_session(self) -> Script:
        while GATE and not GATE.exists():
            time.sleep(0.01)
        if BROKEN == "open":
            raise ZeroDivisionError("opening is broken")
        if MISSING and not MISSING.exists():
            raise RegistryError(f"{MISSING} is no repository: give another path")
        return Script()


arguments = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
CLOSED = Path(arguments["closed"]) if "closed" in arguments else None
MISSING = Path(arguments["missing"]) if "missing" in arguments else None
GATE = Path(arguments["gate"]) if "gate" in arguments else None
BROKEN = arguments.get("broken")

if __name__ == "__main__":
    main([argument for argument in sys.argv[1:] if "=" not in argument], ScriptedKernel)
