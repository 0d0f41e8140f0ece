"""The shipped kernel, spoken to as VS Code speaks: its requests, and what it makes of the messages that come back.

The rules are those of the open source of its Jupyter extension: cellExecution.ts, cellExecutionMessageHandler.ts and
cellDisplayIdTracker.ts in src/kernels/execution of microsoft/vscode-jupyter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

SECONDS = 60
CELL = "vscode-notebook-cell:/home/ann/x.ipynb#W0sZmlsZQ%3D%3D"


Outputs: TypeAlias = list[nbformat.NotebookNode]
OnOutput: TypeAlias = Callable[[Outputs], None]
Reply: TypeAlias = dict[str, Any]


class Notebook:
    """An open notebook: its outputs, and which of them have a display id."""

    def __init__(self) -> None:
        self.displays: dict[str, nbformat.NotebookNode] = {}
        self.replaced = 0
        """How often all outputs of a cell were drawn anew for one of them: that flickers."""

    def show(self, outputs: Outputs, message: dict[str, Any]) -> None:
        """Do with the outputs of a cell what one message asks for."""
        kind, content = message["msg_type"], message["content"]
        display_id = content.get("transient", {}).get("display_id")
        if kind == "update_display_data":
            assert display_id in self.displays, "an update of what was never shown is dropped"
            output = self.displays[display_id]
            if list(output.data) != list(content["data"]) or output.metadata != content["metadata"]:
                self.replaced += 1
            output.data, output.metadata = content["data"], content["metadata"]
        elif kind == "stream":
            assert "\x1b[" not in content["text"].replace("\x1b[A", ""), "no other movement of the cursor is known"
            if outputs and outputs[-1].output_type == "stream" and outputs[-1].name == content["name"]:
                outputs[-1].text += content["text"]
            else:
                outputs.append(nbformat.v4.new_output("stream", name=content["name"], text=content["text"]))
        elif kind in ("display_data", "error"):
            fields = {name: value for name, value in content.items() if name != "transient"}
            outputs.append(nbformat.v4.new_output(kind, **fields))
            if display_id is not None:
                assert display_id not in self.displays, "an id names one output"
                self.displays[display_id] = outputs[-1]
        else:
            assert kind in ("status", "execute_input", "clear_output"), kind


class VSCode:
    """One kernel and a notebook that is open on it."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.notebook = Notebook()
        self.asked: list[str] = []
        """What its input box said."""

    def send(self, code: str) -> str:
        content = {"code": code, "silent": False, "stop_on_error": False, "allow_stdin": True, "store_history": True}
        metadata = {"cellId": CELL, "tags": ["of-the-cell"]}  # the metadata of the cell goes with it
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def run(self, code: str, on_output: OnOutput | None = None, answer: str = "") -> tuple[Reply, Outputs]:
        """The content of a cell's reply, and its outputs; `on_output` sees them after each message, or after 5 ms.

        The input box sends `answer`: an empty one stands for Escape.
        """
        return self.receive(self.send(code), on_output, answer)

    def receive(self, request: str, on_output: OnOutput | None = None, answer: str = "") -> tuple[Reply, Outputs]:
        """The same of a cell that was sent."""
        outputs: Outputs = []
        end = time.monotonic() + SECONDS
        while True:
            assert time.monotonic() < end, f"the cell did not end: {outputs}"
            if self.client.stdin_channel.msg_ready():
                self.asked.append(self.client.get_stdin_msg(timeout=1)["content"]["prompt"])
                self.client.input(answer)
            if self.client.iopub_channel.socket.poll(5):
                message = self.client.get_iopub_msg(timeout=SECONDS)
                if message["parent_header"].get("msg_id") == request:
                    if message["content"].get("execution_state") == "idle":
                        break
                    self.notebook.show(outputs, message)
            if on_output is not None:
                on_output(outputs)
        while True:
            reply = self.client.get_shell_msg(timeout=SECONDS)
            if reply["parent_header"].get("msg_id") == request:
                return dict(reply["content"]), outputs

    def interrupt(self) -> None:
        """Its stop button, for a kernel whose interrupt mode is message."""
        self.client.control_channel.send(self.client.session.msg("interrupt_request", {}))
        assert self.client.get_control_msg(timeout=SECONDS)["msg_type"] == "interrupt_reply"


@contextmanager
def vscode() -> Iterator[VSCode]:
    """Starts the registered kernel; at the end it is asked to shut down, and does."""
    manager = KernelManager(kernel_name="micro-agi")
    manager.start_kernel()
    client: BlockingKernelClient = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
        yield VSCode(client)
        assert manager.is_alive()
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def shown_text(outputs: Outputs) -> str:
    """All that a cell shows, as plain text."""
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)
