"""The `micro-agi` command as a process, and a person who puts a tool into the registry."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import psutil

from micro_agi_kernel.entries import Action, Changeset, Entry, EntryId, Operation
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.workspace import Workspace

# A suite that runs in the background hands on that Ctrl-C is ignored.
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
MAIN = "from micro_agi_kernel.frontends.cli.main import main; main(prog_name='micro-agi')"
COMMAND = [sys.executable, "-c", f"{HEARS_CTRL_C}; {MAIN}"]
SECONDS = 30


class Started:
    """A command as a process, in a session of its own, so that signals can be sent to all of it."""

    def __init__(self, *arguments: str, **options: Any) -> None:
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([*COMMAND, *arguments], start_new_session=True, **{**streams, **options})

    def line(self) -> str:
        """The next line on stdout."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode()

    def signal(self, number: int) -> tuple[int, str, str]:
        """Send a signal to the process group, as a terminal does; exit code, stdout and stderr.

        No process that it started is left.
        """
        family = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, number)
        out, err = self.process.communicate(timeout=SECONDS)
        _, alive = psutil.wait_procs(family, timeout=SECONDS)
        assert not alive
        return self.process.returncode, out.decode(), err.decode()


def publish(
    id: str, source: str, *, modules: tuple[str, ...] = (), comment: str = "A test", action: Action = "create"
) -> None:
    """Put a tool into the registry, as a person does."""

    async def work() -> None:
        workspace = Workspace(load_settings())
        data: Any = {"source": source, "modules": list(modules)}
        entry = Entry(
            EntryId.parse(id),
            "function.lua",
            {"type": "tool", "comment": comment, "input_schema": {"type": "object"}},
            data,
        )
        context = CallContext("user:ada")
        try:
            await workspace.publishing.publish(Changeset((Operation(action, entry.id, entry),)), context)
        finally:
            await workspace.close()

    asyncio.run(work())
