"""`progress` and `display`: what a tool shows beside printed text."""

from __future__ import annotations

import pytest
from sandbox_kit import Runner

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.outputs import Display, Progress

pytestmark = pytest.mark.asyncio(loop_scope="module")

PNG = b"\x89PNG\r\n\x1a\n rest"


async def test_progress_is_told_with_what_is_known(lua: Runner) -> None:
    await lua.value("progress(1)")
    assert lua.shown == [Progress(1)]
    await lua.value("progress(2.5, 10, 'half a \\n line')")
    assert lua.shown == [Progress(2.5, 10, "half a \n line")]
    await lua.value("progress(0, 0)")
    assert lua.shown == [Progress(0, 0)]


async def test_the_last_progress_is_never_lost_and_few_are_sent(lua: Runner) -> None:
    await lua.value("for n = 1, 100000 do progress(n, 100000) end")
    assert lua.shown[-1] == Progress(100_000, 100_000)
    assert 1 <= len(lua.shown) < 1_000
    error = await lua.error("for n = 1, 1000 do progress(n) end error('stop')")
    assert "stop" in error.message
    assert lua.shown[-1] == Progress(1_000)


async def test_the_last_progress_before_a_hang_is_seen(lua: Runner) -> None:
    error = await lua.error("for n = 1, 50 do progress(n) end while true do end", seconds=0.5)
    assert error.kind is ErrorKind.TIMEOUT
    assert lua.shown[-1] == Progress(50)


async def test_shown_things_keep_their_order_with_printed_text(lua: Runner) -> None:
    heard: list[object] = []
    await lua.value(
        "print('a') display({['text/plain'] = 'b'}) print('c') display({['text/plain'] = 'd'})",
        on_output=heard.append,
    )
    assert lua.shown == [Display({"text/plain": "b"}), Display({"text/plain": "d"})]
    assert lua.output == "a\nc\n"


async def test_every_form_of_a_display_arrives_as_it_is(lua: Runner) -> None:
    source = """display({
      ["text/plain"] = "plain", ["text/markdown"] = "*m*", ["text/html"] = "<b>h</b>", ["image/svg+xml"] = "<svg/>",
      ["image/png"] = "\\x89PNG\\r\\n\\x1a\\n rest", ["image/jpeg"] = "\\xff\\xd8\\xff rest",
      ["application/json"] = {1, {a = true}}, ["application/vnd.vegalite.v5+json"] = {mark = "bar"},
    })"""
    await lua.value(source)
    (shown,) = lua.shown
    assert isinstance(shown, Display)
    assert shown.data == {
        "text/plain": "plain",
        "text/markdown": "*m*",
        "text/html": "<b>h</b>",
        "image/svg+xml": "<svg/>",
        "image/png": PNG,
        "image/jpeg": b"\xff\xd8\xff rest",
        "application/json": [1, {"a": True}],
        "application/vnd.vegalite.v5+json": {"mark": "bar"},
    }


BAD_CALLS = {
    "progress()": "progress: done is a number",
    "progress('1')": "progress: done is a number",
    "progress(-1)": "progress: done is a number",
    "progress(0/0)": "progress: done is a number",
    "progress(math.huge)": "progress: done is a number",
    "progress(true)": "progress: done is a number",
    "progress(1, -1)": "progress: total is a number",
    "progress(1, 'x')": "progress: total is a number",
    "progress(1, 2, {})": "progress: text is UTF-8 text",
    "progress(1, 2, '\\xff')": "progress: text is UTF-8 text",
    "progress(1, 2, print)": "progress.text: a function is no value",
    "display()": "display takes a table by MIME type",
    "display('x')": "display takes a table by MIME type",
    "display({})": "display takes a table by MIME type",
    "display({'x'})": "display takes a table by MIME type",
    "display({['text/plain'] = 1})": "display: text/plain is UTF-8 text",
    "display({['text/html'] = '\\xff'})": "display: text/html is UTF-8 text",
    "display({['image/png'] = 'iVBORw0KGgo='})": "not base64: decode it",
    "display({['image/png'] = {}})": "display: image/png is the bytes of such a picture",
    "display({['application/json'] = 'text'})": "display: application/json is a table",
    "display({['application/javascript'] = 'alert(1)'})": "there is no form 'application/javascript'",
    "local t = {} t.t = t display({['application/json'] = t})": "a cycle",
    "display({['text/plain'] = print})": "a function is no value",
}


@pytest.mark.parametrize("call", BAD_CALLS)
async def test_wrong_arguments_are_an_error_that_a_tool_can_catch(lua: Runner, call: str) -> None:
    error = await lua.error(call)
    assert error.kind is ErrorKind.INVALID
    assert BAD_CALLS[call] in error.message
    caught = f"local ok, err = pcall(function() {call} end) return tostring(ok) .. err:kind()"
    assert await lua.value(caught) == "falseINVALID"
    assert lua.shown == []


async def test_displays_count_against_the_output_limit(lua: Runner) -> None:
    source = "for n = 1, 100 do display({['text/plain'] = string.rep('x', 1000)}) end"
    error = await lua.error(source, output=10_000)
    assert (error.kind, error.message) == (ErrorKind.OUTPUT_LIMIT, "output limit of 10000 bytes reached at tool:1")
    assert 1 <= len(lua.shown) < 10
    error = await lua.error(
        "print(string.rep('x', 9000)) display({['text/plain'] = string.rep('x', 9000)})", output=9_500
    )
    assert error.kind is ErrorKind.OUTPUT_LIMIT
    assert lua.output == "x" * 9000 + "\n"


async def test_a_display_too_large_for_a_value_is_refused(lua: Runner) -> None:
    error = await lua.error("display({['text/plain'] = string.rep('x', 9 << 20)})")
    assert error.kind is ErrorKind.INVALID
    assert "larger than 8 MiB" in error.message


async def test_a_tool_can_replace_neither_for_others(lua: Runner) -> None:
    await lua.value("progress = nil display = print _G.print = nil")
    await lua.value("progress(1) display({['text/plain'] = 'x'})")
    assert len(lua.shown) == 2
