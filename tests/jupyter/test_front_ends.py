"""The kernel in real front ends that need no browser: nbclient, nbconvert, jupyter console."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pexpect
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from micro_agi_kernel.frontends.jupyter.ipynb import as_ipynb
from micro_agi_kernel.logs.turns import read_turns

NAME = "micro-agi-scripted"
HOSTILE = base64.b64encode(b"Look: <img src=x onerror=alert(1)>\n\n```html\n<script>alert(1)</script>\n```\n").decode()


@pytest.fixture(autouse=True)
def scripted_kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kernels" / NAME
    folder.mkdir(parents=True)
    argv = [sys.executable, str(Path(__file__).with_name("scripted_kernel.py")), "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Scripted", "language": "markdown", "interrupt_mode": "message"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))


def execute(*sources: str) -> nbformat.NotebookNode:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, kernel_name=NAME, timeout=60).execute()
    nbformat.validate(notebook)
    return notebook


def test_nbclient_keeps_one_output_for_each_cell(tmp_path: Path) -> None:
    notebook = execute("tool look\nsay It is **noon**.", f"markdown {HOSTILE}")
    assert [len(cell.outputs) for cell in notebook.cells] == [1, 1]
    output = notebook.cells[0].outputs[0]
    assert output.data["text/plain"] == "  [look] ok\nIt is **noon**. "
    assert output.metadata["micro_agi"]["registry"] == "b" * 40
    assert notebook.metadata.language_info.name == "markdown"
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert "<strong>noon</strong>" in page
    assert not re.search(r"<img[^>]*onerror|<script>alert", page)


def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    """The kernel that is shipped, in the place of the scripted one, with a data folder of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MICRO_AGI_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("MICRO_AGI_MODEL", model)
    (tmp_path / "kernels" / NAME / "kernel.json").write_text(
        json.dumps(
            {
                "argv": [sys.executable, "-P", "-m", "micro_agi_kernel", "-f", "{connection_file}"],
                "display_name": "Micro AGI",
                "language": "markdown",
                "interrupt_mode": "message",
            }
        )
    )


def test_the_shipped_kernel_makes_a_tool_offline_and_undoes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(tmp_path, monkeypatch, "demo")
    asked, undone, chosen, called = execute(
        "what time is it?", "%revert main", "%set render.front_end terminal", "%call registry_list {}"
    ).cells
    [output] = asked.outputs
    assert "\n  [create_tool] ok\n  [load_tool] ok\n  [+] app.generated:" in output.data["text/plain"]
    revision = output.metadata["micro_agi"]
    assert revision["registry"] != revision["before"]
    [output] = undone.outputs
    said = r"^v3: Reverts \w{12}: Create app\.generated:"
    assert re.search(said, output.data["text/plain"])
    assert output.metadata["micro_agi"]["before"] == revision["registry"]
    assert chosen.outputs[0].output_type == "display_data"
    text = "".join(output.text for output in called.outputs)
    assert "registry_list" in text and '"entries": [' in text


def test_an_exported_session_runs_again_to_its_end_though_cells_failed_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One was interrupted after some words, one failed before any."""

    def turn(prompt: str, said: str, finish: str | None, **end: str) -> list[dict[str, Any]]:
        request = {"kind": "Request", "messages": [{"role": "user", "text": prompt}]}
        answer = {"kind": "Answer", "text": said, "finish": finish, "error": end.get("error", "")}
        shown = {"kind": "TextDelta", "text": said}
        return [{"kind": "Prompt", "text": prompt}, request, shown, answer, {"kind": "TurnFinished", **end}]

    lines = [
        {"kind": "Session", "format": 1},
        *turn("hello", "One.", "stop", status="ok"),
        *turn("slow", "Now this", None, status="interrupted"),
        *turn("wrong", "", None, status="error", error="no credit", error_name="ModelError"),
        *turn("hello", "Two.", "stop", status="ok"),
    ]
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(map(json.dumps, lines)))
    exported = nbformat.from_dict(as_ipynb(read_turns(log), footer=True))
    ship(tmp_path, monkeypatch, f"replay:{log}")
    NotebookClient(exported, kernel_name=NAME, timeout=60).execute()
    nbformat.validate(exported)
    answers = [[out.get("evalue") or out.data["text/plain"].strip() for out in cell.outputs] for cell in exported.cells]
    ends = "the recorded answer ends here"
    assert answers == [["One."], ["Now this", f"{ends}: the cell was stopped"], [f"{ends}: no credit"], ["Two."]]
    tagged = [cell.source for cell in exported.cells if cell.metadata.get("tags") == ["raises-exception"]]
    assert tagged == ["slow", "wrong"]


def test_nbclient_stops_at_a_failed_cell() -> None:
    with pytest.raises(CellExecutionError, match="no key: set OPENAI_API_KEY"):
        execute("error no key: set OPENAI_API_KEY", "say never")


def test_the_console_shows_the_transcript_and_is_interrupted_by_ctrl_c() -> None:
    console = pexpect.spawn(
        sys.executable,
        ["-m", "jupyter_console", f"--kernel={NAME}", "--ZMQTerminalInteractiveShell.simple_prompt=True"],
        encoding="utf-8",
        timeout=40,
        dimensions=(40, 120),
    )
    try:
        console.expect("Micro AGI .*\n")
        console.expect("In .*: ")
        time.sleep(2)  # the console asks before its output channel is connected, and waits for ever for what it missed
        console.sendline("tool look")
        console.expect_exact("  [look] \x1b[32mok\x1b[0m\r\n")
        console.expect("In .*: ")
        console.sendline("say It is **noon**.")
        console.expect_exact("It is **noon**. \r\n")
        console.expect("In .*: ")
        console.sendline("work")
        console.expect_exact("note: begun")
        console.sendintr()
        console.expect_exact("Interrupted: the cell was stopped")
        console.expect("In .*: ")
        console.sendline("say fine")
        console.expect_exact("fine \r\n")
    finally:
        console.close(force=True)
