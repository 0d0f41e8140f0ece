"""What a server says or does not say harms nothing: a line or a result, within bounds, and no process left."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp_client_kit import HERE, alive, noted, raw, serving, until
from mcp_types import methods

from micro_agi_kernel.entries import to_files
from micro_agi_kernel.mcp_client import connection, definitions
from micro_agi_kernel.mcp_client.definitions import ListedByServer, read_offer
from micro_agi_kernel.mcp_client.watch import WHOLE
from micro_agi_kernel.mcp_settings import McpServer
from micro_agi_kernel.outputs import Display

FAILURES = {
    "huge": "mcp.raw sent a message of more than 4 MiB while it was called",
    "flood": "mcp.raw said too much that nobody asked for while it was called",
    "broken": "mcp.raw answered with what is no result of a tool, or asks for input",
    "nan": "mcp.raw answered with what cannot be passed on: it: nan is no JSON number",
}


@pytest.mark.parametrize("way", FAILURES)
async def test_an_answer_that_cannot_be_used_is_an_error_in_a_line(way: str, capfd: pytest.CaptureFixture[str]) -> None:
    async with serving(raw(way)) as servers:
        assert await servers.servers.ready() == []
        assert await servers.failure("mcp.raw:echo") == FAILURES[way]
        assert await servers.failure("mcp.raw:echo") == FAILURES[way]  # started again where it was ended
    assert capfd.readouterr() == ("", "")  # nor does the SDK's log say it


RESULT = '{"jsonrpc":"2.0","id":ID,"result":{%s}}'
TOO_MANY = "mcp.raw said more than 200,000 parts while it was called"
BESIDE = "mcp.raw said more than 2,000 parts in what is no result of a tool while it was called"
NO_RESULT = "mcp.raw answered with what is no result of a tool, or asks for input"
SAMPLE = '{"jsonrpc":"2.0","id":"a","method":"sampling/createMessage","params":{"maxTokens":9,"messages":[PARTS]}}'
PARTS = [
    (RESULT % '"content":[PARTS]', "{}", 1_300_000, TOO_MANY),
    (RESULT % '"content":[PARTS]', "null", 700_000, TOO_MANY),
    (RESULT % '"content":[PARTS]', '{"type":"text","text":"x"}', 90_000, TOO_MANY),
    (RESULT % '"content":[],"structuredContent":{"a":[PARTS]}', "[]", 1_000_000, TOO_MANY),
    (RESULT % "PARTS", '"a":{}', 500_000, TOO_MANY),
    (RESULT % '"content":[PARTS]', "{}", 100_000, NO_RESULT),
    (RESULT % '"content":[PARTS]', "null", 100_000, NO_RESULT),
    (RESULT % '"content":[PARTS]', '{"type":"text","text":"x"}', 30_000, ""),
    (RESULT % '"content":[{"type":"text","text":"x","annotations":{"audience":[PARTS]}}]', "0", 100_000, ""),
    (RESULT % '"content":[],"structuredContent":{"a":[PARTS]}', "{}", 100_000, ""),
    (RESULT % '"inputRequests":[PARTS],"resultType":"input_required"', "{}", 10_000, BESIDE),
    ('{"jsonrpc":"2.0","id":ID,"error":{"code":1,"message":"x","data":[PARTS]}}', "{}", 10_000, BESIDE),
    (SAMPLE, "{}", 10_000, BESIDE),
]


def judged_by_the_sdk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets the number of parts, for each message that the SDK holds to the forms of the protocol."""
    judged: list[int] = []

    def counting(judge: Callable[..., Any]) -> Callable[..., Any]:
        def judges(method: str, version: str, said: Any) -> Any:
            seen = {key: value for key, value in (said or {}).items() if key != WHOLE}
            judged.append(sum(sign in "[{,:" for sign in json.dumps(seen)))
            return judge(method, version, said)

        return judges

    for name in ("validate_server_result", "parse_server_request"):
        monkeypatch.setattr(methods, name, counting(getattr(methods, name)))
    return judged


