"""A cell that asks its person: by the front end's input line, while the kernel goes on."""

from __future__ import annotations

from typing import Any

import pytest

SECONDS = 30
PROMPT = "approve registry.create on app.generated:x? [y]es, [n]o, [a]lways for this session: "

SHOWN = """\
  ? service:agent asks for registry.create on app.generated:x (policy app:p)
    tests passed: 1
    | --- x.lua
    | +print '␛[2J'
    | +\ufffd
"""


def prompt_of(kernel: Any) -> str:
    message = kernel.client.get_stdin_msg(timeout=SECONDS)
    assert message["msg_type"] == "input_request" and message["content"]["password"] is False
    return str(message["content"]["prompt"])


def answer_of(shown: list[dict[str, Any]]) -> str:
    """The last thing that a cell showed as text."""
    texts = [m["content"].get("text") or m["content"]["data"].get("text/plain", "") for m in shown]
    return [text for text in texts if text][-1].strip()


def asks(kernel: Any, *answers: str, front_end: str = "terminal", code: str = "ask app.generated:x") -> Any:
    """Run a cell that asks, and answer its prompts; what it showed."""
    request = kernel.send(code, front_end=front_end)
    for answer in answers:
        prompt_of(kernel)
        kernel.client.input(answer)
    shown = list(kernel.shows(request))
    assert kernel.reply(request)["content"]["status"] == "ok"
    return shown


@pytest.mark.parametrize("front_end", ["notebook", "terminal"])
def test_the_person_sees_what_is_asked_and_answers(kernel: Any, front_end: str) -> None:
    request = kernel.send("say Well\nask app.generated:x", front_end=front_end)
    assert prompt_of(kernel) == PROMPT
    shown = kernel.shows(request)
    texts = []
    while not texts or SHOWN not in "".join(texts):  # it is there before the answer
        message = next(shown)
        texts.append(kernel.text([message]))
    kernel.client.input("Y")
    assert answer_of(list(shown)) == "yes"
    assert kernel.reply(request)["content"]["status"] == "ok"


@pytest.mark.parametrize(
    ("answers", "meant"),
    [
        (["yes"], "yes"),
        (["n"], "no"),
        ([" Always "], "always"),
        (["what?", "a"], "always"),
        (["", "yes please"], "no"),
        (["\x04"], "no"),
        (["what?", "\x04"], "no"),
    ],
)
def test_what_is_no_answer_is_asked_for_once_more(kernel: Any, answers: list[str], meant: str) -> None:
    assert answer_of(asks(kernel, *answers)) == meant


def test_questions_come_one_after_another(kernel: Any) -> None:
    shown = asks(kernel, "y", "n", code="ask app.generated:x\nask app.generated:y")
    text = kernel.text(shown)
    assert text.index("app.generated:x") < text.index("\nyes") < text.index("app.generated:y") < text.index("\nno")


@pytest.mark.parametrize("front_end", ["notebook", "terminal", "batch"])
def test_where_no_input_is_allowed_nobody_is_asked(kernel: Any, front_end: str) -> None:
    _, shown = kernel.run("ask app.generated:x", front_end=front_end, allow_stdin=False)
    assert answer_of(shown) == "nobody"


@pytest.mark.parametrize("how", ["message", "signal"])
def test_an_interrupt_while_a_question_stands(kernel: Any, how: str) -> None:
    request = kernel.send("ask app.generated:x", front_end="terminal")
    question = kernel.client.get_stdin_msg(timeout=SECONDS)
    kernel.barrier()  # completion is answered meanwhile
    kernel.interrupt(how)
    assert kernel.reply(request)["content"]["ename"] == "Interrupted"
    list(kernel.shows(request))
    late = kernel.client.session.msg("input_reply", {"value": "a"}, parent=question)
    request = kernel.send("ask app.generated:x", front_end="terminal")
    prompt_of(kernel)
    kernel.client.stdin_channel.send(late)
    kernel.client.input("n")
    assert answer_of(list(kernel.shows(request))) == "no"
    kernel.reply(request)
