"""Kernels as child processes, spoken to as a front end does."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

SCRIPTED = [sys.executable, str(Path(__file__).parent / "scripted_kernel.py"), "-f", "{connection_file}"]
SHIPPED = [sys.executable, "-m", "micro_agi_kernel", "-f", "{connection_file}"]
SECONDS = 30


class Kernel:
    """A running kernel and one client of it."""

    def __init__(self, *arguments: str, argv: Sequence[str] = SCRIPTED, log: Path | None = None) -> None:
        self.manager = KernelManager()
        self.manager._kernel_spec = KernelSpec(
            argv=[*argv, *arguments], display_name="Scripted", language="markdown", interrupt_mode="message"
        )
        with log.open("wb") if log else nullcontext() as stderr:
            self.manager.start_kernel(stderr=stderr)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=SECONDS)

    def send(self, code: str, *, front_end: str = "notebook", **content: Any) -> str:
        """Ask for a cell and return the request's id."""
        message = self.client.session.msg(
            "execute_request",
            {
                "code": code,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": front_end != "batch",
                "stop_on_error": True,
                **content,
            },
            metadata={"cellId": "c0ffee"} if front_end == "notebook" else {},
        )
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def shows(self, request: str) -> Iterator[dict[str, Any]]:
        """The messages of a cell as they come, until it is idle."""
        while True:
            message = self.client.get_iopub_msg(timeout=SECONDS)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return
            if message["msg_type"] not in ("status", "execute_input"):
                yield message

    def reply(self, request: str) -> dict[str, Any]:
        while True:
            message = self.client.get_shell_msg(timeout=SECONDS)
            if message["parent_header"].get("msg_id") == request:
                return dict(message)

    def run(
        self, code: str, *, front_end: str = "notebook", **content: Any
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Run a cell; its reply, and all that it showed."""
        request = self.send(code, front_end=front_end, **content)
        shown = list(self.shows(request))
        return self.reply(request), shown

    @staticmethod
    def text(shown: Iterable[dict[str, Any]]) -> str:
        """What is shown in the end, as text: of each display its newest state, without a terminal's colours."""
        places: dict[str, str] = {}
        for number, message in enumerate(shown):
            content = message["content"]
            place = content.get("transient", {}).get("display_id", str(number))
            if message["msg_type"] == "stream":
                places[place] = content["text"]
            elif "text/plain" in content.get("data", {}):
                places[place] = content["data"]["text/plain"]
        return re.sub(r"\x1b\[[0-9;]*m", "", "".join(places.values()))

    def interrupt(self, how: str = "message") -> None:
        """Interrupt the kernel and come back when it knows."""
        if how == "signal":
            self.manager.signal_kernel(signal.SIGINT)
        kind = "interrupt_request" if how == "message" else "kernel_info_request"
        self.client.control_channel.send(self.client.session.msg(kind, {}))
        self.client.get_control_msg(timeout=SECONDS)

    def barrier(self) -> None:
        """Come back when the kernel has read all that was sent to its shell; a cell may be running."""
        self.reply(self.client.complete("", 0))

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.fixture(scope="session")
def kernel_class() -> type[Kernel]:
    """For kernels of another kind."""
    return Kernel


@pytest.fixture(scope="session")
def kernel() -> Iterator[Kernel]:
    """One kernel for the tests that leave it as it was."""
    kernel = Kernel()
    yield kernel
    kernel.close()


@pytest.fixture
def start_kernel() -> Iterator[Any]:
    """Starts kernels of a test's own, with arguments of the scripted kernel."""
    kernels: list[Kernel] = []

    def start(*arguments: str, shipped: bool = False, log: Path | None = None) -> Kernel:
        kernels.append(Kernel(*arguments, argv=SHIPPED if shipped else SCRIPTED, log=log))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.close()
