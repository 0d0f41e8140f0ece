"""Settings: the only place that reads the environment and the config file.

Order, weakest first: the defaults below < config file (TOML) < environment < arguments.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.interfaces import MIB, Bounds, Limits
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
    home: Path = Path()
    """The data folder."""
    config: Path = Path()
    """The config file, which need not exist."""
    project: Path = Path()
    """The nearest `.micro-agi/registry.git` at or above the working folder, trusted or not; empty: there is none."""

    @property
    def registry_path(self) -> Path:
        """The registry that the person names, or the default one; `trust` knows whether a project's takes its place."""
        return _path(self.registry, "registry") if self.registry else self.home / "registry.git"

    @property
    def sessions(self) -> Path:
        """The folder of the sessions' logs."""
        return self.home / "sessions"

    @property
    def signing_key(self) -> Path | None:
        return _path(self.signing.key, "signing.key") if self.signing.key else None


_ZERO_IS_NO_LIMIT = {f"limits.{name}" for name in ("seconds", "tokens", "cost", "session_tokens", "session_cost")}

_RANGES = {"compression.threshold": (0, 1), "compression.target": (50, 1_000_000)}
"""A part of the window; bytes, of which fewer say nothing and more are no summary."""

_PLACES = ("MICRO_AGI_HOME", "MICRO_AGI_CONFIG")
_OF_TESTS = ("MICRO_AGI_FULL", "MICRO_AGI_REFERENCE_DOCS", "MICRO_AGI_LUA_TESTS")
"""Variables that are no settings. Any other that begins like ours is a mistake, maybe in the name of a limit."""

AT_START = frozenset({"registry", "profile", "sandbox.require", "signing.key", "sync.pull_at_start"})
"""What is read once, when a session begins. All others may change from one cell to the next."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

_OF_A_COMMAND = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
    *("GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_QUARANTINE_PATH"),
    *("GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_REPLACE_REF_BASE", "GIT_NO_REPLACE_OBJECTS"),
    *("GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX"),
)
"""What Git sets for a command or hook of one repository, under which we may run: it is not about ours."""


def load_settings(environment: Mapping[str, str] | None = None, **arguments: object) -> Settings:
    """The settings in force. `arguments` are settings by name, `model="x"`; None leaves one as it is.

    Raises SettingsError with one line that names the setting, what it is and what it may be.
    """
    environment = os.environ if environment is None else environment
    settings = Settings(home=_home(environment), config=_config(environment), project=_project())
    given: list[tuple[str, object, str]] = []
    for name, value in _flatten(_read_config(settings.config, environment)):
        given.append((name, value, f"config file, {name if name.isprintable() else repr(name)}"))
    variables = {f"MICRO_AGI_{name.upper().replace('.', '_')}": name for name in setting_names()}
    for variable in sorted(environment):
        if variable in variables and environment[variable]:
            given.append((variables[variable], environment[variable], f"environment, {variable}"))
        elif variable not in variables:
            _check_unknown(variable, (*variables, *_PLACES))
    given += [(name, value, f"argument {name}") for name, value in arguments.items() if value is not None]
    for name, value, source in given:
        settings = with_setting(settings, name, value, source)
    if environment.get("NO_COLOR") and "render.color" not in [name for name, *_ in given]:
        settings = with_setting(settings, "render.color", False, "environment, NO_COLOR")
    if settings.profile == "guarded" and "sandbox.require" not in [name for name, *_ in given]:
        settings = with_setting(settings, "sandbox.require", "full", "profile")
    return settings


def _check_unknown(variable: str, known: Iterable[str]) -> None:
    """Raise SettingsError when a variable that is none of `known` looks like one of ours."""
    if variable.startswith("MICRO_AGI_") and variable not in (*_PLACES, *_OF_TESTS):
        near = difflib.get_close_matches(variable, known, n=1, cutoff=0.0)[0]
        shown = variable if variable.isprintable() else repr(variable)
        raise SettingsError(f"unknown setting (environment, {shown}); the nearest is {near}: docs/settings.md has all")


def secret(name: str) -> str | None:
    """A key or an address from the environment, read at use and kept nowhere."""
    return os.environ.get(name) or None


def notebook() -> str:
    """The notebook whose kernel this process is, as the server of Jupyter that started it names it; "" if none did.

    A console has a name without a suffix there, which the next one may have again.
    """
    path = os.environ.get("JPY_SESSION_NAME", "")
    return path if Path(path).suffix else ""


def git_environment() -> dict[str, str]:
    """The environment for a git that goes to a remote: the person's, whose credential helpers and keys it needs."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _OF_A_COMMAND and not name.startswith("GIT_TRACE")
    }


def person() -> tuple[str, str]:
    """Name and mail address of the person: Git's configuration where there is one, else the login name."""
    from dulwich.config import StackedConfig

    values = []
    for key, variable in ((b"name", "GIT_COMMITTER_NAME"), (b"email", "GIT_COMMITTER_EMAIL")):
        try:
            configured = StackedConfig.default().get((b"user",), key).decode(errors="replace")
        except (KeyError, ValueError, OSError):  # none, or a file that cannot be read
            configured = ""
        values.append(os.environ.get(variable) or configured)
    name = values[0] or _login_name()
    return name, values[1] or f"{name}@localhost"


def _login_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a bare container
        return "user"


def _project() -> Path:
    """The registry of the project that the working folder belongs to; `Path()` when there is none."""
    with suppress(OSError):  # the folder was removed, or may not be read
        folder = Path.cwd()
        for place in (folder, *folder.parents):
            if os.path.lexists(found := place / PROJECT_REGISTRY):
                return found
    return Path()


def _home(environment: Mapping[str, str]) -> Path:
    if chosen := environment.get("MICRO_AGI_HOME"):
        return _path(chosen, "MICRO_AGI_HOME")
    import platformdirs

    return Path(platformdirs.user_data_dir("micro-agi", appauthor=False))


def _path(text: str, name: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise SettingsError(f"{name} names {text}, and there is no such home folder") from error


def _config(environment: Mapping[str, str]) -> Path:
    if chosen := environment.get("MICRO_AGI_CONFIG"):
        return _path(chosen, "MICRO_AGI_CONFIG")
    import platformdirs

    return Path(platformdirs.user_config_dir("micro-agi", appauthor=False)) / "config.toml"


def _read_config(path: Path, environment: Mapping[str, str]) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if environment.get("MICRO_AGI_CONFIG"):
            raise SettingsError(f"MICRO_AGI_CONFIG names {path}, which does not exist") from None
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read the config file {path}: {error}") from error
    except RecursionError as error:
        raise SettingsError(f"cannot read the config file {path}: nested too deeply") from error


def _flatten(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for key, value in table.items():
        pairs += _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return pairs


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
        elif hint is not Path:
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
        near = difflib.get_close_matches(name, known, n=1)
        advice = f"the nearest is {near[0]}" if near else f"there are: {', '.join(known)}"
        raise SettingsError(f"unknown setting {shorten(name)!r} ({source}); {advice}")
    section, _, key = name.rpartition(".")
    return section, key, getattr(settings, section) if section else settings


def _convert(value: object, hint: Any, name: str, source: str) -> object:
    shown = shorten(repr(value))
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
