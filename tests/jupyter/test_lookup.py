"""Completion and inspection by the shipped kernel, beside a cell that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from model_server import Hold, ModelServer, Reply, delta, end


def test_both_answer_while_a_cell_waits_for_its_model(
    start_kernel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = Hold()
    stalled = Reply((delta(role="assistant", content="I think"), hold, end("stop")))
    with ModelServer([stalled]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "anything")
        monkeypatch.setenv("MICRO_AGI_HOME", str(tmp_path / "home"))
        kernel = start_kernel(shipped=True)
        cell = kernel.send("think")
        assert hold.reached.wait(20)
        found = kernel.reply(kernel.client.complete("%tool create", 12))["content"]
        assert found["matches"] == ["create_tool"] and (found["cursor_start"], found["cursor_end"]) == (6, 12)
        kinds = found["metadata"]["_jupyter_types_experimental"]
        assert kinds == [{"text": "create_tool", "type": "tool", "start": 6, "end": 12}]
        told = kernel.reply(kernel.client.inspect("what does http_client do?", 12))["content"]
        assert told["found"] and told["data"]["text/plain"].startswith("# http_client")
        assert told["data"]["text/markdown"].startswith("# http_client\n")
        assert kernel.reply(kernel.client.inspect("nobody knows", 3))["content"] == {
            "status": "ok", "found": False, "data": {}, "metadata": {}
        }  # fmt: skip
        long = "a" * 1_000_000  # what is quadratic in it holds the interpreter for an hour
        assert kernel.reply(kernel.client.complete(long, len(long)))["content"]["matches"] == []
        assert not kernel.reply(kernel.client.inspect(f"{long} {long}", len(long)))["content"]["found"]
        kernel.interrupt()
        assert kernel.reply(cell)["content"]["ename"] == "Interrupted"


def test_where_no_session_opens_both_say_nothing(
    start_kernel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no registry")
    monkeypatch.setenv("MICRO_AGI_REGISTRY", str(tmp_path / "file"))
    kernel = start_kernel(shipped=True)
    assert kernel.reply(kernel.client.complete("%re", 3))["content"]["matches"] == []
    assert kernel.reply(kernel.client.inspect("%revert", 3))["content"]["found"] is False
