"""The models that the registry describes: entries of meta.type llm.model, read and found by name or class."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.values import Json, shorten

MODEL_TYPE = "llm.model"

TOOL_USE = "tool_use"
"""The capability without which a model cannot be the agent's."""

STRUCTURED_OUTPUT = "structured_output"
"""The capability of a model that can be held to a JSON Schema."""

VISION = "vision"
"""The capability of a model that sees images."""

MOST = 1_000_000_000
"""Bound of every number in an entry: far above any window or price, and no overflow anywhere."""


_LISTED = 300
"""Characters of a list of names in an error line."""


@dataclass(frozen=True, slots=True)
class Pricing:
    """Money for a million tokens."""

    input: float = 0.0
    output: float = 0.0
    cached_input: float | None = None
    """For prompt tokens that the provider had in its cache; None: as `input`."""

    def cost(self, usage: Usage) -> float:
        """Money for `usage`; reasoning is part of the completion."""
        cached = min(usage.cached, usage.prompt)
        cached_price = self.input if self.cached_input is None else self.cached_input
        fresh = usage.prompt - cached
        return (fresh * self.input + cached * cached_price + usage.completion * self.output) / 1_000_000


@dataclass(frozen=True, slots=True)
class Provider:
    """One item of `data.providers`: who runs the model, and under which name."""

    id: str
    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    """The environment variable that holds the key; "none" when the server wants no key."""
    reasoning: bool = False
    """`reasoning_model_request`: the effort is sent, temperature is not."""
    trusted: bool = False
    """Whether the person said that the key may go to `base_url`; no entry says so."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model entry says."""

    id: EntryId
    name: str
    title: str
    providers: tuple[Provider, ...]
    window: int
    """Tokens of prompt and answer together; the entry's `max_tokens`."""
    output_tokens: int
    pricing: Pricing = Pricing()
    thinking_effort: int | None = None
    """0 to 100; None leaves the choice to the provider."""
    classes: tuple[str, ...] = ()
    priority: int = 0
    capabilities: tuple[str, ...] = ()

    @property
    def calls_tools(self) -> bool:
        """Whether the model can call tools; an entry that lists no capabilities leaves that to its server."""
        return not self.capabilities or TOOL_USE in self.capabilities

    @property
    def sees_images(self) -> bool:
        """Whether images are sent to the model: only where its entry says so, since others refuse the request."""
        return VISION in self.capabilities


def read_specs(entries: Iterable[Entry]) -> tuple[tuple[ModelSpec, ...], tuple[str, ...]]:
    """The models among `entries`, sorted by name, and a line for each model entry that is broken.

    Of two models with one name the one with the lower id counts, and the other has such a line.
    """
    specs: dict[str, ModelSpec] = {}
    problems: list[str] = []
    for entry in sorted((e for e in entries if e.type == MODEL_TYPE), key=lambda entry: entry.id):
        try:
            spec = read_spec(entry)
        except EntryError as error:
            problems.append(str(error))
            continue
        if spec.name in specs:
            problems.append(f"{entry.id}: another model is called {spec.name!r} too: {specs[spec.name].id}")
        else:
            specs[spec.name] = spec
    return tuple(specs[name] for name in sorted(specs)), tuple(problems)


def read_spec(entry: Entry) -> ModelSpec:
    """The model that `entry` describes. Raises EntryError that names the field at fault."""
    where, data = str(entry.id), entry.data
    name = _text(entry.meta.get("name", entry.id.name), f"{where}: meta.name")
    pricing = _mapping(data.get("pricing", {}), f"{where}: data.pricing")
    effort = data.get("thinking_effort")
    window = _whole(data.get("max_tokens"), f"{where}: data.max_tokens", least=1)
    return ModelSpec(
        id=entry.id,
        name=name,
        title=entry.text("title"),
        providers=_providers(entry, name),
        window=window,
        output_tokens=_whole(data.get("output_tokens", window), f"{where}: data.output_tokens", least=1),
        pricing=Pricing(
            _price(pricing.get("input", 0), f"{where}: data.pricing.input"),
            _price(pricing.get("output", 0), f"{where}: data.pricing.output"),
            _price(pricing["cached_input"], f"{where}: data.pricing.cached_input")
            if pricing.get("cached_input") is not None
            else None,
        ),
        thinking_effort=None if effort is None else _whole(effort, f"{where}: data.thinking_effort"),
        classes=_texts(entry.meta.get("class", []), f"{where}: meta.class"),
        priority=_whole(entry.meta.get("priority", 0), f"{where}: meta.priority"),
        capabilities=_texts(entry.meta.get("capabilities", []), f"{where}: meta.capabilities"),
    )


