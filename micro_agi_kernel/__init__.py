"""Micro AGI: a Jupyter kernel whose agent writes its own tools into a Git registry.

    from micro_agi_kernel import Agent

Importing it does nothing: what it gives by name (docs/library.md) is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from micro_agi_kernel.entries import Entry
    from micro_agi_kernel.environment import load_settings
    from micro_agi_kernel.errors import MicroAgiError, ToolError
    from micro_agi_kernel.events import (
        Asked,
        CommandAnswered,
        DiffShown,
        EntryPublished,
        Event,
        FileRead,
        Notice,
        ReasoningDelta,
        RegistryShown,
        TextDelta,
        ToolDisplay,
        ToolFinished,
        ToolLoaded,
        ToolOutput,
        ToolProgress,
        ToolStarted,
        TurnFinished,
        UsageReport,
    )
    from micro_agi_kernel.frontends.library import Agent, RegistryView
    from micro_agi_kernel.questions import Answer, Question
    from micro_agi_kernel.registry import Version
    from micro_agi_kernel.session import Session, open_session

__all__ = [
    "Agent",
    "Answer",
    "Asked",
    "CommandAnswered",
    "DiffShown",
    "Entry",
    "EntryPublished",
    "Event",
    "FileRead",
    "MicroAgiError",
    "Notice",
    "Question",
    "ReasoningDelta",
    "RegistryShown",
    "RegistryView",
    "Session",
    "TextDelta",
    "ToolDisplay",
    "ToolError",
    "ToolFinished",
    "ToolLoaded",
    "ToolOutput",
    "ToolProgress",
    "ToolStarted",
    "TurnFinished",
    "UsageReport",
    "Version",
    "__version__",
    "load_settings",
    "open_session",
]

_MODULES = {
    "Agent": "frontends.library",
    "Answer": "questions",
    "Entry": "entries",
    "MicroAgiError": "errors",
    "Question": "questions",
    "RegistryView": "frontends.library",
    "Session": "session",
    "ToolError": "errors",
    "Version": "registry",
    "load_settings": "environment",
    "open_session": "session",
    "load_ipython_extension": "frontends.jupyter.extension",
    "unload_ipython_extension": "frontends.jupyter.extension",
}
"""Where a name comes from, if not from `events`; the last two are what `%load_ext` asks for."""


if not TYPE_CHECKING:  # so that a type checker knows which names there are

    def __getattr__(name: str) -> object:
        """Import what is asked for, once."""
        if name not in __all__ and name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'events')}"), name)
        return value
