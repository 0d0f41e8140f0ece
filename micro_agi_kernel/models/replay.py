"""The replay model: plays the model's side of a recorded session, so that its prompts can be run again offline.

An answer is found by the prompt and the step within it, in the order of the log. A tool result that is not the
recorded one is a note, since clocks differ; another prompt, or a call of a tool that is missing, ends the turn with the
difference in one line, and so does the end of a turn that was stopped or failed.
"""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import MicroAgiError, ModelError
from micro_agi_kernel.events import FileRead, ToolFinished
from micro_agi_kernel.interfaces import Model
from micro_agi_kernel.logs.fields import commit_of
from micro_agi_kernel.logs.turns import Step, Turn, find_log, read_header, read_turns
from micro_agi_kernel.messages import (
    DIGEST,
    AssistantMessage,
    CallChunk,
    FinishChunk,
    Message,
    ModelChunk,
    ModelRequest,
    NoteChunk,
    ReasoningChunk,
    TextChunk,
    ToolResult,
    UserMessage,
)
from micro_agi_kernel.models.catalog import MOST, ModelSpec, Provider
from micro_agi_kernel.models.chat_format import valid_calls
from micro_agi_kernel.models.endpoint import Secrets
from micro_agi_kernel.values import Json, shorten

PROVIDER = "micro_agi.replay:provider"
PREFIX = "replay:"

_ANY = object()
"""Stands for the id of any commit."""

_AROUND = 24
"""Characters of two long texts that are shown on each side of their first difference."""


def named_logs(names: Iterable[str | None], folder: Path) -> tuple[ModelSpec, ...]:
    """The models behind those of `names` that have the form `replay:<session id or path>`; ids are of `folder`.

    The window has no bound: the recorded model decided what was too long for it.
    """
    wanted = dict.fromkeys(name for name in names if name and name.startswith(PREFIX))
    return tuple(_spec(name, folder) for name in wanted)


def _spec(name: str, folder: Path) -> ModelSpec:
    named = name.removeprefix(PREFIX)
    try:
        path = str(find_log(folder, named))
    except MicroAgiError:  # whoever opens it says so
        path = named
    providers = (Provider(PROVIDER, path),)
    return ModelSpec(EntryId("app", "replay"), name, "A recorded session", providers, window=MOST, output_tokens=MOST)


def open_model(spec: ModelSpec, provider: Provider, secrets: Secrets) -> Model:
    """The model; of its log only the first line is read yet. Raises ModelError when that is no log."""
    try:
        path = find_log(Path(), provider.model)
        read_header(path)
    except MicroAgiError as error:
        raise ModelError(str(error)) from error
    return ReplayModel(spec.name, path)


class ReplayModel:
    """Answers as the log says."""

    def __init__(self, name: str, log: Path) -> None:
        self._name = name
        self._log = log
        self._recording: _Recording | None = None

    @property
    def name(self) -> str:
        return self._name

    async def close(self) -> None:
        """Nothing is open."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        """The recorded answer. Raises ModelError when another request was recorded, or the answer was not whole."""
        if self._recording is None:
            self._recording = await asyncio.to_thread(_Recording, self._log)
        step, notes = self._recording.find(request)
        for note in notes:
            yield NoteChunk(note)
        _check_tools(step, request)
        if step.reasoning:
            yield ReasoningChunk(step.reasoning)
        if step.text:
            yield TextChunk(step.text)
        if step.finish is None:
            raise ModelError(f"the recorded answer ends here: {step.error}")
        for call in valid_calls(step.calls, request.messages):
            yield CallChunk(call)
        yield FinishChunk(step.finish, step.usage)


class _Played(NamedTuple):
    """A recorded turn, as the replay goes through it."""

    prompt: str
    steps: list[Step]
    end: str
    """Why it ended before its time; empty: it did not."""
    results: Mapping[str, Json]
    """What its calls gave, by id; another conversation of the session, after a reset, may have the same ids."""
    files: tuple[FileRead, ...]

    @property
    def is_answered(self) -> bool:
        return any(step.finish is not None for step in self.steps)


class _Recording:
    """The turns of a log, and how far they are played."""

    def __init__(self, log: Path) -> None:
        try:
            turns = list(read_turns(log))
        except MicroAgiError as error:
            raise ModelError(str(error)) from error
        self._turns = [played for played in map(_played, turns) if played.steps or played.end]
        self._at = -1
        """The turn that is played; `_step` of its steps are played."""
        self._step = 0

    def find(self, request: ModelRequest) -> tuple[Step, tuple[str, ...]]:
        """The step that answers `request`, and a line for each tool result or file that is not the recorded one."""
        newest, since = _newest(request.messages)
        said = newest.text
        if not since and not self._repeats(said):
            self._at, self._step = self._begin(said), 0
        turn = self._turns[self._at] if self._at >= 0 else _Played("", [], "", {}, ())
        steps, here = turn.steps, turn.prompt == said
        if here and self._step == len(steps) and turn.end:
            raise ModelError(f"the recorded turn ended here: {turn.end}")
        if not here or self._step >= len(steps) or steps[self._step].first == bool(since):
            raise ModelError("the recorded turn did not go on like this: run the prompts again in a new session")
        self._step += 1
        notes = self._differences(since) if since else _other_files(turn, newest)
        return steps[self._step - 1], tuple(notes)

    def _begin(self, said: str) -> int:
        """The turn that a new prompt begins: the next one, or the newest again."""
        following = self._at + 1
        while following < len(self._turns) and self._is_passed_over(following, said):
            following += 1
        for at in (following, self._at):
            if 0 <= at < len(self._turns) and self._turns[at].prompt == said:
                return at
        if following >= len(self._turns):
            raise ModelError(f"the recorded session has no more prompts; what came is {shorten(said)!r}")
        recorded, came = _difference(self._turns[following].prompt, said)
        raise ModelError(f"another prompt was recorded here: recorded {recorded!r}, came {came!r}")

    def _is_passed_over(self, at: int, said: str) -> bool:
        """Whether no answer came to that turn, and it is not run again now, or the person asked the same again."""
        turn, *following = self._turns[at : at + 2]
        return not turn.is_answered and (turn.prompt != said or any(later.prompt == said for later in following))

    def _repeats(self, said: str) -> bool:
        """Whether the next step asks the same again: an answer was cut, and the agent asked for a longer one."""
        if not self._step:
            return False
        turn = self._turns[self._at]
        return self._step < len(turn.steps) and turn.steps[self._step].first and turn.prompt == said

    def _differences(self, since: tuple[Message, ...]) -> Iterator[str]:
        """Compare the results of the newest answer's calls with those of the step before."""
        results = _results_of_newest(since)
        if not results:
            return
        turn = self._turns[self._at]
        for result, call in zip(results, turn.steps[self._step - 2].calls, strict=False):
            if call.id in turn.results and not _same(turn.results[call.id], result.content):
                was, came = _difference(_compact(turn.results[call.id]), result.content)
                yield f"{result.name} gave another result than recorded: recorded {was}, came {came}"


