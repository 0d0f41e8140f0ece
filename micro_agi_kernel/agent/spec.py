"""What an agent's entry says, its traits included: one system text, one list of tools, and the context of each.

Entries written for the reference are read as they are. What they may ask for and this project does not do is
refused, in one line, and so is a field that nobody knows: a misspelt one would be an instruction that is not there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.messages import TOOL_NAME, TOOL_NAME_LENGTH
from micro_agi_kernel.values import Json, shorten

AGENT_TYPE = "agent.gen1"
TRAIT_TYPE = "agent.trait"
TRAIT_KIND = "registry.entry"

DEFAULT_MAX_TOKENS = 512
"""Of an agent entry that names none, as in the reference."""

MAX_CONTEXT = 16_000
"""Characters of JSON that one tool's context may have: settings for a tool, not its data."""

_AGENT_FIELDS = (
    "prompt",
    "model",
    "max_tokens",
    "temperature",
    "thinking_effort",
    "tools",
    "traits",
    "memory",
    "context",
)
_TRAIT_FIELDS = ("prompt", "tools", "context")
_TOOL_FIELDS = ("id", "alias", "description", "context")
_USE_FIELDS = ("id", "context")
"""Of an item of `traits`."""

_NO_FUNCTIONS = "a trait has a prompt, tools and context, and runs nothing"
_NOT_SUPPORTED = {
    "delegates": "one agent answers; a tool can do what another would",
    "memory_contract": "write what the agent must know into memory",
    "agent_options": "the settings below compression say how long a conversation may get",
    "start_prompts": "no front end offers them",
    "schema": "the tool's own meta.input_schema counts",
    **dict.fromkeys(("build_func_id", "prompt_func_id", "step_func_id"), _NO_FUNCTIONS),
    **dict.fromkeys(("behaviors", "binding", "bindings", "tool_wrapper", "tool_wrappers", "options"), _NO_FUNCTIONS),
}
"""Fields of the reference, and what to do without them."""

FindTrait = Callable[[str], Entry | None]
"""The entry with that id or, for a text without a colon, the trait with that `meta.name`. It raises EntryError."""


@dataclass(frozen=True, slots=True)
class ListedTool:
    """An item of `tools`, of an agent or a trait."""

    name: str
    """An id, or `namespace:*`."""
    alias: str = ""
    """What the model calls it; "" leaves that to the tool's entry, and so does `description`."""
    description: str = ""
    context: Mapping[str, Json] = field(default_factory=dict)
    """What the tool finds in its module ctx: of trait, agent and item together."""


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """What an agent entry (meta.type agent.gen1) and the traits that it names say."""

    id: EntryId
    prompt: str
    """The whole system text: prompt, the traits' prompts, memory."""
    model: str
    max_tokens: int
    temperature: float
    thinking_effort: int | None
    tools: tuple[ListedTool, ...]
    """The agent's own, then those of its traits, namespaces last; of two that come to one name the first keeps it."""
    context: Mapping[str, Json] = field(default_factory=dict)
    """Of a tool that is loaded while the agent runs."""

    @classmethod
    def from_entry(cls, entry: Entry, find_trait: FindTrait) -> AgentSpec:
        """Raises EntryError with one line for an entry that is no usable agent, or has no usable trait."""
        where = str(entry.id)
        if entry.type != AGENT_TYPE:
            raise EntryError(f"{where} is no agent: its meta.type is {entry.type!r}, not {AGENT_TYPE!r}")
        data = entry.data
        _check_fields(where, data, _AGENT_FIELDS)
        prompt, model, memory = data.get("prompt"), data.get("model"), data.get("memory")
        if not isinstance(prompt, str) or not isinstance(model, str):
            raise EntryError(f"{where}: an agent has a prompt and a model, both text")
        traits = list(_read_traits(entry, find_trait))
        contexts = _Contexts(entry)
        tools = list(_read_tools(entry, contexts, {}))
        for trait, given in traits:
            tools += _read_tools(trait, contexts, {**_context_of(trait), **given})
        tools.sort(key=lambda tool: tool.name.endswith(":*"))  # what is said of one tool counts before what is of all
        _check_aliases(where, tools)
        return cls(
            entry.id,
            _system_text([prompt, *(_prompt_of(trait) for trait, _ in traits)], _texts(memory, f"{where}: memory")),
            model,
            *_read_numbers(where, data),
            tuple(tools),
            contexts.of(where, {}, {}),
        )


class _Contexts:
    """Puts together what a tool of this agent is given."""

    def __init__(self, agent: Entry) -> None:
        self._id = str(agent.id)
        self._own = _context_of(agent)

    def of(self, where: str, trait: Mapping[str, Json], tool: Mapping[str, Json]) -> Mapping[str, Json]:
        """Of one name the tool's value counts, else the agent's, else the trait's. Raises EntryError."""
        merged = {**trait, **self._own, **tool, "agent_id": self._id}
        text = json.dumps(merged)
        if len(text) > MAX_CONTEXT:
            raise EntryError(f"{where}: context: {len(text)} characters as JSON, at most {MAX_CONTEXT} are allowed")
        if "${" in text:
            raise EntryError(f"{where}: context: '${{NAME}}' is not filled in; a registry is no place for keys")
        return merged


