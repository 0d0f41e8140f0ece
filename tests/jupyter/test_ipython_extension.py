"""`%load_ext micro_agi_kernel` in a real IPython kernel: one kernel, whose agent asks a model of the test's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from documents_kit import ROOT, check_shown, read_blocks
from model_server import Hold, ModelServer, Reply, calls, text

Kernel: TypeAlias = Any
SECONDS = 30
PYTHON = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
TOOL = {
    "name": "twice",
    "description": "Twice a number.",
    "source": "return { handler = function(input) print('hi') return input.x * 2 end }",
    "input_schema": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
}


class Model:
    """Answers by what the newest message says."""

    def __init__(self) -> None:
        self.hold = Hold()
        self.prompts: list[str] = []

    def __call__(self, body: dict[str, Any]) -> Reply:
        newest = body["messages"][-1]
        if newest["role"] == "tool":
            return text("Done.")
        self.prompts.append(newest["content"])
        match newest["content"]:
            case "stall":
                whole = text("begun ", "ended")
                return Reply((*whole.events[:2], self.hold, *whole.events[2:]), whole.usage)
            case "make":
                return calls(("create_tool", TOOL))
            case _:
                return text("I am ", "**here**, <b>with</b> \x1b[31m.")


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    model = Model()
    with ModelServer(model) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", server.url)
        patch.setenv("OPENAI_API_KEY", "k")
        yield model


@pytest.fixture(scope="module")
def python(model: Model, kernel_class: type[Kernel], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel of Python that has the extension, and a policy that asks."""
    folder = tmp_path_factory.mktemp("ipython")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICRO_AGI_HOME", str(folder / "home"))
        patch.setenv("MICRO_AGI_PROFILE", "guarded")
        kernel = kernel_class(argv=PYTHON, log=folder / "stderr")
    try:
        reply, shown = kernel.run("%load_ext micro_agi_kernel")
        assert reply["content"]["status"] == "ok" and not shown
        yield kernel
    finally:
        kernel.close()


def test_an_answer_is_shown_as_the_kernel_of_the_agent_shows_it(python: Kernel, model: Model) -> None:
    python.run("name = 'Ann'")
    reply, shown = python.run("%%agi\nhello {name}, $name")
    assert reply["content"]["status"] == "ok"
    assert model.prompts[-1] == "hello {name}, $name"  # nothing of Python goes to a model by itself
    kinds = [message["msg_type"] for message in shown]
    assert kinds[0] == "display_data" and set(kinds) <= {"display_data", "update_display_data"}
    answer = next(each["content"]["data"] for each in reversed(shown) if "text/markdown" in each["content"]["data"])
    assert "**here**" in answer["text/markdown"] and "<b>" not in answer["text/markdown"]
    assert "\x1b" not in python.text(shown)


def test_other_front_ends_get_what_they_can_show(python: Kernel) -> None:
    _, terminal = python.run("%%agi\nhello?", front_end="terminal")
    assert {message["msg_type"] for message in terminal} == {"stream"}
    assert "I am **here**" in python.text(terminal) and "\x1b[31m" not in "".join(
        m["content"]["text"] for m in terminal
    )
    _, batch = python.run("%%agi\nhello?", front_end="batch")
    assert [message["msg_type"] for message in batch] == ["display_data"]


def test_commands_and_mistakes_are_lines(python: Kernel) -> None:
    reply, shown = python.run("%agi %tools")
    assert reply["content"]["status"] == "ok" and "create_tool" in python.text(shown)
    python.run("name = 'Ann'")
    reply, _ = python.run("%agi %tool {name}$name")
    assert "{name}$name" in reply["content"]["evalue"]
    reply, shown = python.run("%agi %nope")
    [error] = [message["content"] for message in shown if message["msg_type"] == "error"]
    assert reply["content"]["ename"] == error["ename"] == "Refused"
    assert error["evalue"] == "no command %nope; %help lists them all" and len(error["traceback"]) == 1
    assert error["traceback"][0].count("\n") == 0
    for line in ("%agi", "%agi make"):
        reply, _ = python.run(line)
        assert reply["content"]["evalue"] == "a prompt goes below %%agi; %agi is for commands: %agi %help lists them"
    reply, shown = python.run("%%agi\n\n")
    assert reply["content"]["status"] == "ok" and not shown


