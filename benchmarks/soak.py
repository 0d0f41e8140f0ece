"""Many turns with the offline model, in one session and in one kernel: what grows from the first tenth to the last.

A turn asks for something that one of the demo's tools does, so a call in a jailed child is part of it; the first of
each kind also writes the tool. The conversation begins anew each FRESH turns, as what a model is sent would grow else.
Latency is the median of a tenth of the turns; the second tenth is compared, as the first warms up. Files, processes and
memory are of the process and its children at the end of a tenth. Linux only.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from _rows import Found, Row, Size, main

TURNS: dict[Size, int] = {"quick": 20, "usual": 200, "large": 2_000}
FRESH = 25
PROMPTS = ("what time is it?", 'sha256 of "hello"', 'base64 of "hello"', "make a uuid")


@dataclass
class Soaked:
    """What was seen after each tenth of the turns."""

    seconds: list[float] = field(default_factory=list)
    """Of each turn."""
    files: list[int] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    """Bytes that the process itself holds (RSS)."""

    def look(self, process: psutil.Process) -> None:
        self.files.append(process.num_fds())
        self.processes.append(len(process.children(recursive=True)))
        self.memory.append(process.memory_info().rss)

    def median(self, tenth: int) -> float:
        size = max(1, len(self.seconds) // 10)
        return statistics.median(self.seconds[tenth * size : (tenth + 1) * size])

    @property
    def growth(self) -> float:
        """Bytes that a turn added from the second tenth to the end."""
        return (self.memory[-1] - self.memory[1]) / max(1, len(self.seconds) * 8 // 10)


def prompts(turns: int) -> Iterator[tuple[str, bool]]:
    """Each prompt, and whether the conversation begins anew before it."""
    for number in range(turns):
        yield PROMPTS[number % len(PROMPTS)], bool(number) and number % FRESH == 0


async def in_session(turns: int, home: Path) -> Soaked:
    """`turns` turns in one session of this process."""
    from micro_agi_kernel.commands.cell import run_cell
    from micro_agi_kernel.environment import load_settings
    from micro_agi_kernel.events import TurnFinished
    from micro_agi_kernel.session import open_session

    settings = load_settings({"MICRO_AGI_HOME": str(home), "MICRO_AGI_CONFIG": os.devnull}, model="demo")
    session, soaked, process = open_session(settings), Soaked(), psutil.Process()
    try:
        for number, (prompt, fresh) in enumerate(prompts(turns), 1):
            if fresh:
                async for _ in run_cell(session, "%reset"):
                    pass
            begun = time.perf_counter()
            events = [event async for event in run_cell(session, prompt, cell=number)]
            soaked.seconds.append(time.perf_counter() - begun)
            assert isinstance(events[-1], TurnFinished) and events[-1].status == "ok", events[-1]
            if number * 10 % turns < 10:
                soaked.look(process)
    finally:
        await session.close()
    return soaked


def in_kernel(turns: int, home: Path) -> Soaked:
    """`turns` cells in one kernel."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import KernelManager

    manager, soaked = KernelManager(), Soaked()
    argv = [sys.executable, "-m", "micro_agi_kernel", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=argv, display_name="Micro AGI", language="markdown")  # type: ignore[attr-defined]
    ours = {"MICRO_AGI_HOME": str(home), "MICRO_AGI_CONFIG": os.devnull, "MICRO_AGI_MODEL": "demo"}
    manager.start_kernel(env={**os.environ, **ours})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        process = psutil.Process(manager.provisioner.pid)  # type: ignore[union-attr]
        for number, (prompt, fresh) in enumerate(prompts(turns), 1):
            if fresh:
                client.execute_interactive("%reset", output_hook=lambda _: None, timeout=120)
            begun = time.perf_counter()
            reply = client.execute_interactive(prompt, output_hook=lambda _: None, timeout=120)
            soaked.seconds.append(time.perf_counter() - begun)
            assert reply["content"]["status"] == "ok", reply["content"]
            if number * 10 % turns < 10:
                soaked.look(process)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    return soaked


def rows(size: Size) -> Iterator[Found]:
    turns = TURNS[size]
    for where in ("session", "kernel"):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            home = Path(folder)
            soaked = asyncio.run(in_session(turns, home)) if where == "session" else in_kernel(turns, home)
        what, beside = f"{turns:,} turns in one {where}, last tenth", "their second tenth"
        yield Row("soak", f"{what}: a turn", soaked.median(9) * 1000, "ms", beside, soaked.median(1) * 1000)
        yield Row("soak", f"{what}: open files", soaked.files[-1], "", beside, soaked.files[1])
        yield Row("soak", f"{what}: processes", soaked.processes[-1], "", beside, soaked.processes[1])
        yield Row("soak", f"{what}: memory", soaked.memory[-1] / 1e6, "MB", beside, soaked.memory[1] / 1e6)


if __name__ == "__main__":
    main(rows, __doc__)