def _read_traits(agent: Entry, find_trait: FindTrait) -> Iterator[tuple[Entry, Mapping[str, Json]]]:
    """The traits that `agent` names, with the context that it gives to each."""
    where = f"{agent.id}: traits"
    for item in _list(agent.data.get("traits"), f"{where} is a list of ids or names, or of tables with an id"):
        use: Json = {"id": item} if isinstance(item, str) else item
        if not isinstance(use, dict) or not isinstance(name := use.get("id"), str):
            raise EntryError(f"{where} is a list of ids or names, or of tables with an id")
        _check_fields(where, use, _USE_FIELDS)
        try:
            trait = find_trait(name)
        except EntryError as error:
            raise EntryError(f"{where}: {error}") from error
        if trait is None:
            raise EntryError(
                f"{where}: no trait {shorten(name)!r}; add an entry of meta.type {TRAIT_TYPE} with that id or"
                " meta.name, or take it out of the list"
            )
        if trait.kind != TRAIT_KIND or trait.type != TRAIT_TYPE:
            raise EntryError(f"{where}: {trait.id} is no trait (kind {TRAIT_KIND}, meta.type {TRAIT_TYPE})")
        if trait.id.namespace == GENERATED_NAMESPACE:
            raise EntryError(f"{where}: {trait.id} does not count, since agents write there; move it")
        _check_fields(str(trait.id), trait.data, _TRAIT_FIELDS)
        yield trait, _mapping(use.get("context"), f"{where}: context")


def _context_of(entry: Entry) -> Mapping[str, Json]:
    return _mapping(entry.data.get("context"), f"{entry.id}: context")


def _prompt_of(trait: Entry) -> str:
    prompt = trait.data.get("prompt", "")
    if not isinstance(prompt, str):
        raise EntryError(f"{trait.id}: prompt must be text")
    return prompt


def _system_text(prompts: Iterable[str], memory: Iterable[str]) -> str:
    """The paragraphs of the system message; each memory is an item of a list at its end."""
    items = ["- " + item.strip().replace("\n", "\n  ") for item in memory if item.strip()]
    parts = [*prompts, *(["\n".join(["## Memory", "", *items])] if items else [])]
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _read_tools(entry: Entry, contexts: _Contexts, below: Mapping[str, Json]) -> Iterator[ListedTool]:
    """The tools that an agent or a trait lists; `below` is the context that a trait gives them."""
    where = str(entry.id)
    form = f"{where}: tools is a list of ids or 'namespace:*', or of tables with an id"
    for item in _list(entry.data.get("tools"), form):
        fields: Json = {"id": item} if isinstance(item, str) else item
        if not isinstance(fields, dict) or not isinstance(name := fields.get("id"), str):
            raise EntryError(form)
        _check_fields(f"{where}: tools", fields, _TOOL_FIELDS)
        alias, description = (_text(fields.get(key), f"{where}: tools: {key}") for key in ("alias", "description"))
        _check_tool(f"{where}: tools", name, alias, description)
        own = _mapping(fields.get("context"), f"{where}: tools: context")
        yield ListedTool(name, alias, description, contexts.of(where, below, own))


def _check_tool(where: str, name: str, alias: str, description: str) -> None:
    every = name.endswith(":*")
    try:
        EntryId.parse(f"{name[:-1]}x" if every else name)
    except EntryError as error:
        raise EntryError(f"{where}: {error}") from error
    if every and (alias or description):
        raise EntryError(f"{where}: {shorten(name)}: an alias or a description is for one tool, not for a namespace")
    if alias and not TOOL_NAME.fullmatch(alias):
        form = f"1 to {TOOL_NAME_LENGTH} letters, digits, '_' and '-'"
        raise EntryError(f"{where}: the alias {shorten(alias)!r} is not {form}")


def _check_aliases(where: str, tools: Iterable[ListedTool]) -> None:
    seen: set[str] = set()
    for tool in tools:
        if tool.alias in seen:
            raise EntryError(f"{where}: two tools have the alias {tool.alias!r}; give one of them another")
        seen |= {tool.alias} - {""}


def _check_fields(where: str, fields: Mapping[str, Json], known: Collection[str]) -> None:
    """Raise EntryError for the first field that is none of `known`; one of the reference's may be there when empty."""
    for name, value in fields.items():
        if name in known:
            continue
        if name not in _NOT_SUPPORTED:
            raise EntryError(f"{where}: unknown field {shorten(name)!r}; there are {', '.join(known)}")
        if value not in (None, "", [], {}):
            raise EntryError(f"{where}: {name} is not supported, take it out: {_NOT_SUPPORTED[name]}")


def _read_numbers(where: str, data: Mapping[str, Json]) -> tuple[int, float, int | None]:
    """max_tokens, temperature and thinking_effort."""
    max_tokens, effort = data.get("max_tokens", DEFAULT_MAX_TOKENS), data.get("thinking_effort")
    temperature = data.get("temperature", 0.0)
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or not 1 <= max_tokens <= 10**9:
        raise EntryError(f"{where}: max_tokens is a whole number from 1 to a thousand million")
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
        raise EntryError(f"{where}: temperature is a number from 0 to 2")
    if isinstance(effort, bool) or not isinstance(effort, int | None) or not -100 <= (effort or 0) <= 100:
        raise EntryError(f"{where}: thinking_effort is a whole number up to 100")
    return max_tokens, float(temperature), effort


def _list(value: Json, form: str) -> list[Json]:
    """The list; an absent one is empty. `form` is the whole line of the error."""
    if not isinstance(value, list | None) and value != {}:
        raise EntryError(form)
    return value if isinstance(value, list) else []


def _mapping(value: Json, where: str) -> dict[str, Json]:
    if not isinstance(value, dict | None) and value != []:
        raise EntryError(f"{where} must be a mapping")
    return value if isinstance(value, dict) else {}


def _text(value: Json, where: str) -> str:
    if not isinstance(value, str | None):
        raise EntryError(f"{where} must be text")
    return value or ""


def _texts(value: Json, where: str) -> list[str]:
    form = f"{where} must be a list of texts"
    texts = [item for item in _list(value, form) if isinstance(item, str)]
    if len(texts) != len(_list(value, form)):
        raise EntryError(form)
    return texts