def test_an_interrupt_takes_a_question_back(python: Kernel) -> None:
    request = python.send("%%agi\nmake")
    assert python.client.get_stdin_msg(timeout=SECONDS)["content"]["prompt"]
    python.manager.signal_kernel(2)
    assert python.reply(request)["content"]["ename"] == "Interrupted"
    reply, shown = python.run("%%agi\nand now?")
    assert reply["content"]["status"] == "ok" and "here" in python.text(shown)


@pytest.mark.parametrize("answer", ["n", "y"])
def test_a_question_is_asked_below_the_cell(python: Kernel, answer: str) -> None:
    request = python.send("%%agi\nmake")
    asked = python.client.get_stdin_msg(timeout=SECONDS)
    assert asked["content"]["prompt"].startswith("approve registry.create on app.generated:twice? [y]es")
    python.client.input(answer)
    shown = python.text(list(python.shows(request)))
    assert python.reply(request)["content"]["status"] == "ok"
    assert "? service:agent asks for registry.create on app.generated:twice" in shown and "Done." in shown
    assert ("[create_tool] ok" in shown) == (answer == "y")


def test_an_interrupt_of_the_cell_stops_the_turn(python: Kernel, model: Model) -> None:
    request = python.send("%%agi\nstall")
    shows = python.shows(request)
    assert "begun" in python.text([next(shows)])
    python.manager.signal_kernel(2)
    shown = list(shows)
    content = python.reply(request)["content"]
    assert (content["status"], content["ename"], content["evalue"]) == ("error", "Interrupted", "the cell was stopped")
    assert [message["msg_type"] for message in shown][-1] == "error" and model.hold.closed.wait(SECONDS)
    reply, shown = python.run("%%agi\nand now?")
    assert reply["content"]["status"] == "ok" and "here" in python.text(shown)


LEFT = """
import threading, psutil
%unload_ext micro_agi_kernel
names = [thread.name for thread in threading.enumerate()]
gone, left = psutil.wait_procs(psutil.Process().children(recursive=True), timeout=10)
print("left:", left, [name for name in names if name.startswith(("micro-agi", "session-log", "asyncio"))])
"""


def test_unloading_ends_the_session_and_a_new_one_can_begin(python: Kernel) -> None:
    _, shown = python.run(LEFT)
    assert python.text(shown) == "left: [] []\n"
    reply, _ = python.run("%%agi\nhello?")
    assert reply["content"]["status"] == "error"
    python.run("%load_ext micro_agi_kernel\nimport os; os.environ['MICRO_AGI_MODELL'] = 'x'")
    reply, _ = python.run("%%agi\nhello?")
    assert reply["content"]["ename"] == "SettingsError"
    assert reply["content"]["evalue"].startswith("unknown setting (environment, MICRO_AGI_MODELL)")
    python.run("del os.environ['MICRO_AGI_MODELL']")
    _, shown = python.run("%%agi\nhello?")
    assert "here" in python.text(shown)


def test_the_cells_of_the_page_show_what_it_says(kernel_class: type[Kernel], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICRO_AGI_HOME", str(tmp_path))
        kernel = kernel_class(argv=PYTHON, log=tmp_path / "stderr")
    try:
        blocks = read_blocks(ROOT / "docs/library.md")
        for (kind, source), (next_kind, expected) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
            if kind == "cell":
                reply, shown = kernel.run(source.rstrip("\n"))
                assert reply["content"]["status"] == "ok"
                if next_kind == "output":
                    check_shown(kernel.text(shown), expected, source)
    finally:
        kernel.close()