@pytest.mark.parametrize(("form", "part", "times", "failure"), PARTS)
async def test_the_sdk_gets_no_more_parts_than_it_can_judge(
    form: str, part: str, times: int, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds each part to every form that there is, on the session's own loop: that took minutes."""
    judged = judged_by_the_sdk(monkeypatch)
    async with serving(raw("parts")) as servers:
        assert await servers.servers.ready() == []
        outcome = await servers.call("mcp.raw:echo", form=form, part=part, times=times)
        assert (outcome.error.message if outcome.error else "") == failure
    assert judged and max(judged) < 10_000


async def test_a_list_of_nothing_is_left_out_and_an_endless_one_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = judged_by_the_sdk(monkeypatch)
    async with serving(raw("empty"), replace(raw("endless_list"), name="endless")) as servers:
        *empty, endless = await servers.servers.ready()
    assert endless == "mcp.endless said more than 200,000 parts"
    assert len(empty) == 6 and empty[-1] == "mcp.raw: 995 more tools left out for such reasons"
    assert judged and max(judged) < 10_000


async def test_an_error_is_bounded_and_its_text_harmless() -> None:
    async with serving(raw("error")) as servers:
        await servers.servers.ready()
        said = await servers.failure("mcp.raw:echo")
    assert said.startswith("mcp.raw refused the call: no \ufffd[31m such \ufffd thing mmm") and len(said) < 600


async def test_the_words_of_a_failed_call_are_bounded_and_harmless() -> None:
    async with serving(raw("failed")) as servers:
        await servers.servers.ready()
        said = await servers.failure("mcp.raw:echo")
    assert said.startswith("mcp.raw says that it failed: no \ufffd[31m such \ufffd thing mmm") and len(said) < 2_100


async def test_what_a_server_asks_of_us_is_refused() -> None:
    async with serving(raw("asks")) as servers:
        await servers.servers.ready()
        outcome = await servers.call("mcp.raw:echo")
    assert isinstance(outcome.value, dict)
    assert json.loads(str(outcome.value["text"])) == [[f"s{n}", True] for n in range(4)]


async def test_pictures_are_shown_and_the_rest_is_a_note() -> None:
    async with serving(raw("blocks")) as servers:
        await servers.servers.ready()
        outcome = await servers.call("mcp.raw:echo")
    picture = b"\x89PNG\r\n\x1a\n" + b"0" * 100
    assert servers.shown == [Display({"image/png": picture})] and outcome.shown == len(picture)
    assert outcome.value == {
        "said_by": "mcp.raw",
        "text": "one\ntwo",
        "notes": [
            "a picture (image/png, 108 bytes): the person sees it, you do not",
            "a picture (image/png) is left out",
            "a part of the form audio is left out",
            "a link to https://example.com/\ufffd (x); nothing opens it",
        ],
    }


async def test_a_server_that_never_answers_is_waited_for_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(connection, "START_SECONDS", 0.3)
    notes = tmp_path / "notes"
    async with serving(raw("mute", notes)) as servers:
        assert await servers.servers.ready() == ["mcp.raw did not answer within 0.3 s"]
        await asyncio.wait_for(servers.servers.ready(), 0.2)  # the next try is made beside
        await until(lambda: len(noted(notes, "pid")) >= 4)
    await until(lambda: not alive(notes))  # SIGTERM did not help, and it had a child


async def test_a_call_has_a_time_and_the_server_goes_on() -> None:
    async with serving(raw("plain"), seconds=0.3) as servers:
        await servers.servers.ready()
        assert await servers.failure("mcp.raw:wait") == "mcp.raw: time limit of 0.3 s"
        assert (await servers.call("mcp.raw:echo", a=1)).ok


async def test_odd_tools_are_left_out_and_the_others_can_be_sent() -> None:
    async with serving(raw("odd")) as servers:
        lines = await servers.servers.ready()
        entries = servers.servers.entries("mcp.raw") or ()
    assert {str(entry.id) for entry in entries} == {
        f"mcp.raw:{name}" for name in ("fine", "a_b", "_1st", "_-dash", "bidi", "any")
    }
    assert lines[0] == "mcp.raw: 'fine' is left out: another tool of that name came first"
    assert len(lines) == 6 and lines[-1].endswith("more tools left out for such reasons")
    bidi = next(entry for entry in entries if entry.id.name == "bidi")
    said = bidi.description
    assert said.startswith("[of the MCP server raw] Turns \ufffd text \ufffd]0;x\ufffd and hides \ufffd some.yy")
    assert len(said) < 2_100
    shown = "".join(content.decode() for entry in entries for content in to_files(entry).values())
    assert not any(hidden in shown for hidden in ("\u202e", "\x1b", "\U000e0041", "\\u202e", "\\e"))
    assert all(len(entry.text("llm_alias")) <= 64 for entry in entries)


async def test_a_tool_of_wrong_form_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "MAX_TOLD", 20)
    async with serving(raw("wrong")) as servers:
        lines = await servers.servers.ready()
        entries = servers.servers.entries("mcp.raw") or ()
        assert {entry.id.name for entry in entries} == {"fine", "untyped", "annotated", "output"}
        assert (await servers.call("mcp.raw:output")).ok
    begun = [line.removeprefix("mcp.raw: ") for line in lines]
    unnamed = "'' is left out: its name is not of letters, digits, _, -, . and /"
    assert begun[:6] == [
        *([unnamed] * 3),
        "'none' is left out: its schema is no table",
        "'text' is left out: its schema is no table",
        "'described' is left out: its description is no text",
    ]
    assert [line.split(" is left out: ")[0] for line in begun[6:]] == ["'nullable'", "'required'", "'no_properties'"]


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"properties": {"a": {"$ref": "https://example.com/x"}}}, "refers to another document"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "leads to nothing"),
        ({"properties": {"a b": {}}}, "has a name that models cannot use"),
        ({"properties": {"a": {"enum": ["\u202e"]}}}, "a text with hidden or control characters"),
        ({"properties": {"a": {"x\u200b": 1}}}, "a name with hidden or control characters"),
        ({"properties": {"a": {"pattern": "(?=x)"}}}, "the pattern '(?=x)'"),
        ({"properties": {"a": {"type": "thing"}}}, "type"),
        ({"properties": []}, "properties that are no table"),
        ({"type": "array"}, "of no object"),
        ({"properties": {"a": {"const": 1 << 70}}}, "an integer beyond 64 bits"),
        ({"properties": {"a": {"default": float("nan")}}}, "no JSON number"),
        ({"properties": {"a": {"default": "\ud800"}}}, "lone surrogate"),
        ({"properties": {f"a{n}": {"description": "x" * 100} for n in range(200)}}, "longer than 16,384"),
    ],
)
def test_a_schema_that_a_provider_could_refuse(schema: dict[str, object], why: str) -> None:
    offer = read_offer(McpServer("raw"), [ListedByServer("bad", "", schema), ListedByServer("good", "", {})])
    assert [id.name for id in offer.entries] == ["good"]
    [line] = offer.left_out
    assert line.startswith("'bad' is left out: ") and why in line


