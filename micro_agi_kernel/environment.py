"""What a person has set: the only place that reads the environment and the config file.

Order, weakest first: the defaults of `settings` < config file (TOML) < environment < arguments.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.mcp_settings import read_servers
from micro_agi_kernel.settings import PROJECT_REGISTRY, Settings, path_of, setting_names, unknown_setting, with_setting
from micro_agi_kernel.values import unset_variable

_PLACES = ("MICRO_AGI_HOME", "MICRO_AGI_CONFIG")
_OF_TESTS = ("MICRO_AGI_FULL", "MICRO_AGI_REFERENCE_DOCS", "MICRO_AGI_LUA_TESTS")
"""Variables that are no settings. Any other that begins like ours is a mistake, maybe in the name of a limit."""

_OF_A_COMMAND = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
    *("GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_QUARANTINE_PATH"),
    *("GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_REPLACE_REF_BASE", "GIT_NO_REPLACE_OBJECTS"),
    *("GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX"),
)
"""What Git sets for a command or hook of one repository, under which we may run: it is not about ours."""


_OF_ANY_PROGRAM = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
"""What a program needs that is not ours; no key stands in it."""


def load_settings(environment: Mapping[str, str] | None = None, /, **arguments: object) -> Settings:
    """The settings in force.

    `arguments` are settings by name, with `_` for the dot or as it is: `model="x", limits_steps=3`; None leaves one as
    it is. Raises SettingsError with one line that names the setting, what it is and what it may be.
    """
    return settings_and_sources(environment, **arguments)[0]


def settings_and_sources(
    environment: Mapping[str, str] | None = None, /, **arguments: object
) -> tuple[Settings, dict[str, str]]:
    """What `load_settings` gives, and by name where each setting that was set comes from."""
    environment = os.environ if environment is None else environment
    settings = Settings(home=_home(environment), config=_config(environment), project=_project())
    config = _read_config(settings.config, environment)
    if isinstance(mcp := config.get("mcp"), dict) and "servers" in mcp:
        settings = replace(settings, mcp_servers=read_servers(mcp.pop("servers"), "config file"))
    given: list[tuple[str, object, str]] = []
    for name, value in _flatten(config):
        given.append((name, value, f"config file, {name if name.isprintable() else repr(name)}"))
    words = {name.replace(".", "_"): name for name in setting_names()}
    variables = {f"MICRO_AGI_{word.upper()}": name for word, name in words.items()}
    for variable in sorted(environment):
        if variable in variables and environment[variable]:
            given.append((variables[variable], environment[variable], f"environment, {variable}"))
        elif variable not in variables:
            _check_unknown(variable, (*variables, *_PLACES))
    for word, value in arguments.items():
        source = f"argument {word}"
        if word not in words and "." not in word:
            raise unknown_setting(word, words, source)
        if word == "registry" and value == "":  # as it is when a variable of a script is not set
            raise SettingsError(f"registry: it is empty ({source})")
        if value is not None:
            given.append((words.get(word, word), value, source))
    names = {name for name, *_ in given}
    if environment.get("NO_COLOR") and "render.color" not in names:
        given.append(("render.color", False, "environment, NO_COLOR"))
    for name, value, source in given:
        settings = with_setting(settings, name, value, source)
    sources = {name: source for name, _, source in given}
    if settings.profile == "guarded" and "sandbox.require" not in names:
        settings = with_setting(settings, "sandbox.require", "full", "profile")
        sources["sandbox.require"] = "profile"
    return settings, sources


def _check_unknown(variable: str, known: Iterable[str]) -> None:
    """Raise SettingsError when a variable that is none of `known` looks like one of ours."""
    if variable.startswith("MICRO_AGI_") and variable not in (*_PLACES, *_OF_TESTS):
        near = difflib.get_close_matches(variable, known, n=1, cutoff=0.0)[0]
        shown = variable if variable.isprintable() else repr(variable)
        raise SettingsError(f"unknown setting (environment, {shown}); the nearest is {near}: docs/settings.md has all")


def secret(name: str) -> str | None:
    """A key or an address from the environment, read at use and kept nowhere."""
    return os.environ.get(name) or None


def server_environment(names: Iterable[str]) -> dict[str, str]:
    """The environment for an MCP server's program: what any program needs, and the variables of these names.

    Raises SettingsError for one of them that is not set.
    """
    if missing := [name for name in names if name not in os.environ]:
        raise SettingsError(f"the environment has no {unset_variable(missing[0])}, which its env names")
    return {name: os.environ[name] for name in (*_OF_ANY_PROGRAM, *names) if name in os.environ}


def notebook_path() -> str:
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
        return path_of(chosen, "MICRO_AGI_HOME")
    import platformdirs

    return Path(platformdirs.user_data_dir("micro-agi", appauthor=False))


def _config(environment: Mapping[str, str]) -> Path:
    if chosen := environment.get("MICRO_AGI_CONFIG"):
        return path_of(chosen, "MICRO_AGI_CONFIG")
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