def _played(turn: Turn) -> _Played:
    """A model that compressed the conversation was asked in other words; its steps are not among those played.

    Nor is an answer that never came, in whose place the same turn has another: another model took over.
    """
    end = turn.failure.line if turn.failure is not None else ""
    steps = [step for step in turn.steps if step.prompt == turn.prompt]
    steps = [step for step in steps if step.finish or step is steps[-1]]
    whole = [step if step.finish or step.error else replace(step, error=end) for step in steps]
    results = {event.call_id: event.value for event in turn.events if isinstance(event, ToolFinished)}
    files = tuple(event for event in turn.events if isinstance(event, FileRead))
    return _Played(turn.prompt, whole, end, results, files)


def _other_files(turn: _Played, said: UserMessage) -> Iterator[str]:
    """A line for each recorded file that is not among those of the prompt, by the digest that stands beside each."""
    for file in turn.files:
        if file.sha256[:DIGEST] not in said.attached:
            yield f"{shorten(file.name)} is not as it was recorded"


def _newest(messages: tuple[Message, ...]) -> tuple[UserMessage, tuple[Message, ...]]:
    """What the person said last, and the answers and results since."""
    since: list[Message] = []
    for message in reversed(messages):
        if isinstance(message, UserMessage):
            return message, tuple(reversed(since))
        if isinstance(message, AssistantMessage | ToolResult):
            since.append(message)
    return UserMessage(""), tuple(reversed(since))


def _results_of_newest(since: tuple[Message, ...]) -> list[ToolResult]:
    """The results of the newest answer, in the order of its calls, which is not the order in which they ended."""
    results = {message.call_id: message for message in since if isinstance(message, ToolResult)}
    newest = next((message for message in reversed(since) if isinstance(message, AssistantMessage)), None)
    return [results[call.id] for call in newest.calls if call.id in results] if newest is not None else []


def _same(recorded: Json, content: str) -> bool:
    """Whether the result is the recorded one, but for the ids of commits: they hold the time, and always differ."""
    try:
        came = json.loads(content, object_hook=_without_commit)
        return bool(came == json.loads(_compact(recorded), object_hook=_without_commit))
    except (ValueError, RecursionError):
        return False


def _without_commit(table: dict[str, object]) -> dict[str, object]:
    return {**table, "commit": _ANY} if commit_of(table, "commit") else table


def _compact(value: Json) -> str:
    """As a result is written for a model."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _check_tools(step: Step, request: ModelRequest) -> None:
    """Raise ModelError when the step calls a tool that its model had, and this request has not."""
    names = {tool.name for tool in request.tools}
    for call in step.calls:
        if call.name in step.tools and call.name not in names:
            near = difflib.get_close_matches(call.name, names, n=1)
            has = f"the nearest is {near[0]!r}" if near else f"there are {len(names)} others"
            raise ModelError(f"a tool is missing: recorded is a call of {shorten(call.name)!r}, and now {has}")


def _difference(recorded: str, came: str) -> tuple[str, str]:
    """Both texts, or what stands in them around their first difference when they are long."""
    if max(len(recorded), len(came)) <= 4 * _AROUND:
        return recorded, came
    pairs = zip(recorded, came, strict=False)
    first = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(recorded), len(came)))
    return _around(recorded, first), _around(came, first)


def _around(text: str, at: int) -> str:
    start, end = max(0, at - _AROUND), at + 2 * _AROUND
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"
