"""VS Code by the rules of its extension's source: played against the shipped kernel, message by message."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from kernel_kit import Outputs, shown_text, vscode
from model_server import Hold, ModelServer, Reply, calls, delta, end, text
from registries_kit import add_policy

MADE = {
    "name": "shout",
    "description": "Writes a word in capitals",
    "source": "return {handler = function(input) return {said = input.word:upper()} end}",
    "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


def markdown(outputs: Outputs) -> list[str]:
    return [output.data["text/markdown"] for output in outputs if "text/markdown" in output.get("data", {})]


def test_a_notebook_in_vs_code(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold, stall = Hold(), Hold()
    grows = Reply((delta(content="It is **no"), hold, delta(content="on**."), end("stop")))
    stalls = Reply((delta(content="Let me"), stall, end("stop")))
    script = [grows, calls(("create_tool", MADE)), text("You said no."), stalls, text("Here.")]
    with ModelServer(script) as server:
        monkeypatch.setenv("MICRO_AGI_MODEL", "")
        monkeypatch.setenv("OPENAI_API_KEY", "anything")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        add_policy("ask", "registry.create", "*", "agent_security")
        with vscode() as code:
            seen: list[str] = []

            def watch(outputs: Outputs) -> None:
                seen.extend(markdown(outputs)[-1:])
                if seen:
                    hold.release()

            reply, outputs = code.run("what time is it?", watch)
            assert reply["status"] == "ok"
            nbformat.validate(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)]))
            assert sum("micro_agi" in output.metadata for output in outputs if "metadata" in output) == 1
            assert seen[0] == "It is **no" and markdown(outputs) == ["It is **noon**."], "it grows in its place"

            reply, outputs = code.run("shout", answer="")
            assert reply["status"] == "ok"
            assert len(code.asked) == 2 and code.asked[0].startswith("approve registry.create on app.generated:shout?")
            assert "app.generated:shout" in shown_text(outputs), "what is asked about stands in the cell"
            assert "You said no." in shown_text(outputs), "Escape is no yes"

            stopped = False

            def stop(outputs: Outputs) -> None:
                nonlocal stopped
                if "Let me" in shown_text(outputs) and not stopped:
                    stopped = True
                    code.interrupt()

            reply, outputs = code.run("think", stop)
            assert (reply["status"], reply["ename"]) == ("error", "Interrupted")
            assert markdown(outputs)[-1].startswith("Let me") and outputs[-1].output_type == "error"

            waiting = [code.send("%nothing"), code.send("are you there?")]
            assert code.receive(waiting[0])[0]["status"] == "error"
            reply, outputs = code.receive(waiting[1])
            assert reply["status"] == "ok" and "Here." in shown_text(outputs), "stop_on_error is false: it goes on"
            assert code.notebook.replaced == 0, "metadata and kinds of data stay what they were: no cell is redrawn"
