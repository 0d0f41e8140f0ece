"""Commands that choose for this session: the model, and the settings."""

from __future__ import annotations

import asyncio

from micro_agi_kernel import models
from micro_agi_kernel.environment import secret
from micro_agi_kernel.errors import ErrorKind, ModelError, Refused
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.markdown_text import code, prose, table
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import AT_START, Settings, choices_of, setting_names, setting_value, with_setting

_SOURCE = "%set"


async def model(session: Session, context: CallContext, name: str | None = None) -> str:
    """Show the models, which one runs and why; or have the model or class NAME answer from the next cell on.

    The conversation goes on with it. `%set model ""` goes back to the agent's own.
    """
    if name is not None:
        return await set_setting(session, context, "model", value=name)
    found = await session.known_models()
    running = None if isinstance(found.choice, ModelError) else found.choice.spec
    obstacles = await asyncio.to_thread(lambda: [models.obstacle(spec, secret) for spec in found.specs])
    rows = [
        (
            "runs" if spec == running else "",
            code(spec.name),
            code(", ".join(spec.classes)),
            f"{spec.window:,}",
            prose(obstacle) if obstacle else "ready",
        )
        for spec, obstacle in zip(found.specs, obstacles, strict=True)
    ]
    why = str(found.choice) if isinstance(found.choice, ModelError) else found.choice.reason
    parts = [prose(why), table(("now", "name", "classes", "window", "state"), rows)]
    parts += [f"not usable: {prose(problem)}" for problem in found.problems]
    return "\n\n".join(parts)


async def set_setting(session: Session, context: CallContext, key: str = "", *, value: str = "") -> str:
    """Set KEY to VALUE for this session; with KEY alone show it, with nothing what differs from the defaults.

    The names are those of the config file, `%set sandbox.timeout 60`; a text may stand in quotes, and `""` is the empty
    one. What was set is in force from the next cell on, and ends with the session. Settings that are read once, when
    a session starts, are refused with where to set them.
    """
    if not key:
        return _differing(session.settings)
    if not value:
        return _rows(session.settings, [key])
    if key in AT_START:
        variable = f"MICRO_AGI_{key.upper().replace('.', '_')}"
        where = f"{session.settings.config} or {variable}"
        raise Refused(ErrorKind.INVALID, f"{key} is read when a session starts: set it in {where}, restart the kernel")
    changed = with_setting(session.settings, key, _unquoted(value), _SOURCE)
    said = await _runs_on(session, changed) if key == "model" else ""
    session.configure(changed)
    return said or _rows(changed, [key])


async def _runs_on(session: Session, changed: Settings) -> str:
    """Which model answers with these settings. Raises ModelError when none can."""
    choice = (await session.known_models(changed)).choice
    if isinstance(choice, ModelError):
        raise choice
    if obstacle := await asyncio.to_thread(models.obstacle, choice.spec, secret):
        raise ModelError(obstacle)
    why = f": {prose(choice.reason)}" if choice.fallback else "."
    return f"From the next cell on {code(choice.spec.name)} answers{why}"


def about_setting(settings: Settings, name: str) -> str:
    """What a setting may be, is, and is by default, in Markdown; `name` is one of them."""
    now, usual = _value(settings, name), _value(Settings(), name)
    kind = "a text" if isinstance(usual, str) else "a number"
    may_be = ", ".join(map(code, choices_of(name))) or kind
    when = "read when a session starts" if name in AT_START else f"{code(f'%set {name} VALUE')} changes it"
    return f"The setting {code(name)}: {may_be}\n\n- now {_shown(now)}, by default {_shown(usual)}\n- {when}"


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _differing(settings: Settings) -> str:
    defaults = Settings()
    names = [name for name in setting_names() if _value(settings, name) != _value(defaults, name)]
    return _rows(settings, names) if names else "All settings are at their defaults."


def _rows(settings: Settings, names: list[str]) -> str:
    rows = [(code(name), _shown(_value(settings, name)), _shown(_value(Settings(), name))) for name in names]
    return table(("setting", "value", "default"), rows)


def _value(settings: Settings, name: str) -> object:
    return setting_value(settings, name, _SOURCE)


def _shown(value: object) -> str:
    """As the config file would have it."""
    match value:
        case bool():
            return code(str(value).lower())
        case float():
            return code(f"{value:g}")
        case str():
            return code(f'"{value}"')
        case _:
            return code(str(value))
