"""What a person can set: names, types and bounds, with the defaults. `environment` reads what was set."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.interfaces import MIB, Bounds, Limits
from micro_agi_kernel.mcp_settings import McpServer
from micro_agi_kernel.values import shorten

FrontEnd = Literal["auto", "notebook", "terminal", "batch"]
Require = Literal["limits", "full"]
Profile = Literal["reference", "guarded"]

PROJECT_REGISTRY = Path(".micro-agi", "registry.git")
"""Where a project keeps a registry of its own."""


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """What one call of a tool may use, and what the jail must be."""

    require: Require = "limits"
    """"full" refuses to run Lua unless every layer of the jail is active."""
    timeout: float = 30.0
    """Seconds a call may run."""
    memory: int = 64
    """MiB of Lua memory a call may use."""
    output: int = 10
    """MiB a call may print and display."""
    host_calls: int = 1_000
    """Requests to services of the host that a call may make."""
    max_timeout: float = 300.0
    """The most that an entry may ask for in its `meta.limits`, where the setting above is not more anyway."""
    max_memory: int = 512
    max_output: int = 100
    max_host_calls: int = 10_000

    def limits(self) -> Limits:
        """Those of an entry that asks for none."""
        return Limits(self.timeout, self.memory * MIB, self.output * MIB, self.host_calls)

    def most(self) -> Limits:
        """Those that an entry may ask for."""
        return Limits(
            max(self.timeout, self.max_timeout),
            max(self.memory, self.max_memory) * MIB,
            max(self.output, self.max_output) * MIB,
            max(self.host_calls, self.max_host_calls),
        )


@dataclass(frozen=True, slots=True)
class DocsSettings:
    """Where doc_search looks."""

    remote: str = ""
    """Base URL of a remote documentation that doc_search asks after its own pages, for example
    `https://wippy.ai/llm`; empty: never."""


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """How a cell is shown."""

    front_end: FrontEnd = "auto"
    """How a cell's output is sent; "auto" tells the front ends apart by their request."""
    footer: bool = True
    """Whether a line below the answer says what the turn took: steps, tokens, money, time."""
    color: bool = True
    """Whether a terminal gets colours, and lines that are written anew; False where NO_COLOR is set, unless this is."""


@dataclass(frozen=True, slots=True)
class SigningSettings:
    """How the agent's commits are signed."""

    key: str = ""
    """Path of an SSH key: a private one without a passphrase, or a public one whose private half the ssh-agent has;
    empty: they are not signed."""


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """When a session shares the registry with its remote by itself."""

    pull_at_start: bool = False
    """Beside the first turn, which does not wait for it."""
    push_after_commit: bool = False
    """After every turn that changed the registry."""


@dataclass(frozen=True, slots=True)
class CompressionSettings:
    """What becomes of a conversation that grows towards the model's window."""

    enabled: bool = True
    threshold: float = 0.75
    """Part of the window from which on a request is too long."""
    target: int = 4_000
    """Bytes of a summary; at least 50."""
    model: str = ""
    """Name or class of the model that summarizes; the running one takes its place where it cannot run or fails.
    Empty: gpt-4.1-nano where the running one has the same server, else the running one."""


@dataclass(frozen=True, slots=True)
class ToolsSettings:
    """What the tools that an agent writes must be."""

    tests_required: bool = False
    """Whether each must have a test."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a person can choose. Field paths are the names in the file and in the environment."""

    model: str = ""
    """Name or class of the model; empty: the agent's own, or the demo while that has no key."""
    registry: str = ""
    """Path of the bare repository; empty: `registry.git` in the data folder."""
    profile: Profile = "reference"
    """"guarded": the person is asked before the agent writes or loads a tool, and before a tool goes to a new host."""
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    limits: Bounds = field(default_factory=Bounds)
    compression: CompressionSettings = field(default_factory=CompressionSettings)
    tools: ToolsSettings = field(default_factory=ToolsSettings)
    docs: DocsSettings = field(default_factory=DocsSettings)
    render: RenderSettings = field(default_factory=RenderSettings)
    signing: SigningSettings = field(default_factory=SigningSettings)
    sync: SyncSettings = field(default_factory=SyncSettings)
    mcp_servers: tuple[McpServer, ...] = ()
    """The tables `mcp.servers.NAME` of the config file, which alone can name them."""
    home: Path = Path()
    """The data folder."""
    config: Path = Path()
    """The config file, which need not exist."""
    project: Path = Path()
    """The nearest `.micro-agi/registry.git` at or above the working folder, trusted or not; empty: there is none."""

    @property
    def registry_path(self) -> Path:
        """The registry that the person names, or the default one; `trust` knows whether a project's takes its place."""
        return path_of(self.registry, "registry") if self.registry else self.home / "registry.git"

    @property
    def sessions(self) -> Path:
        """The folder of the sessions' logs."""
        return self.home / "sessions"

    @property
    def signing_key(self) -> Path | None:
        return path_of(self.signing.key, "signing.key") if self.signing.key else None


