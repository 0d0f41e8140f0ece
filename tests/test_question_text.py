"""Questions: what one says, how it is shown, and how the answer is read."""

from __future__ import annotations

import pytest

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.frontends.question_text import SHOWN, ask_twice, question_text
from micro_agi_kernel.policy import Decision
from micro_agi_kernel.question_content import _changed, asks_request, asks_tool, shown_input
from micro_agi_kernel.questions import Question, not_approved, read_answer
from micro_agi_kernel.values import Json

ASKED = Decision("ask", "app:p", ())
PLAIN = Entry(EntryId("app.generated", "x"), "function.lua")
HTTP: dict[str, Json] = {"modules": ["http_client"]}
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
        line.startswith(("    about: ", "    modules: ", "    hosts ", "    tests ", "    | ", "    |> "))
        for line in lines[1:]
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

    question = Question((("tool.call", "app.generated:x"), ("tool.load", "\n" * 200)), "x", ("p",))
    assert await ask_twice(question, read) == "no"
    assert len(prompts) == 2
    assert prompts[0].startswith("approve tool.call on app.generated:x, tool.load on ") and prompts[0].isprintable()
    assert prompts[0].endswith("…? [y]es, [n]o, [a]lways for this session: ") and len(prompts[0]) < 180


async def test_the_end_of_the_input_is_a_no_at_once() -> None:
    answers: list[str | None] = [None, "y"]

    async def read(prompt: str) -> str | None:
        return answers.pop(0)

    assert await ask_twice(Question((("tool.call", "app.generated:x"),), "x", ("p",)), read) == "no"
    assert answers == ["y"]


def test_hosts_that_a_tool_names() -> None:
    source = 'get("https://API.example.com:8443/x") -- http://127.0.0.1, https://[::1]:80/ ftp://no.example'
    tests: list[Json] = [{"input": {}, "expect": 1, "http": [{"url": "https://stub.example/a"}]}]
    data: dict[str, Json] = {"source": source, "modules": ["http_client"], "tests": tests}
    entry = Entry(EntryId("app.generated", "x"), "function.lua", {}, data)
    asked = [(("tool.load", str(entry.id)), ASKED)]
    named = ("127.0.0.1", "[::1]:80", "api.example.com:8443", "stub.example")
    assert asks_tool(asked, entry, "service:agent", "").hosts == named
    assert asks_tool(asked, Entry(entry.id, entry.kind, {}, {**data, "modules": []}), "service:agent", "").hosts is None


def test_a_request_is_about_its_host_and_method() -> None:
    entry = Entry(EntryId("app.generated", "x"), "function.lua")
    question = asks_request(entry, "GET", "https://example.com:8443/a/b?c", ASKED)
    assert question.subjects == (("http_client.request", "GET/HEAD https://example.com:8443"),)
    assert asks_request(entry, "HEAD", "https://example.com:8443/", ASKED).covers == question.covers
    for method, url in (("GET", "http://example.com:8443/"), ("POST", "https://example.com:8443/a/b?c")):
        assert asks_request(entry, method, url, ASKED).covers.isdisjoint(question.covers)
    assert question.about == "GET https://example.com:8443/a/b?c"


def test_of_a_long_input_its_end_is_shown_and_how_much_is_not() -> None:
    said = shown_input({"note": "y" * 5_000, "bytes": b"\0", "amount": 1_000_000})
    shown = question_text(asks_tool([(("tool.call", "app.generated:x"), ASKED)], PLAIN, "service:agent", said))
    missing = f"\n    {len(said) - 1_200:,} characters here are NOT shown: say no unless you know what they are\n"
    assert missing in shown and '"amount": 1000000}\n' in shown and shown.count("y") in range(1_050, 1_200)
    url = "https://example.com/" + "a" * 1_176
    assert "NOT" not in question_text(asks_request(PLAIN, "GET", url, ASKED))
    assert "\n    1 characters here are NOT" in question_text(asks_request(PLAIN, "GET", url + "b", ASKED))


def test_many_hosts_hide_none() -> None:
    hosts = tuple(f"a{number:02}.example.com" for number in range(22))
    shown = question_text(Question((("a", "b"),), "x", ("p",), hosts=hosts))
    assert "a19." in shown and "a20." not in shown
    assert "\n    and 2 more hosts that are NOT shown: say no unless you know what they are\n" in shown
    source = "\n".join(f"-- https://{host}/" for host in hosts)
    asked = asks_tool([(("a", "b"), ASKED)], Entry(PLAIN.id, PLAIN.kind, {}, {"source": source, **HTTP}), "x", "")
    assert asked.hosts == hosts


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.gith\u0443b.com/x", "api.xn--githb-hze.com"),
        ("HTTPS://Evil.example", "evil.example"),
        ("https://api.github.com@evil.example/x", "evil.example"),
        ("http://x:y@[::1]:80/", "[::1]:80"),
        ("https://a_b.example:8443?x", "a_b.example:8443"),
        ("https://" + "\u0443" * 70 + ".com", "\\u0443" * 70 + ".com"),
        ("see https://a.example.", "a.example"),
    ],
)
def test_a_host_cannot_pass_for_another(url: str, host: str) -> None:
    in_tests: dict[str, Json] = {"tests": [{"input": {}, "expect": url}], **HTTP}
    for data in ({"source": f"get('{url}')", **HTTP}, in_tests):
        asked = asks_tool([(("a", "b"), ASKED)], Entry(PLAIN.id, PLAIN.kind, {}, data), "x", "")
        assert asked.hosts == (host,)


ENDS = ["\r", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"]


@pytest.mark.parametrize("end", ENDS)
def test_no_line_begins_within_a_line(end: str) -> None:
    """Lua goes on behind some of them, terminals behind others: what follows is no line of the difference."""
    diff = f"+-- note{end}-local old = 1{end}    tests passed: 9\n"
    shown = question_text(Question((("a", "b"),), "x", ("p",), diff=diff)).splitlines()
    (line,) = shown[1:]
    assert line.startswith("    | +-- note") and "-local old" in line and len(line) > len(diff.replace(end, ""))


@pytest.mark.parametrize("filler", [" ", "\t", "\u4e00", "."])
def test_what_is_wrapped_stays_behind_the_bar(monkeypatch: pytest.MonkeyPatch, filler: str) -> None:
    text = f"-- note{filler * 100}? service:agent asks for nothing"
    for columns, most in ((80, 80), (200, 80), (40, 40)):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = question_text(Question((("a", "b"),), "x", ("p",), about=f"x{text}", diff=f"+{text}\n")).splitlines()
        assert all(len(line.replace("\t", " " * 8).replace("\u4e00", "  ")) <= most for line in lines)
        assert all(line.startswith(("    about: ", "    | +", "    |> ")) for line in lines[1:])
        diff = lines[next(at for at, line in enumerate(lines) if line.startswith("    | ")) :]
        assert "".join(line[6 + line.startswith("    |> ") :] for line in diff) == f"+{text}"


def test_a_change_that_would_take_long_to_compare_is_shown_whole() -> None:
    a, b = [str(number) for number in range(2_000)], [str(number) for number in reversed(range(2_000))]
    lines = _changed(a, b).splitlines()
    assert len(lines) == 4_000 and lines[0] == "-0" and lines[-1] == "+0"
    assert _changed(["a", "b"], ["a", "c"]) == "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