def find(specs: Iterable[ModelSpec], wanted: str) -> ModelSpec | None:
    """The model called `wanted`, else the one of that class (bare or `class:<name>`) with the highest priority."""
    specs = tuple(specs)
    for spec in specs:
        if spec.name == wanted:
            return spec
    return next(iter(of_class(specs, wanted)), None)


def of_class(specs: Iterable[ModelSpec], *classes: str) -> tuple[ModelSpec, ...]:
    """The models of any of these classes (bare or `class:<name>`), the highest priority first, then by name."""
    names = {name.removeprefix("class:") for name in classes}
    members = (spec for spec in specs if names & {*spec.classes})
    return tuple(sorted(members, key=lambda spec: (-spec.priority, spec.name)))


def unknown(specs: Sequence[ModelSpec], wanted: str) -> str:
    """That nothing is called `wanted`, with the nearest name and what else there is, in one line."""
    line = f"no model or class is called {shorten(wanted)!r}"
    if not specs:
        return f"{line}: there is none at all"
    names = [spec.name for spec in specs]
    classes = sorted({name for spec in specs for name in spec.classes})
    known = {name.lower(): name for name in (*(f"class:{name}" for name in classes), *classes, *names)}
    if near := difflib.get_close_matches(wanted.lower(), known, n=1):
        line += f", the nearest is {known[near[0]]!r}"
    line += f": there are the models {shorten(', '.join(names), _LISTED)}"
    return f"{line} and the classes {shorten(', '.join(classes), _LISTED)}" if classes else line


def _providers(entry: Entry, name: str) -> tuple[Provider, ...]:
    where = f"{entry.id}: data.providers"
    listed = entry.data.get("providers")
    if not isinstance(listed, list) or not listed:
        raise EntryError(f"{where} must be a list of at least one provider")
    providers = []
    for item in listed:
        provider = _mapping(item, f"{where}: each item")
        options = _mapping(provider.get("options", {}), f"{where}: options")
        reasoning = options.get("reasoning_model_request", False)
        if not isinstance(reasoning, bool):
            raise EntryError(f"{where}: reasoning_model_request must be true or false")
        providers.append(
            Provider(
                id=_text(provider.get("id"), f"{where}: id"),
                model=_text(provider.get("provider_model", name), f"{where}: provider_model"),
                base_url=_optional(options.get("base_url"), f"{where}: base_url"),
                api_key_env=_optional(options.get("api_key_env"), f"{where}: api_key_env"),
                reasoning=reasoning,
            )
        )
    return tuple(providers)


def _mapping(value: Json, where: str) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise EntryError(f"{where} must be a mapping")
    return value


def _text(value: Json, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise EntryError(f"{where} must be text")
    return value


def _optional(value: Json, where: str) -> str | None:
    return None if value is None else _text(value, where)


def _texts(value: Json, where: str) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(_text(item, f"{where}: each item") for item in items)


def _whole(value: Json, where: str, *, least: int | None = None) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        raise EntryError(f"{where} must be a whole number{'' if least is None else f' of at least {least}'}")
    if abs(value) > MOST:
        raise EntryError(f"{where} must be at most {MOST:,}")
    return value


def _price(value: Json, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise EntryError(f"{where} must be a price for a million tokens")
    return float(value)
