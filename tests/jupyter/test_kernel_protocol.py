"""The kernel's side of the Jupyter protocol, spoken to by jupyter_client."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest


def text_of(shown: list[dict[str, Any]]) -> str:
    return "".join(m["content"]["text"] for m in shown if m["msg_type"] == "stream")


def answers_again(kernel: Any) -> None:
    reply, shown = kernel.run("say fine", front_end="terminal")
    assert reply["content"]["status"] == "ok"
    assert text_of(shown) == "fine \n"


def wait_for_text(kernel: Any, request: str, text: str) -> None:
    for message in kernel.shows(request):
        if text in str(message["content"]):
            return
    pytest.fail(f"the cell ended without {text!r}")


def test_kernel_info_claims_what_is_there(kernel: Any) -> None:
    content = kernel.reply(kernel.client.kernel_info())["content"]
    assert content["implementation"] == "micro-agi"
    assert content["language_info"]["mimetype"] == "text/markdown"
    assert content["language_info"]["file_extension"] == ".md"
    assert content["supported_features"] == []
    assert content["implementation_version"] in content["banner"]


def test_nothing_heavy_is_loaded_before_kernel_info() -> None:
    program = "import sys, micro_agi_kernel.frontends.jupyter.app; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    libraries = {"openai", "tiktoken", "jsonschema", "dulwich", "lupa", "httpx", "yaml", "markdown_it"}
    python_kernel = {"debugpy", "jedi", "matplotlib_inline", "ipykernel.kernelapp", "ipykernel.ipkernel"}
    ours = {"micro_agi_kernel.events", "micro_agi_kernel.session", "micro_agi_kernel.settings"}
    assert set(ended.stdout.split()).isdisjoint(libraries | python_kernel | ours)


def test_a_folder_of_notebooks_cannot_shadow_a_library(tmp_path: Path) -> None:
    (tmp_path / "zmq.py").write_text("raise SystemExit('shadowed')")
    spec = Path(__file__).parents[2] / "kernelspec" / "kernel.json"
    argv = json.loads(spec.read_text())["argv"]
    command = [sys.executable, *argv[1:-1], "no-such-file.json"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "shadowed" not in ended.stderr
    assert ended.returncode == 1
    assert ended.stderr.startswith("micro-agi: no kernel from the connection file")
    assert len(ended.stderr.splitlines()) == 1


def test_empty_and_silent_cells_reach_no_model(kernel: Any) -> None:
    before = kernel.run("report", front_end="terminal")[1]
    for code, silent in (("  \n", False), ("say no", True)):
        reply, shown = kernel.run(code, front_end="terminal", silent=silent)
        assert (reply["content"]["status"], shown) == ("ok", [])
    after = kernel.run("report", front_end="terminal")[1]
    assert prompts(after) == prompts(before) + 1  # the report itself


def prompts(shown: list[dict[str, Any]]) -> int:
    return int(json.loads(text_of(shown))["prompts"])


def test_a_prompt_is_complete_unless_it_plainly_goes_on(kernel: Any) -> None:
    for code, status in (
        ("what time is it?", "complete"),
        ("", "complete"),
        ("first line \\", "incomplete"),
        ("```python\nprint(1)", "incomplete"),
        ("```python\nprint(1)\n```", "complete"),
        ("````\n```\n", "incomplete"),
        ("use ``` inline ``` here", "complete"),
        ("%%lua", "incomplete"),
        ("%%lua json\nreturn 1", "incomplete"),
        ("\n %%lua\n\nreturn [[\n```", "incomplete"),
        ("%%lua\nreturn 1\n", "complete"),
        ("%%parameters\ncity = 1\n  ", "complete"),
        ("%help", "complete"),
    ):
        assert kernel.reply(kernel.client.is_complete(code))["content"]["status"] == status, code


def test_a_code_that_is_no_text_has_its_replies(kernel: Any) -> None:
    """Half a surrogate pair: a browser's JSON may hold one, and no message of ours can."""
    session = kernel.client.session
    session.pack = lambda content: json.dumps(content, default=str).encode()  # as a browser packs it
    try:
        reply, shown = kernel.run("say \ud800 and \U0001f600")
        assert reply["content"]["status"] == "ok" and "\ufffd and \U0001f600" in str(shown)
        for ask in (kernel.client.complete, kernel.client.inspect):
            assert kernel.reply(ask("%tool \ud800", 7))["content"]["status"] == "ok"
        assert kernel.reply(kernel.client.is_complete("\udfff"))["content"]["status"] == "complete"
    finally:
        session.packer = "json"


