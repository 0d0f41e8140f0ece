"""A text made short by a model: sizes in bytes, refinements, cuts, and texts beyond the model's window."""

from __future__ import annotations

import pytest
from compression_kit import Answer, ScriptedModel, compressor

from micro_agi_kernel.agent.summaries import MINIMUM, Compressor, cut, summarize, tolerance
from micro_agi_kernel.agent.tokens import TokenCounter
from micro_agi_kernel.errors import MicroAgiError, ModelError
from micro_agi_kernel.events import Event, UsageReport
from micro_agi_kernel.messages import ModelRequest

LONG = "The record says this and that. " * 200


async def summary(model: ScriptedModel, text: str = LONG, **more: int) -> str:
    return await summarize(text, compressor(model, **more), lambda _: None)


@pytest.mark.parametrize("length", [1, 399, 400])
async def test_text_that_is_short_already_stays_and_nobody_is_asked(length: int) -> None:
    model = ScriptedModel([])
    assert await summary(model, "é" * (length // 2) + "x" * (length % 2)) == "é" * (length // 2) + "x" * (length % 2)
    assert not model.requests


async def test_length_of_a_text_is_its_bytes() -> None:
    assert await summary(ScriptedModel(["short"]), "é" * 201) == "short"


async def test_short_summary_is_not_made_longer() -> None:
    model = ScriptedModel(["All is said."])
    assert await summary(model) == "All is said."
    assert len(model.requests) == 1


async def test_summary_that_is_no_shorter_than_the_text_is_none() -> None:
    text = "The record says " * 25 + "x" * 10
    assert len(text) == 410
    assert await summary(ScriptedModel(["y" * 410]), text) == text
    assert await summary(ScriptedModel(["y" * 409]), text) == "y" * 409


@pytest.mark.parametrize(("target", "allowed"), [(50, 10), (200, 10), (220, 11), (400, 20), (4_000, 200)])
async def test_tolerance_is_ten_bytes_or_five_percent(target: int, allowed: int) -> None:
    assert tolerance(target) == allowed
    within, beyond = "x" * (target + allowed), "x" * (target + allowed + 1)
    model = ScriptedModel([within])
    assert await summary(model, target=target) == within
    model = ScriptedModel([beyond, within])
    assert await summary(model, target=target) == within
    assert model.asked() == beyond and f"{allowed + 1} bytes too long" in model.requests[1].messages[0].text  # type: ignore[union-attr]


async def test_two_refinements_then_the_shortest_is_cut_to_the_target() -> None:
    model = ScriptedModel(["a" * 900, "b" * 500, "c" * 600, "d" * 10])
    assert await summary(model) == "b" * 400
    assert len(model.requests) == 3


async def test_lengths_are_bytes_and_no_character_is_torn() -> None:
    model = ScriptedModel(["é" * 300] * 3)  # 600 bytes, 300 characters
    assert await summary(model) == "é" * 200
    model = ScriptedModel(["x" + "😀" * 200] * 3)
    assert await summary(model) == "x" + "😀" * 99  # 397 bytes: the next character would end at 401
    assert cut("a\ud800b€", 5) == "a?b" and cut("a\ud800b€", 6) == "a?b€"


@pytest.mark.parametrize("refusal", [ModelError("down"), "  \n"])
async def test_refinement_that_fails_leaves_the_summary_cut(refusal: Answer) -> None:
    assert await summary(ScriptedModel(["a" * 900, refusal])) == "a" * 400


@pytest.mark.parametrize("refusal", [ModelError("down"), "", " \n\t", ("", "length"), ("I can", "content_filter")])
async def test_no_summary_is_an_error_of_one_line(refusal: Answer) -> None:
    with pytest.raises(ModelError) as caught:
        await summary(ScriptedModel([refusal]))
    assert "\n" not in str(caught.value)


async def test_smallest_target() -> None:
    with pytest.raises(MicroAgiError, match=r"compression\.target is at least 50 bytes, not 49"):
        await summary(ScriptedModel([]), target=MINIMUM - 1)
    assert await summary(ScriptedModel(["x" * 60]), target=MINIMUM) == "x" * 60


async def test_request_says_the_size_and_thinks_little_and_usage_is_told() -> None:
    model, events = ScriptedModel(["short"]), list[Event]()
    await summarize(LONG, compressor(model), events.append)
    (request,) = model.requests
    assert "at most 400 bytes" in request.messages[0].text  # type: ignore[union-attr]
    assert (request.max_tokens, request.thinking_effort, request.tools) == (700, 0, ())
    assert [type(event) for event in events] == [UsageReport]


# Beyond the window


async def test_text_beyond_the_window_is_summarized_in_parts() -> None:
    text = "\n\n".join(f"Fact {number} is {number * 7}." for number in range(400))
    small = compressor(model := ScriptedModel(shortened), window=600, target=1_000)
    assert small.size == 400  # an answer fills no more than a third of the window
    result = await summarize(text, small, lambda _: None)
    tasks = [request.messages[0].text for request in model.requests]  # type: ignore[union-attr]
    parts = [model.asked(index) for index, task in enumerate(tasks) if "one part" in task]
    assert "".join(parts).startswith(text)
    assert "summaries of the record's parts" in tasks[-1] and len(parts) > 10
    assert "at most 50 bytes" in tasks[0]  # however many parts there are
    assert all(part.startswith("\n\nFact") for part in parts[1:10])  # parted between paragraphs
    assert len(result.encode()) <= small.size + tolerance(small.size)


@pytest.mark.parametrize(
    "text", ["今天" * 3_000, "x" * 9_000, "😀" * 2_000, "a b\n" * 3_000], ids=["cjk", "word", "emoji", "lines"]
)
async def test_no_request_is_beyond_the_window_whatever_the_text_is(text: str) -> None:
    model = ScriptedModel(shortened)
    await summary(model, text, window=700)
    for request in model.requests:
        assert await TokenCounter("scripted").count(request) + request.max_tokens <= 700


async def test_a_part_that_fails_is_the_end() -> None:
    model = ScriptedModel(["short", ModelError("down")])
    with pytest.raises(ModelError, match="down"):
        await summary(model, window=700)


async def test_parts_that_come_back_as_long_do_not_go_round_for_ever() -> None:
    """60 bytes for each part is all that is kept, and dense text has parts of no more."""
    model = ScriptedModel(lambda request: request.messages[1].text)  # type: ignore[union-attr]
    with pytest.raises(ModelError, match="did not make the text shorter"):
        await summary(model, "\ud7f0" * 4_000, window=480)


async def test_as_many_parts_as_there_are_steps_for() -> None:
    """Each part is a step, and one joins them."""
    model = ScriptedModel(shortened)
    await summary(model, window=700)
    parts = len(model.requests) - 1
    for left in (parts, parts + 1):
        model = ScriptedModel(shortened)
        short = Compressor(model, 700, 32_768, 400, steps_left=lambda left=left: left)  # type: ignore[misc]
        if left > parts:
            assert await summarize(LONG, short, lambda _: None)
            continue
        with pytest.raises(ModelError, match=f"would need {parts + 1} steps for it, and there are {parts} "):
            await summarize(LONG, short, lambda _: None)
        assert not model.requests


async def test_window_too_small_for_anything() -> None:
    with pytest.raises(ModelError, match=r"the window of scripted \(300 tokens\) is too small"):
        await summary(ScriptedModel([]), window=300)
    with pytest.raises(ModelError, match="too small"):
        await summarize(LONG, Compressor(ScriptedModel([]), 10_000, 20), lambda _: None)


def shortened(request: ModelRequest) -> str:
    return request.messages[1].text[:30] + " ..."  # type: ignore[union-attr]


STRUCTURED = '{"summary": "They use \\"tools\\" \\u00e9 \\ud83d\\ude00.\\n"}'


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (STRUCTURED, 'They use "tools" é 😀.'),
        (f" {STRUCTURED}\n", 'They use "tools" é 😀.'),
        ('{"summary": 5}', '{"summary": 5}'),
        ('{"other": "x"}', '{"other": "x"}'),
        ("{a brace} begins it", "{a brace} begins it"),
        ("[1]", "[1]"),
    ],
)
async def test_a_structured_answer_is_read_and_any_other_is_the_summary(answer: str, read: str) -> None:
    model = ScriptedModel([answer])
    assert await summary(model) == read
    assert model.requests[0].answer_schema is not None


@pytest.mark.parametrize("length", range(len('{"summary": "T'), len(STRUCTURED)))
async def test_a_structured_answer_that_was_cut_gives_what_there_is(length: int) -> None:
    read = await summary(ScriptedModel([(STRUCTURED[:length], "length")]))
    assert 'They use "tools" é 😀.'.startswith(read.rstrip("?")) and not read.startswith("{")