def test_names_that_meet_are_told_apart() -> None:
    long = "n" * 100
    offer = read_offer(
        McpServer("raw"), [ListedByServer(name, "", {}) for name in ("a.b", "a-b", "a_b", f"{long}1", f"{long}2")]
    )
    aliases = [entry.text("llm_alias") for entry in offer.entries.values()]
    assert len(set(aliases)) == 5 and not offer.left_out and all(len(alias) <= 64 for alias in aliases)


def test_no_two_tools_have_one_name_for_the_model() -> None:
    names = ("a_b", f"a_b_{hashlib.sha256(b'a.b').hexdigest()[:8]}", "a.b")
    offer = read_offer(McpServer("raw"), [ListedByServer(name, "", {}) for name in names])
    assert [id.name for id in offer.entries] == list(names[:2])
    assert offer.left_out == ("'a.b' is left out: the model would know it by the name of another tool",)


def test_only_the_tools_that_the_person_named() -> None:
    server = McpServer("raw", tools=("b", "none"))
    offer = read_offer(server, [ListedByServer(name, "", {}) for name in "abc"])
    assert [id.name for id in offer.entries] == ["b"]
    assert offer.left_out == ("it has no tool 'none', which mcp.servers.raw.tools names",)


def test_schemas_that_take_long_are_not_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "MAX_SECONDS", -1.0)
    offer = read_offer(McpServer("raw"), [ListedByServer("a", "", {})])
    assert not offer.entries and offer.left_out[0].startswith("1 more tool, beyond 64 tools")


async def test_lists_without_an_end_are_bounded() -> None:
    async with serving(replace(raw("many"), name="many"), raw("endless")) as servers:
        many, endless, all_of_them = await servers.servers.ready()
        counts = [len(servers.servers.entries(name) or ()) for name in ("mcp.many", "mcp.raw")]
        entries = [*(servers.servers.entries("mcp.many") or ()), *(servers.servers.entries("mcp.raw") or ())]
        assert counts[0] == 39 and counts[1] > 0
        assert len(entries) <= 64 and sum(len(json.dumps(entry.meta)) for entry in entries) <= 65_536
    assert many == "mcp.many: 61 more tools, beyond 64 tools or 65,536 characters: name those that you want in " + (
        "mcp.servers.many.tools"
    )
    assert endless.startswith("mcp.raw: 336 more tools, beyond")
    assert all_of_them.startswith(f"mcp.raw: {64 - counts[1]} more tools, beyond")


async def test_servers_that_do_not_start_say_why(tmp_path: Path) -> None:
    named = (
        raw("malformed"),
        replace(raw("version"), name="version"),
        McpServer("nothing", ("no-such-program-anywhere",)),
        McpServer("variable", ("cat",), env=("NO_SUCH_VARIABLE_OF_OURS",)),
        McpServer("cat", ("cat",)),
    )
    async with serving(*named) as servers:
        assert await servers.servers.ready() == [
            "mcp.raw answers with what is not of the protocol",
            "mcp.version cannot be used: Unsupported protocol version from the server: 1999-01-01",
            "mcp.nothing there is no program 'no-such-program-anywhere'",
            "mcp.variable the environment has no NO_SUCH_VARIABLE_OF_OURS, which its env names",
            "mcp.cat refuses: Method not found",
        ]


async def test_without_the_package_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.client.client", None)
    async with serving(raw("plain")) as servers:
        assert await servers.servers.ready() == ["mcp.raw needs the package mcp: pip install 'micro-agi-kernel[mcp]'"]


KILLED = f"""
import asyncio, sys
sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
from mcp_client_kit import raw
from micro_agi_kernel.mcp_client.by_program import _start
async def main():
    await _start(raw("mute", Path(sys.argv[1])))
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG")
async def test_a_program_ends_with_a_kernel_that_is_killed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(notes)]) as kernel:  # noqa: ASYNC220
        await until(lambda: len(noted(notes, "pid")) == 2)
        kernel.send_signal(signal.SIGKILL)
    server, child = (int(pid) for pid in noted(notes, "pid"))
    try:
        await until(lambda: server not in alive(notes))
    finally:
        os.kill(child, signal.SIGKILL)  # what a program starts is its own to end: its input has ended
