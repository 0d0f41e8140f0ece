"""Expressions: what a policy of kind security.policy.expr asks of a request, in the language of `expr`.

An expression sees `actor` {id, meta}, `action`, `resource` and `meta`, and must give true or false; nil is false. A
field that is missing is nil, as in the reference; a variable that there is not is an error there and then, since a
policy with a misspelt one would never apply. Whatever cannot be evaluated is an error, which the scope turns against
the request.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.policy.conditions import ConditionError, Fields
from micro_agi_kernel.values import Json, as_value, shorten

if TYPE_CHECKING:
    from micro_agi_kernel.expr import Program

VARIABLES = frozenset({"actor", "action", "resource", "meta"})
STEPS, ELEMENTS, TEXT = 50_000, 50_000, 1 << 18
"""Far less than a tool has, since some requests are judged where everything else waits: at worst some fifty
milliseconds."""
MAX_SOURCE = 4_096
"""Characters: more than a person would write as one rule, and compiled within some fifty milliseconds."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression, compiled."""

    source: str
    program: Program = dataclasses.field(repr=False, compare=False)

    @classmethod
    def parse(cls, source: Json, where: str) -> Expression:
        """The expression that a policy's YAML holds. Raises EntryError that begins with `where`."""
        if not isinstance(source, str) or not source.strip():
            raise EntryError(f"{where}: expression is missing")
        from micro_agi_kernel.expr import ExprError

        if len(source) > MAX_SOURCE:
            raise EntryError(f"{where}: the expression has more than {MAX_SOURCE:,} characters")
        try:
            program = _compiled(source)
        except ExprError as error:
            raise EntryError(f"{where}: expression {shorten(source)!r}: {error}") from error
        if unknown := sorted(program.variables - VARIABLES):
            raise EntryError(
                f"{where}: unknown variable {shorten(unknown[0])!r} (there are {', '.join(sorted(VARIABLES))})"
            )
        return cls(source, program)

    def holds(self, fields: Fields) -> bool:
        """Whether the request satisfies it. Raises ConditionError when that cannot be said."""
        from micro_agi_kernel.expr import ExprError, Limits

        try:
            return bool(self.program.run(as_value(dict(fields)), Limits(STEPS, ELEMENTS, TEXT)))
        except (ExprError, UnicodeEncodeError) as error:  # the latter for text with half a surrogate pair
            raise ConditionError(str(error)) from error


@lru_cache(maxsize=256)  # a scope is loaded anew after each commit, with the same policies in most cases
def _compiled(source: str) -> Program:
    from micro_agi_kernel.expr import compile

    return compile(source, boolean=True)
