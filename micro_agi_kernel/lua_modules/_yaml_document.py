"""A YAML document as a plain value: what libyaml's events say, put together within bounds.

As the reference's parser does: anchors may be given again, merge keys are merged, a key that stands twice is an error,
and keys become text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from micro_agi_kernel.go_time import Time
from micro_agi_kernel.lua_modules._yaml_scalars import Scalar, is_like_a_moment, key_text, plain, tagged
from micro_agi_kernel.values import MAX_DEPTH, Value, shorten

MAX_NODES = 500_000
"""Scalars, lists and maps of a document."""

_PER_MOMENT = 10
"""As many nodes as what looks like a moment costs."""

MAX_EXPANSION = 8 << 20
"""Bytes that aliases may add: each stands for a copy of what it points to."""

_PER_NODE = 8
"""Bytes that a value costs beside its text: a bomb may be made of empty lists."""

_PLAIN = ("", None)
"""The styles of a scalar without quotes."""

_NO_TAG = (None, "!")
_MERGE = "tag:yaml.org,2002:merge"


class BadDocument(Exception):
    """The document breaks a rule or a bound; the message says at which line."""


@dataclass(slots=True)
class _Anchored:
    """What an anchor stands for."""

    value: Scalar | Value = None
    size: int = 0
    """Bytes, those of what its own aliases stand for too."""
    height: int = 0
    """Lists and maps within one another."""
    complete: bool = False


class Document:
    """Reads the first document of a stream, and leaves the others alone.

    Raises BadDocument, and yaml.YAMLError for what is no YAML.
    """

    def __init__(self, loader: Any) -> None:
        import yaml

        self._yaml: Any = yaml
        self._next = loader.get_event
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = self._size = self._expansion = 0
        self._deepest = 0
        self._next()  # the start of the stream
        self.value: Value = None
        if type(self._next()) is not yaml.StreamEndEvent:
            self.value = _as_value(self._read(self._next(), 0))
            self._next()  # the end of the document: an error if something else follows

    def _read(self, event: Any, depth: int) -> Scalar | Value:
        """The value that begins with `event`, inside of `depth` lists and maps."""
        if type(event) is self._yaml.AliasEvent:
            return self._alias(event, depth)
        if event.anchor is None:
            return self._content(event, depth)
        # Known from here on, since an anchor inside of the value may have the same name.
        anchored = self._anchors[event.anchor] = _Anchored()
        size, deepest = self._size, self._deepest
        self._deepest = depth
        anchored.value = self._content(event, depth)
        anchored.size, anchored.height, anchored.complete = self._size - size, self._deepest - depth, True
        self._deepest = max(deepest, self._deepest)
        return anchored.value

    def _content(self, event: Any, depth: int) -> Scalar | Value:
        self._spend(1, event)
        self._size += _PER_NODE
        if type(event) is self._yaml.ScalarEvent:
            return self._scalar(event)
        self._go_to(depth + 1, event)
        return self._list(depth + 1) if type(event) is self._yaml.SequenceStartEvent else self._map(depth + 1)

    def _spend(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _bad(event, f"more than {MAX_NODES:,} values")

    def _go_to(self, depth: int, event: Any) -> None:
        if depth > MAX_DEPTH:
            raise _bad(event, f"nested deeper than {MAX_DEPTH}")
        self._deepest = max(self._deepest, depth)

    def _scalar(self, event: Any) -> Scalar:
        self._size += len(event.value)
        if event.tag in _NO_TAG and event.style not in _PLAIN:
            return str(event.value)
        if is_like_a_moment(event.value):
            self._spend(_PER_MOMENT - 1, event)
        if event.tag in _NO_TAG:
            return plain(event.value)
        try:
            return tagged(event.tag, event.value)
        except ValueError as error:
            raise _bad(event, str(error)) from error

    def _alias(self, event: Any, depth: int) -> Scalar | Value:
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            raise _bad(event, f"unknown anchor {shorten(event.anchor, 40)!r}")
        if not anchored.complete:
            raise _bad(event, f"the anchor {shorten(event.anchor, 40)!r} contains itself")
        self._go_to(depth + anchored.height, event)
        self._size += anchored.size
        self._expansion += anchored.size
        if self._expansion > MAX_EXPANSION:
            raise _bad(event, f"aliases expand to more than {MAX_EXPANSION >> 20} MiB")
        return anchored.value

    def _list(self, depth: int) -> Value:
        items: list[Value] = []
        while type(event := self._next()) is not self._yaml.SequenceEndEvent:
            items.append(_as_value(self._read(event, depth)))
        return items

    def _map(self, depth: int) -> Value:
        found: dict[str, Value] = {}
        merged: list[Value] = []
        merge = None
        seen = set()
        while type(event := self._next()) is not self._yaml.MappingEndEvent:
            is_alias = type(event) is self._yaml.AliasEvent
            # Two keys are the same when their texts are, before these are read as numbers or words.
            name = event.anchor if is_alias else getattr(event, "value", None)
            if (is_alias, name) in seen:
                raise _bad(event, f"the key {shorten(str(name), 40)!r} stands twice")
            seen.add((is_alias, name))
            key = self._read(event, depth)
            value = _as_value(self._read(self._next(), depth))
            if key == "<<" and not is_alias and event.style in _PLAIN and event.tag in (*_NO_TAG, _MERGE):
                merge, merged = event, value if isinstance(value, list) else [value]
            else:
                found[self._key_text(event, key)] = value
        for mapping in merged:
            if not isinstance(mapping, dict):
                raise _bad(merge, "<< takes a map or a list of maps")
            for text, value in mapping.items():
                found.setdefault(text, value)
        return found

    def _key_text(self, event: Any, key: Scalar | Value) -> str:
        if isinstance(key, (list, dict)):
            raise _bad(event, "a list or a map is no key")
        try:
            return key if type(key) is str else key_text(key)
        except ValueError as error:
            raise _bad(event, "a key that is not UTF-8 text") from error


def _as_value(found: Scalar | Value) -> Value:
    """A moment is its seconds since 1970, as the reference gives it to Lua."""
    return found.seconds if isinstance(found, Time) else found


def _bad(event: Any, problem: str) -> BadDocument:
    return BadDocument(f"line {event.start_mark.line + 1}: {problem}")
