"""The three kernels of benchmarks/front_end.py: how each is started, what it is asked, and what it took.

Processor and memory are read below /proc, so this runs on Linux only.
"""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from _model_process import ANSWER, HELLO, LAST, PACED, PRINT, PRINTED, PRINTER
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from micro_agi_kernel.entries import INSTALLER, Changeset, Entry, EntryId, Operation
from micro_agi_kernel.registry import CommitMessage, Person
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.workspace import Workspace

SECONDS = 120
SILENCE = 8
"""Seconds after which nothing more is expected."""

SHOWN = {"display_data", "update_display_data", "stream", "clear_output"}
"""The messages that carry what a cell shows."""

TICKS = os.sysconf("SC_CLK_TCK")
LINES_SOURCE = """\
return { handler = function(input)
  for number = 1, input.lines do print("line", number) end
  return "printed"
end }
"""
ASK = """\
import openai
def pieces(prompt):
    for chunk in openai.OpenAI().chat.completions.create(
            model="gpt-5.1", stream=True, messages=[{"role": "user", "content": prompt}]):
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content
"""
PRINTING = "for piece in pieces({prompt!r}): print(piece, end='')"
GROWING = """\
import time
from IPython.display import Markdown, display
text, next = "", 0
shown = display(Markdown(text), display_id=True)
for piece in pieces({prompt!r}):
    text += piece
    if time.monotonic() >= next:
        shown.update(Markdown(text))
        next = time.monotonic() + 0.06
shown.update(Markdown(text))
"""


@dataclass(frozen=True)
class Kernel:
    name: str
    argv: list[str]
    cells: Mapping[str, str]
    """What is asked, by task: `ready` before anything is measured, `first`, `turn`, `lines`, `answer`, `paced`."""

    environment: Mapping[str, str] = field(default_factory=dict)


def prompts(many: int) -> dict[str, str]:
    """The cells of a kernel whose cells are prompts."""
    few = f"{PRINT}20"
    return {"ready": few, "first": HELLO, "turn": few, "lines": f"{PRINT}{many}", "answer": ANSWER, "paced": PACED}


def ours(home: Path, many: int) -> Kernel:
    """With a tool that prints, which its agent might have written."""
    schema: Any = {"type": "object", "properties": {"lines": {"type": "integer"}}, "required": ["lines"]}
    meta: dict[str, Any] = {"type": "tool", "comment": "Prints so many lines", "input_schema": schema}
    data: dict[str, Any] = {"source": LINES_SOURCE, "modules": [], "method": "handler"}
    tool = Entry(EntryId("app.generated", PRINTER), "function.lua", meta, data)
    registry = Workspace(Settings(home=home)).registry
    who = Person("Benchmark", "benchmark@example.com")
    change = Changeset((Operation("create", tool.id, tool),))
    registry.commit(change, CommitMessage(INSTALLER), author=who, committer=who, base=registry.snapshot())
    argv = [sys.executable, "-P", "-m", "micro_agi_kernel", "-f", "{connection_file}"]
    environment = {"MICRO_AGI_HOME": str(home), "MICRO_AGI_RENDER_FRONT_END": "notebook"}
    return Kernel("micro-agi", argv, prompts(many), environment)


def ipython(many: int) -> list[Kernel]:
    """IPython's, whose cell does the same by hand: what it prints is text, and Markdown only where it is told to."""
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    lines = f"for n in range(1, {many} + 1): print('line', n, sep='\\t')\nprint({PRINTED!r})"
    cells = {"ready": ASK, "first": "1", "turn": "for n in range(20): print('line', n)", "lines": lines}
    printing, growing = (
        {task: form.format(prompt=prompt) for task, prompt in (("answer", ANSWER), ("paced", PACED))}
        for form in (PRINTING, GROWING)
    )
    first = ASK + PRINTING.format(prompt=HELLO)
    return [
        Kernel("IPython", argv, cells | printing),
        Kernel("IPython, openai and Markdown", argv, {**cells, "first": first} | growing),
    ]


