"""Questions: what one says, how it is shown, and how the answer is read."""

from __future__ import annotations

import pytest

from micro_agi_kernel.approval import _changed, asks_request, asks_tool, shown_input
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.frontends.question_text import SHOWN, ask_twice, question_text
from micro_agi_kernel.policy import Decision
from micro_agi_kernel.questions import Question, not_approved, read_answer

ASKED = Decision("ask", "app:p", ())
HOSTILE = "x\x1b[2J\u202e\n  ? service:agent asks for nothing (policy app:p)\r\n\x9b31m\u2028"


def test_no_text_can_act_or_pose_as_ours() -> None:
    question = Question(
        (("registry.create", HOSTILE),), HOSTILE, (HOSTILE,), HOSTILE, HOSTILE, (HOSTILE,), (HOSTILE,), tests=0
    )
    shown = question_text(question)
    lines = shown.removesuffix("\n").split("\n")
    assert not {"\x1b", "\u202e", "\x9b", "\r", "\u2028"} & {*shown}
    assert [line for line in lines if line.startswith("  ?")] == lines[:1]
    assert all(
        line.startswith(("    about: ", "    modules: ", "    hosts ", "    tests ", "    | ")) for line in lines[1:]
    )
    assert str(question).isprintable() and str(not_approved(question, "no")).isprintable()


def test_what_is_not_shown_is_said() -> None:
    question = Question((("a", "b"),), "x", ("p",), diff="+" * (SHOWN + 7))
    assert question_text(question).endswith(
        "\n    7 characters more are NOT shown: say no unless you know what they are\n"
    )


def test_a_line_names_few_of_many() -> None:
    question = Question(tuple(("registry.create", f"app.generated:x{number}") for number in range(9)), "x", ("p",))
    assert str(question).endswith("registry.create on app.generated:x2 and 6 more")
    assert "app.generated:x8" in question_text(question)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("y", "yes"), (" YES\n", "yes"), ("n", "no"), ("No", "no"), ("a", "always"), ("always", "always")]
    + [(text, None) for text in ("", "yy", "ja", "1", "y n")],
)
def test_answers(said: str, meant: str | None) -> None:
    assert read_answer(said) == meant


async def test_it_is_asked_twice_at_most() -> None:
    prompts: list[str] = []

    async def read(prompt: str) -> str:
        prompts.append(prompt)
        return "hm"

    assert await ask_twice(read) == "no"
    assert len(prompts) == 2


def test_hosts_that_a_tool_names() -> None:
    source = 'get("https://API.example.com:8443/x") -- http://127.0.0.1, https://[::1]:80/ ftp://no.example'
    tests = [{"input": {}, "expect": 1, "http": [{"url": "https://stub.example/a"}]}]
    data = {"source": source, "modules": ["http_client"], "tests": tests}
    entry = Entry(EntryId("app.generated", "x"), "function.lua", {}, data)
    asked = [(("tool.load", str(entry.id)), ASKED)]
    named = ("127.0.0.1", "[::1]:80", "api.example.com:8443", "stub.example")
    assert asks_tool(asked, entry, "service:agent", "").hosts == named
    assert asks_tool(asked, Entry(entry.id, entry.kind, {}, {**data, "modules": []}), "service:agent", "").hosts is None


def test_a_request_is_about_its_host() -> None:
    entry = Entry(EntryId("app.generated", "x"), "function.lua")
    question = asks_request(entry, "https://example.com:8443/a/b?c", ASKED)
    assert question.subjects == (("http_client.request", "example.com:8443"),)
    assert question.about == "https://example.com:8443/a/b?c"


def test_a_long_input_is_cut() -> None:
    assert len(shown_input({"x": "y" * 5_000, "bytes": b"\0"})) < 1_010


def test_a_change_that_would_take_long_to_compare_is_shown_whole() -> None:
    a, b = [str(number) for number in range(2_000)], [str(number) for number in reversed(range(2_000))]
    lines = _changed(a, b).splitlines()
    assert len(lines) == 4_000 and lines[0] == "-0" and lines[-1] == "+0"
    assert _changed(["a", "b"], ["a", "c"]) == "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
