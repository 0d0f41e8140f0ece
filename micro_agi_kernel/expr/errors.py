"""What can go wrong with an expression: one exception tree, one readable line each."""

from __future__ import annotations

from micro_agi_kernel.values import shorten


class ExprError(Exception):
    """An expression failed. `str` is one line that ends with `(line:column)`, both from 1, where the place is known."""


class CompileError(ExprError):
    """The source is no valid expression, or is known to fail whatever the environment holds."""


class RunError(ExprError):
    """The expression cannot be evaluated with this environment."""


class LimitError(RunError):
    """A limit was reached; the line names it."""


def located(message: str, source: str, offset: int) -> str:
    """The error line: `message`, cut to 250 characters, and the place of the character at `offset`."""
    before = source[:offset]
    return f"{shorten(message, 250)} ({before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))})"