_ZERO_IS_NO_LIMIT = {f"limits.{name}" for name in ("seconds", "tokens", "cost", "session_tokens", "session_cost")}

_RANGES = {"compression.threshold": (0, 1), "compression.target": (50, 1_000_000)}
"""A part of the window; bytes, of which fewer say nothing and more are no summary."""

AT_START = frozenset({"registry", "profile", "sandbox.require", "signing.key", "sync.pull_at_start"})
"""What is read once, when a session begins. All others may change from one cell to the next."""

_SHORT = 14
"""Characters of a wrong value that are repeated; what is longer may be a key that was put in the wrong place."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def path_of(text: str, name: str) -> Path:
    """The path that a setting or a variable gives. Raises SettingsError for what is none, and no such home folder."""
    if "://" in text or "-----BEGIN" in text:
        raise SettingsError(f"{name} is a path, no address and no key")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise SettingsError(f"{name} names {text}, and there is no such home folder") from error


def setting_names() -> list[str]:
    """All that can be set, `sandbox.timeout`."""
    return _names(Settings)


def _names(cls: type, prefix: str = "") -> list[str]:
    names = []
    hints = get_type_hints(cls)
    for item in fields(cls):
        hint = hints[item.name]
        if hasattr(hint, "__dataclass_fields__"):
            names += _names(hint, f"{prefix}{item.name}.")
        elif hint is not Path and get_origin(hint) is not tuple:
            names.append(f"{prefix}{item.name}")
    return names


def choices_of(name: str) -> tuple[str, ...]:
    """The values that a setting may have, where these are few; empty for texts and numbers."""
    _, key, owner = _place(Settings(), name, "")
    hint = get_type_hints(type(owner))[key]
    return ("true", "false") if hint is bool else get_args(hint)


def with_setting(settings: Settings, name: str, value: object, source: str) -> Settings:
    """`settings` with one changed. `source`, where the value stands, is in the line of a SettingsError."""
    section, key, owner = _place(settings, name, source)
    changed: Any = replace(owner, **{key: _convert(value, get_type_hints(type(owner))[key], name, source)})
    result: Settings = replace(settings, **{section: changed}) if section else changed
    return result


def setting_value(settings: Settings, name: str, source: str) -> object:
    """The value of one setting. Raises SettingsError for a name that there is not."""
    _, key, owner = _place(settings, name, source)
    return getattr(owner, key)


def _place(settings: Settings, name: str, source: str) -> tuple[str, str, Any]:
    """Section and key of a setting, and what has it as a field."""
    known = setting_names()
    if name not in known:
        raise unknown_setting(name, known, source)
    section, _, key = name.rpartition(".")
    return section, key, getattr(settings, section) if section else settings


def unknown_setting(name: str, known: Iterable[str], source: str) -> SettingsError:
    """The line for a name that is none of `known`, with the nearest of these."""
    [first, *more] = difflib.get_close_matches(shorten(name), known, cutoff=0)
    is_near = difflib.get_close_matches(name, [first])
    nearest = f"is {first}" if is_near else f"are {', '.join((first, *more))}"
    return SettingsError(
        f"unknown setting {shorten(name)!r} ({source}); the nearest {nearest}: docs/settings.md has all"
    )


def _convert(value: object, hint: Any, name: str, source: str) -> object:
    shown = repr(value)
    if len(shown) > _SHORT:
        shown = "what stands there"
    if get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
        raise SettingsError(f"{name} is one of {', '.join(get_args(hint))}, not {shown} ({source})")
    if hint is str:
        if isinstance(value, str):
            return value
        raise SettingsError(f"{name} is a text, not {shown} ({source})")
    if hint is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value in _BOOLEANS:
            return _BOOLEANS[value]
        raise SettingsError(f"{name} is true or false, not {shown} ({source})")
    try:
        number = hint(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        number = None
    may_be_zero = name in _ZERO_IS_NO_LIMIT
    rounded = isinstance(value, float) and number != value
    if number is None or not 0 <= number < 1e9 or (number == 0 and not may_be_zero) or rounded:
        least = "of at least 0 (no limit)" if may_be_zero else "above 0"
        raise SettingsError(f"{name} is a {'whole ' if hint is int else ''}number {least}, not {shown} ({source})")
    low, high = _RANGES.get(name, (number, number))
    if not low <= number <= high:
        raise SettingsError(f"{name} is a number from {low:,} to {high:,}, not {shown} ({source})")
    return number