def test_history_has_the_last_prompts(start_kernel: Any) -> None:
    kernel = start_kernel()
    for word in ("one", "two", "three"):
        kernel.run(f"say {word}")
    kernel.run("say secret", store_history=False)

    def history(kind: str, **asked: Any) -> list[list[Any]]:
        request = kernel.client.history(hist_access_type=kind, raw=True, output=False, **asked)
        return list(kernel.reply(request)["content"]["history"])

    assert history("tail", n=2) == [[0, 2, "say two"], [0, 3, "say three"]]
    kernel.run("say two")
    asked = {
        "range": ({"session": 0, "start": 1, "stop": 3}, [1, 2]),
        "search": ({"pattern": "*t*o*", "n": 5}, [2, 5]),
    }
    for kind, (more, numbers) in asked.items():
        assert [item[1] for item in history(kind, **more)] == numbers
    assert history("search", pattern="*two", unique=True) == [[0, 5, "say two"]]


def test_completion_and_inspection_answer_while_a_cell_runs(kernel: Any) -> None:
    cell = kernel.send("say begun\nstall")
    wait_for_text(kernel, cell, "begun")
    for ask in (kernel.client.complete, kernel.client.inspect):
        request = ask("x", 1)
        assert kernel.reply(request)["content"]["status"] == "ok"
        states = []
        while states != ["idle", "busy"]:  # idle for the request, then busy for the cell again
            message = kernel.client.get_iopub_msg(timeout=20)
            if message["msg_type"] == "status":
                assert message["parent_header"]["msg_id"] == (cell if states else request)
                states.append(message["content"]["execution_state"])
    kernel.interrupt()
    assert kernel.reply(cell)["content"]["ename"] == "Interrupted"
    answers_again(kernel)


STOPS = {
    "text": "say partial answer\nstall",
    "tool": 'say partial answer\nstart slow\nprint "working\\n"\nstall',
    "stalled model": "notice partial answer\nstall",
}


@pytest.mark.parametrize("how", ["message", "signal"])
@pytest.mark.parametrize("script", STOPS.values(), ids=STOPS.keys())
def test_an_interrupt_ends_the_turn_and_keeps_what_was_said(kernel: Any, script: str, how: str) -> None:
    request = kernel.send(script)
    wait_for_text(kernel, request, "working" if "working" in script else "partial")
    queued = [kernel.send("say queued"), kernel.send("say queued")]
    kernel.barrier()
    kernel.interrupt(how)
    shown = list(kernel.shows(request))
    reply = kernel.reply(request)
    assert reply["content"]["status"] == "error"
    assert [m["content"]["ename"] for m in shown if m["msg_type"] == "error"] == ["Interrupted"]
    assert "micro_agi" not in reply["metadata"]
    assert [kernel.reply(cell)["content"]["status"] for cell in queued] == ["aborted", "aborted"]
    answers_again(kernel)


def test_a_cell_sent_after_the_error_is_never_aborted(kernel: Any) -> None:
    for _ in range(30):
        assert kernel.reply(kernel.send("error no key"))["content"]["status"] == "error"
        assert kernel.reply(kernel.send("say fine"))["content"]["status"] == "ok"


def test_a_client_may_ask_to_go_on_after_an_error(kernel: Any) -> None:
    failing = kernel.send("say begun\nwait 0.2\nerror no key", stop_on_error=False)
    queued = kernel.send("say fine")
    assert kernel.reply(failing)["content"]["status"] == "error"
    assert kernel.reply(queued)["content"]["status"] == "ok"


def test_the_saved_cell_has_the_partial_answer(kernel: Any) -> None:
    request = kernel.send("say one two three\nwait\nsay four\nstall")
    shown = []
    for message in kernel.shows(request):
        shown.append(message)
        if len(shown) == 1:
            kernel.interrupt()
    assert shown[-1]["msg_type"] == "error"
    assert shown[-2]["content"]["data"]["text/plain"] == "one two three four "
    answers_again(kernel)


def test_a_second_interrupt_ends_a_turn_that_held_out(kernel: Any) -> None:
    request = kernel.send("say begun\nstubborn")
    wait_for_text(kernel, request, "begun")
    kernel.interrupt()
    wait_for_text(kernel, request, "holding out")
    kernel.interrupt()
    assert kernel.reply(request)["content"]["ename"] == "Interrupted"
    answers_again(kernel)


def test_an_interrupt_between_cells_does_nothing(kernel: Any) -> None:
    kernel.interrupt("message")
    kernel.interrupt("signal")
    answers_again(kernel)


