"""What a validation by JSON Schema may cost, and what is found out once about a schema."""

from __future__ import annotations

import json
from threading import local
from typing import Any

from micro_agi_kernel.lua_modules._json_patterns import compile_pattern
from micro_agi_kernel.values import Value, shorten

MAX_STEPS = 1_000_000
"""A part of a schema or a keyword looked at is one; long lists, texts, patterns and messages are more."""


class EmptyTable(dict[str, Value]):
    """What an empty table of Lua may stand for: `{}` and `[]`, whichever the schema asks for."""

    def __getitem__(self, key: object) -> Any:
        if isinstance(key, slice):
            return []  # as of a list
        raise KeyError(key)


def loosened(value: Value) -> Value:
    """`value` with each empty list, and each empty object, as the EmptyTable that it was in Lua."""
    match value:
        case [] | {} if not value:
            return EmptyTable()
        case list():
            return [loosened(item) for item in value]
        case dict():
            return {key: loosened(item) for key, item in value.items()}
        case _:
            return value


class BadSchema(Exception):
    """The schema is none, or asks for more than a validation may cost."""


class Work(local):
    """What the validation that runs may still cost, and what is known of its schema.

    The keywords, which the library calls, share one object; it is another one in each thread, which has one at a time.
    """

    def __init__(self) -> None:
        self.left = self.most = 0
        self.loose = False
        """Whether the schema or the data was a table of Lua, so that what is empty in one is equal in the other."""
        self.known: dict[object, Any] = {}
        """By the id of a part of the schema, which the validator keeps alive: that it is one, or its identities."""

    def begin(self, steps: int, *, loose: bool) -> None:
        self.left = self.most = steps
        self.loose = loose

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise BadSchema(f"the validation takes more than {self.most:,} steps")

    def compiled(self, pattern: str) -> Any:
        self.spend(10 + len(pattern) // 16)
        try:
            return compile_pattern(pattern)
        except ValueError as error:
            hint = "patterns are RE2's, without look-around and back-references"
            raise BadSchema(f"schema: the pattern {shorten(pattern)!r}: {error}; {hint}") from error

    def matches(self, pattern: str, text: str) -> bool:
        """Whether `pattern` matches somewhere in `text`."""
        compiled = self.compiled(pattern)
        self.spend(len(text) * int(compiled.programsize) // 500)
        return compiled.search(text) is not None

    def identity(self, value: Value, *, loose: bool = False) -> str:
        """The same text for values that are equal, and for no others; {} is equal to [] where it is `loose`."""
        text = json.dumps(loosened(value) if loose else value, sort_keys=True, ensure_ascii=False)
        self.spend(1 + len(text) // (16 if loose else 64))
        return text

    def identities(self, values: list[Value]) -> frozenset[str]:
        """Those of a list that the schema holds, found out once."""
        key = (id(values), self.loose)
        if key not in self.known:
            self.known[key] = frozenset(self.identity(value, loose=self.loose) for value in values)
        found: frozenset[str] = self.known[key]
        return found


work = Work()
"""Of the validation that runs in this thread."""