def pydantic_ai(folder: Path, url: str, many: int) -> Kernel:
    config = folder / "config.yaml"
    provider = {"name": "openai", "params": {"base_url": url, "api_key": "anything"}}
    model = {"model_type": "openai", "model_name": "gpt-5.1", "model_provider": provider}
    config.write_text(json.dumps({"agent_name": "peer", "system_prompt": "Help.", "model": model, "formatter": "md"}))
    script = Path(__file__).parent / "peers" / "kernel_pydantic_ai.py"
    environment = {"PYDANTIC_AI_KERNEL_CONFIG": str(config)}
    argv = [sys.executable, str(script), "-f", "{connection_file}"]
    return Kernel("pydantic-ai-kernel", argv, prompts(many), environment)


@dataclass(frozen=True)
class Took:
    """One cell. Seconds: `wall` is NaN when the client never heard of the end, `cpu` is of the kernel and of what it
    started, `gap` is the longest between two messages."""

    wall: float
    cpu: float
    messages: int
    size: int
    """Bytes of what the messages carry."""

    gap: float


class Running:
    """A kernel that runs, and a client of it."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        # No ports: another process may take one between the choice of it and its use.
        self._sockets = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._manager = KernelManager(transport="ipc", ip=f"{self._sockets.name}/kernel")
        self._manager._kernel_spec = KernelSpec(argv=kernel.argv, display_name="x", language="x")
        began = time.perf_counter()
        self._manager.start_kernel(env={**os.environ, **kernel.environment}, stderr=subprocess.DEVNULL)
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.kernel_info()
        self._client.get_shell_msg(timeout=SECONDS)
        self.to_kernel_info = time.perf_counter() - began
        self._client.wait_for_ready(timeout=SECONDS)
        self.began = began

    def run(self, task: str) -> Took:
        arrived: list[tuple[float, dict[str, Any]]] = []

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] == "error":
                raise SystemExit(f"{self._kernel.name}: {message['content']['evalue']}")
            if message["msg_type"] in SHOWN:
                arrived.append((time.perf_counter(), message["content"]))

        cpu, start = self._cpu(), time.perf_counter()
        idle = self._hear_all(self._client.execute(self._kernel.cells[task], allow_stdin=False), hear)
        wall = time.perf_counter() - start if idle else math.nan
        cpu = self._cpu() - cpu
        size = sum(len(json.dumps(content)) for _, content in arrived)
        end = {"lines": PRINTED, "answer": LAST, "paced": LAST}.get(task, "")
        said = "".join(content.get("text") or str(content.get("data")) for _, content in arrived[-40:])
        if idle and end not in said:
            raise SystemExit(f"{self._kernel.name}: the output has no end: {said[-200:]}")
        times = [at for at, _ in arrived]
        gap = max((after - before for before, after in pairwise(times)), default=0.0)
        return Took(wall, cpu, len(arrived), size, gap)

    def _hear_all(self, request: str, hear: Callable[[dict[str, Any]], None]) -> bool:
        """Until the kernel said that the cell is over. False when it did not: ZeroMQ throws away what a kernel sends
        faster than it is read."""
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=SILENCE)
            except queue.Empty:
                return False
            if message["parent_header"].get("msg_id") == request:
                if message["content"].get("execution_state") == "idle":
                    return True
                hear(message)

    def memory(self) -> tuple[float, float]:
        """MB resident: of the kernel alone, and with its children, where what they share is counted once."""
        pid = self._pid()
        return resident(pid, "Rss") / 1e6, sum(resident(each, "Pss") for each in family(pid)) / 1e6

    def stop(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._sockets.cleanup()

    def _pid(self) -> int:
        pid = getattr(self._manager.provisioner, "pid", None)
        assert isinstance(pid, int)
        return pid

    def _cpu(self) -> float:
        """Seconds of the kernel and its children, those among them that ended included."""
        return sum(spent(pid) for pid in family(self._pid()))


@contextmanager
def running(kernel: Kernel) -> Iterator[Running]:
    started = Running(kernel)
    try:
        yield started
    finally:
        started.stop()


def family(pid: int) -> list[int]:
    """The process, its children and theirs."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def spent(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:  # it ended meanwhile
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def resident(pid: int, kind: str) -> float:
    """Bytes: `Rss`, or `Pss`, in which what several processes share is divided among them; NaN where only root may ask,
    as of a jailed process."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except PermissionError:
        return math.nan
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith(f"{kind}:"))
