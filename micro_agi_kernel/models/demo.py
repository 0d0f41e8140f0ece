"""The demo model: embedded, offline, no language model, and it says so.

It matches the prompt to a few recipes (`recipes/*.yaml`) and plays the assistant's side of the real loop:
documentation read, tool written, loaded and called. It keeps nothing between steps: what comes next is read
off the conversation, and the values of its answer come from what the tool really returned.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from micro_agi_kernel.interfaces import Model
from micro_agi_kernel.messages import (
    AssistantMessage,
    CallChunk,
    FinishChunk,
    Message,
    ModelChunk,
    ModelRequest,
    TextChunk,
    ToolCall,
    ToolResult,
    UserMessage,
)
from micro_agi_kernel.models.catalog import ModelSpec, Provider
from micro_agi_kernel.models.endpoint import SET_UP, Secrets
from micro_agi_kernel.values import Json, shorten
from micro_agi_kernel.yaml_files import load_yaml

PROVIDER = "micro_agi:demo"

_INTRODUCTION = "I am the demo model: a script, no language model. The tools, their commits and their results are real."
_MAX_PROMPT = 2_000
"""Characters; a longer prompt matches no recipe."""
_POLITENESS = re.compile(r"^(?:(?:please|can you|could you),? )+|(?:,? please)? ?[?.!]*$", re.IGNORECASE)
"""What is taken off a prompt before it is matched."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to do for some prompts; the fields of a recipe file."""

    prompts: tuple[tuple[re.Pattern[str], str], ...]
    """Patterns for the whole prompt, whose named groups are the tool's arguments, each with its answer:
    a text in which `{path.to.value}` stands for a value of the tool's result."""
    example: str
    tool: Mapping[str, Json]
    """The arguments of create_tool."""
    docs: str | None = None
    """The documentation page that is read first."""

    @property
    def tool_name(self) -> str:
        return str(self.tool["name"])


@dataclass(frozen=True, slots=True)
class Call:
    """The next step: call a tool."""

    name: str
    arguments: Mapping[str, Json] = field(default_factory=dict)


def open_model(spec: ModelSpec, provider: Provider, secrets: Secrets) -> Model:
    """The demo model; it needs no set-up."""
    return DemoModel(spec.name)


class DemoModel:
    """Plays the model's side of a conversation from recipes; see the top of this file."""

    def __init__(self, name: str = "demo") -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def close(self) -> None:
        """Nothing to give back."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        step = next_step(request)
        said = [message for message in request.messages if isinstance(message, AssistantMessage)]
        texts = [] if any(message.text for message in said) else [_INTRODUCTION + "\n\n"]
        if isinstance(step, str):
            texts.append(step)
        for text in texts:
            for word in re.findall(r"\S+\s*", text):
                yield TextChunk(word)
        if isinstance(step, Call):
            used = sum(len(message.calls) for message in said)
            yield CallChunk(
                ToolCall(f"demo_{used + 1}", step.name, json.dumps(dict(step.arguments), ensure_ascii=False))
            )
        yield FinishChunk("stop" if isinstance(step, str) else "tool_calls")


def next_step(request: ModelRequest) -> Call | str:
    """The call to make now, or the answer that ends the turn."""
    prompt, turn = _turn(request.messages)
    matched = _match(prompt)
    if matched is None:
        return _help()
    recipe, arguments, answer = matched
    results = {message.name: message for message in turn if isinstance(message, ToolResult)}
    for name, result in results.items():
        if (error := _error(result)) is not None:  # a script cannot mend it, so it does not try again
            return f"I stopped: {name} answered: {error}"

    offered = {tool.name for tool in request.tools}
    if recipe.tool_name in offered:
        done = results.get(recipe.tool_name)
        return Call(recipe.tool_name, arguments) if done is None else _fill(answer, done)
    if not {"create_tool", "load_tool"} <= offered:
        return f"I cannot make the tool {recipe.tool_name}: create_tool and load_tool are not among my tools."
    if recipe.docs and "doc_search" in offered and results.get("doc_search") is None:
        return Call("doc_search", {"path": recipe.docs})
    created = results.get("create_tool")
    if created is None:
        return Call("create_tool", recipe.tool)
    id = _value(_json(created.content), "id")
    if not isinstance(id, str):
        return f"I stopped: create_tool named no tool, but answered: {shorten(created.content, 300)}"
    loaded = results.get("load_tool")
    if loaded is None:
        return Call("load_tool", {"id": id})
    return (
        f"I stopped: {recipe.tool_name} is not among my tools, but load_tool answered: {shorten(loaded.content, 300)}"
    )


@cache
def recipes() -> tuple[Recipe, ...]:
    """The recipes of the package, sorted by file name."""
    return tuple(_read_recipe(path) for path in sorted((Path(__file__).parent / "recipes").glob("*.yaml")))


def _read_recipe(path: Path) -> Recipe:
    data: Any = load_yaml(path.read_bytes(), path.name)  # our own file: the tests hold its form
    return Recipe(
        prompts=tuple((re.compile(p["match"], re.IGNORECASE | re.DOTALL), p["answer"]) for p in data["prompts"]),
        example=data["example"],
        tool=data["tool"],
        docs=data.get("docs"),
    )


def _match(prompt: str) -> tuple[Recipe, dict[str, Json], str] | None:
    """The recipe for `prompt`, the tool's arguments and the answer's template."""
    if len(prompt) > _MAX_PROMPT:
        return None
    text = _POLITENESS.sub("", prompt.strip())
    for recipe in recipes():
        for pattern, answer in recipe.prompts:
            if found := pattern.fullmatch(text):
                return recipe, {name: value for name, value in found.groupdict().items() if value is not None}, answer
    return None


def _turn(messages: tuple[Message, ...]) -> tuple[str, tuple[Message, ...]]:
    """The last prompt, and what came after it."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if isinstance(message, UserMessage):
            return message.text, messages[index + 1 :]
    return "", messages


def _error(result: ToolResult) -> str | None:
    """The error that a result holds, in its own words."""
    value = _json(result.content)
    error = value.get("error") if isinstance(value, dict) else None
    if result.ok and error is None:
        return None
    message = error.get("message") if isinstance(error, dict) else error
    return shorten(message if isinstance(message, str) else result.content, 300)


def _fill(template: str, result: ToolResult) -> str:
    """The answer, its places filled from the tool's result; or what the tool returned, when one has no value."""
    returned = _json(result.content)
    parts: list[str] = []
    for text, path in _places(template):
        parts.append(text)
        if path is not None:
            found = _value(returned, path)
            if not isinstance(found, str | int | float) or isinstance(found, bool):
                return f"{result.name} returned no `{path}`, but: {shorten(result.content, 300)}"
            parts.append(str(found))
    return "".join(parts)


def _places(template: str) -> Iterator[tuple[str, str | None]]:
    pieces = re.split(r"\{([\w.]+)\}", template)
    for index in range(0, len(pieces), 2):
        yield pieces[index], pieces[index + 1] if index + 1 < len(pieces) else None


def _value(value: Json, path: str) -> Json:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _json(content: str) -> Json:
    try:
        value: Json = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return value


def _help() -> str:
    examples = "".join(f"- `{recipe.example}`\n" for recipe in recipes())
    return (
        "No recipe of the demo model fits that prompt. These do:\n\n"
        f"{examples}\nFor everything else use a real model: {SET_UP}, and begin a new session."
    )
