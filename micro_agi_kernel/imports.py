"""Importing heavy packages, also on threads."""

from __future__ import annotations

import sys
from threading import Lock

importing = Lock()
"""Held by a thread that imports beside others. Python locks each module by itself: when two threads import packages
that import one another, it hands one of them a module that is half there rather than wait for ever."""


def import_jsonschema() -> None:
    """Import jsonschema, but for a checker of formats that takes a second, if it is installed (JupyterLab needs it)."""
    name = "rfc3987_syntax"
    with importing:
        if "jsonschema" in sys.modules:
            return
        hidden = sys.modules.get(name)
        sys.modules[name] = None  # type: ignore[assignment]
        import jsonschema  # noqa: F401

        del sys.modules[name]
        if hidden:
            sys.modules[name] = hidden
