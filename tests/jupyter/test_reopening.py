"""A notebook is its conversation: a kernel that was killed, and another one of the same notebook that goes on."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from model_server import ModelServer, calls, text
from sendable_kit import check_sendable

ECHO = {
    "name": "echo",
    "description": "Gives back what it is given.",
    "source": "return { handler = function(input) return { said = input.text } end }",
    "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
}


SECONDS = 30


class Shown:
    """What one cell sent."""

    def __init__(self, messages: list[dict[str, Any]], reply: dict[str, Any]) -> None:
        self.text = "\n".join(json.dumps(message["content"]) for message in messages)
        self.reply = reply


@contextmanager
def kernel(home: Path, notebook: str, server: ModelServer) -> Iterator[tuple[KernelManager, Any]]:
    """A real kernel as Jupyter's server starts one; its manager, and a function that runs a cell."""
    manager = KernelManager()
    manager._kernel_spec = KernelSpec(
        argv=[sys.executable, "-m", "micro_agi_kernel", "-f", "{connection_file}"],
        display_name="Micro AGI",
        language="markdown",
        interrupt_mode="message",
    )
    ours = {
        "MICRO_AGI_HOME": str(home),
        "OPENAI_BASE_URL": server.url,
        "OPENAI_API_KEY": "sk-planted-0123456789abcdef",
        "JPY_SESSION_NAME": notebook,
    }
    manager.start_kernel(env={**os.environ, **ours})
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=SECONDS)

    def run(code: str, cell_id: str = "c1") -> Shown:
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        request = client.session.msg("execute_request", content, metadata={"cellId": cell_id})
        client.shell_channel.send(request)
        messages: list[dict[str, Any]] = []
        while True:
            message = client.get_iopub_msg(timeout=SECONDS)
            if message["parent_header"].get("msg_id") != request["header"]["msg_id"]:
                continue
            if message["content"].get("execution_state") == "idle":
                break
            messages.append(message)
        while True:  # a kernel that was asked for its info more than once may answer it late
            reply = client.get_shell_msg(timeout=SECONDS)
            if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                return Shown(messages, reply)

    try:
        yield manager, run
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def wait_for(home: Path, words: str) -> None:
    """The log has `words`, or the test ends."""
    for _ in range(SECONDS * 100):
        if any(words in path.read_text() for path in home.glob("sessions/*.jsonl")):
            return
        time.sleep(0.01)
    raise AssertionError(f"no log has {words}")


def test_a_kernel_that_was_killed_and_the_next_one_of_its_notebook(tmp_path: Path) -> None:
    script = [
        calls(("create_tool", ECHO), ("load_tool", {"id": "app.generated:echo"})),
        text("I made an echo."),
        calls(("echo", {"text": "hello"})),
        text("It said hello."),
        text("I said so before."),
    ]
    book = str(tmp_path / "talks.ipynb")
    with ModelServer(script) as server:
        with kernel(tmp_path, book, server) as (manager, run):
            first = run("make an echo", "cell-1")
            assert "this notebook has" not in first.text, "a new notebook is a new conversation"
            revision = first.reply["metadata"]["micro_agi"]
            assert revision["before"] != revision["registry"], "the cell made a tool"
            run("let it say hello", "cell-2")
            wait_for(tmp_path, 'It said hello.","calls":[],"interrupted":false}],"cells":2')
            process = manager.provisioner.process  # type: ignore[union-attr]
            process.kill()
            process.wait(SECONDS)
        with kernel(tmp_path, book, server) as (_, run):
            offered = run("%tools")
            assert "this notebook has a conversation of 2 cells, of 20" in offered.text
            assert "this notebook has" not in run("%tools").text, "once"
            resumed = run("%resume")
            assert "This notebook goes on with" in resumed.text and "1 loaded tool" in resumed.text, resumed.text
            last = run("what did it say?", "cell-3")
            assert "I said so before." in last.text
            pinned = run("%pin v1")
            assert pinned.reply["metadata"]["micro_agi"]["registry"] == revision["before"]
        before, after = server.requests[3].body, server.requests[4].body
        assert after["messages"][: len(before["messages"])] == before["messages"]
        assert [m["content"] for m in after["messages"][-2:]] == ["It said hello.", "what did it say?"]
        assert "echo" in [tool["function"]["name"] for tool in after["tools"]]
        check_sendable(after)
        with kernel(tmp_path, str(tmp_path / "other.ipynb"), server) as (_, run):
            assert "this notebook has" not in run("%session").text, "another notebook"