@pytest.mark.parametrize("front_end", ["notebook", "terminal", "batch"])
def test_a_failed_turn_shows_one_error(kernel: Any, front_end: str) -> None:
    reply, shown = kernel.run("error no key:\nset it", front_end=front_end)
    errors = [m["content"] for m in shown if m["msg_type"] == "error"]
    assert errors == [{"ename": "ModelError", "evalue": "no key:", "traceback": ["\x1b[31mModelError\x1b[0m: no key:"]}]
    assert reply["content"]["status"] == "error"
    assert reply["content"]["evalue"] == "no key:"
    answers_again(kernel)


def test_a_bug_of_ours_shows_its_traceback_and_the_kernel_lives(kernel: Any) -> None:
    reply, shown = kernel.run("say so far\nbug the \x1b[2J reason")
    assert reply["content"]["ename"] == "ZeroDivisionError"
    assert "Traceback (most recent call last):" in reply["content"]["traceback"]
    assert "\x1b" not in str(shown)
    assert shown[0]["content"]["data"]["text/plain"].startswith("so")
    answers_again(kernel)


def test_each_cell_tries_again_to_open_the_session(start_kernel: Any, tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    kernel = start_kernel(f"missing={registry}")
    for _ in range(2):
        reply, shown = kernel.run("say hello")
        assert reply["content"]["ename"] == "RegistryError"
        assert reply["content"]["traceback"] == [f"RegistryError: {registry} is no repository: give another path"]
        assert [m["msg_type"] for m in shown] == ["error"]
    registry.mkdir()
    answers_again(kernel)


def test_the_kernel_answers_while_the_session_opens(start_kernel: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    kernel = start_kernel(f"gate={gate}")
    cell = kernel.send("say too soon")
    kernel.barrier()
    kernel.interrupt()
    assert kernel.reply(cell)["content"]["ename"] == "Interrupted"
    gate.touch()
    assert prompts(kernel.run("report", front_end="terminal")[1]) == 1
    answers_again(kernel)


def test_a_shutdown_closes_the_session_that_is_opening(start_kernel: Any, tmp_path: Path) -> None:
    gate, closed = tmp_path / "gate", tmp_path / "closed"
    kernel = start_kernel(f"gate={gate}", f"closed={closed}")
    kernel.client.shutdown()
    kernel.barrier()  # the shutdown waits, and the shell is still there
    gate.touch()
    assert kernel.client.get_control_msg(timeout=20)["content"]["status"] == "ok"
    assert closed.read_text() == "closed"


def test_a_failed_opening_is_not_tried_again_at_the_end(start_kernel: Any, tmp_path: Path) -> None:
    registry, closed = tmp_path / "registry", tmp_path / "closed"
    kernel = start_kernel(f"missing={registry}", f"closed={closed}")
    assert kernel.run("say hello")[0]["content"]["ename"] == "RegistryError"
    registry.mkdir()
    kernel.client.shutdown()
    assert kernel.client.get_control_msg(timeout=20)["content"]["status"] == "ok"
    assert not closed.exists()


@pytest.mark.parametrize("broken", ["open", "preload"])
def test_a_bug_in_the_warm_up_is_logged_with_its_traceback(start_kernel: Any, tmp_path: Path, broken: str) -> None:
    log = tmp_path / "log"
    kernel = start_kernel(f"broken={broken}", log=log)
    reply, _ = kernel.run("say fine")
    assert reply["content"].get("ename") == ("ZeroDivisionError" if broken == "open" else None)
    logged = log.read_text()
    assert "warming up failed" in logged
    assert "Traceback (most recent call last):" in logged and "is broken" in logged


def test_what_the_first_cell_will_say_is_not_logged(start_kernel: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    kernel = start_kernel(f"missing={tmp_path / 'registry'}", log=log)
    reply, _ = kernel.run("say fine")
    assert reply["content"]["ename"] == "RegistryError"
    assert log.read_text() == ""


def test_shutdown_closes_the_session_even_in_the_middle_of_a_turn(start_kernel: Any, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    kernel = start_kernel(f"closed={closed}")
    request = kernel.send("say begun\nstall")
    wait_for_text(kernel, request, "begun")
    kernel.client.shutdown()
    assert kernel.client.get_control_msg(timeout=20)["content"]["status"] == "ok"
    for _ in range(200):
        if not kernel.manager.is_alive():
            break
        time.sleep(0.05)
    assert not kernel.manager.is_alive()
    assert closed.read_text() == "closed"
