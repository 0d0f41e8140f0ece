"""The Lua module `yaml`: Lua tables as YAML and back.

Both ways go through libyaml's events, which are iterative. PyYAML's composer and serializer recurse in C, read by the
rules of YAML 1.1, and take ten times as long.
"""

from __future__ import annotations

import base64
import math
from typing import Any

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid, octets
from micro_agi_kernel.lua_modules._yaml_document import BadDocument, Document
from micro_agi_kernel.lua_modules._yaml_scalars import needs_quotes
from micro_agi_kernel.values import Value, shorten

_MAX_TAG_DIRECTIVES = 100
"""libyaml compares each with all before it."""


def _decode(text: Value) -> Value:
    """The first document of `text`."""
    import yaml

    data = octets(text, "text")
    if not data:
        raise invalid("input cannot be empty")
    if data.count(b"%TAG") > _MAX_TAG_DIRECTIVES:
        raise _failed(f"more than {_MAX_TAG_DIRECTIVES} %TAG directives")
    try:
        return Document(yaml.CSafeLoader(data)).value
    except BadDocument as error:
        raise _failed(str(error)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _failed(f"line {mark.line + 1}: {error.problem}" if mark else str(error.problem)) from error
    except yaml.YAMLError as error:
        raise _failed(shorten(str(error).splitlines()[0], 200)) from error


def _failed(message: str) -> Refused:
    # INTERNAL, not INVALID: that is what the reference's documentation promises for bad YAML.
    return Refused(ErrorKind.INTERNAL, f"decode failed: {message}", retryable=False)


def _encode(value: Value, field_order: Value) -> Value:
    """`value` as YAML: the keys in `field_order` first, in that order, the others after them by the alphabet."""
    names = field_order if isinstance(field_order, list) else [field_order]
    order = {name: place for place, name in enumerate(names) if isinstance(name, str)}
    if len(order) < len(names):
        raise invalid("field_order must be a list of different strings")
    return _Writer(order).text(value)


class _Writer:
    """Writes a value as libyaml's events: block style, two spaces, no line broken."""

    def __init__(self, order: dict[str, int]) -> None:
        import io

        import yaml

        self._yaml: Any = yaml
        self._order = order
        self._stream = io.StringIO()
        self._emit = yaml.CSafeDumper(self._stream, indent=2, width=-1, allow_unicode=True).emit

    def text(self, value: Value) -> str:
        yaml = self._yaml
        self._emit(yaml.StreamStartEvent())
        self._emit(yaml.DocumentStartEvent(explicit=False))
        self._write(value)
        self._emit(yaml.DocumentEndEvent(explicit=False))
        self._emit(yaml.StreamEndEvent())
        return self._stream.getvalue()

    def _write(self, value: Value) -> None:
        yaml = self._yaml
        match value:
            case list():
                self._emit(yaml.SequenceStartEvent(None, None, True, flow_style=False))
                for item in value:
                    self._write(item)
                self._emit(yaml.SequenceEndEvent())
            case dict():
                self._emit(yaml.MappingStartEvent(None, None, True, flow_style=False))
                last = len(self._order)
                for key in sorted(value, key=lambda key: self._order.get(key, last)) if last else value:
                    self._write(key)
                    self._write(value[key])
                self._emit(yaml.MappingEndEvent())
            case _:
                self._emit(self._scalar(value))

    def _scalar(self, value: Value) -> Any:
        event = self._yaml.ScalarEvent
        match value:
            case str() if needs_quotes(value):
                return event(None, None, (False, True), value, style='"')
            case str():
                return event(None, None, (True, True), value, style="|" if "\n" in value else None)
            case bytes():
                return event(None, "tag:yaml.org,2002:binary", (False, False), base64.b64encode(value).decode())
            case bool() | None:
                return event(None, None, (True, False), {True: "true", False: "false", None: "null"}[value])
            case float() if not math.isfinite(value):
                return event(None, None, (True, False), {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}[str(value)])
            case _:
                return event(None, None, (True, False), repr(value))


def preload() -> None:
    """Import libyaml and let both ways be gone once."""
    _decode("a: [1, 2024-01-15]")
    _encode(["a"], [])


MODULE = LuaModule(functions={"decode": _decode, "encode": _encode})
