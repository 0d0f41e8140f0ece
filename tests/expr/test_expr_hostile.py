"""Expressions and environments that were made to break the engine: an error of ours, or the value that Go gives."""

from __future__ import annotations

from typing import Any

import pytest

from micro_agi_kernel import expr
from micro_agi_kernel.expr.program import FAULT


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ('1000 in b"\\xff"', False),
        ('1.5 in b"ab"', False),
        ('97 in b"ab"', True),
        ('lower("\u0130STANBUL")', "istanbul"),
        ('upper("\u1f80\u00df")', "\u1f88\u00df"),
        (" or ".join(["a"] * 4_990) + " or true", True),
        (" and ".join(["all([1], # > 0)"] * 300), True),
        ("1 ?? f(filter([1], #index))", 1),
    ],
    ids=range(8),
)
def test_what_was_wrong_once(source: str, value: Any) -> None:
    assert expr.compile(source).run({"a": False}) == value


@pytest.mark.parametrize("source", ["f(map([1], #acc))", "f(filter([1], #index))", "f(groupBy([1], #acc))"])
def test_a_pointer_that_no_predicate_here_has(source: str) -> None:
    with pytest.raises(expr.RunError, match=r"there is no #(acc|index) here|is no function"):
        expr.compile(source).run({"f": 1})


def test_a_byte_of_a_character_is_no_pattern() -> None:
    with pytest.raises(expr.CompileError, match="invalid escape sequence"):
        expr.compile(r'"a" matches "\\C"')
    assert expr.compile(r'"C" matches "\\QC\\E"').run() is True


@pytest.mark.parametrize("source", ["a == 1.0", "string(a)", "a + 1", "int(a)", "{a: a}", "[a] == [1.5]", "a in [1]"])
def test_an_integer_that_no_lua_has_never_ends_a_turn(source: str) -> None:
    """An environment from YAML may hold one; what cannot take it is an error of the expression."""
    for number in (10**400, -(10**5_000)):
        try:
            expr.compile(source).run({"a": number})
        except expr.RunError as error:
            assert len(str(error)) < 300


def test_a_fault_of_ours_is_an_error_of_the_expression() -> None:
    program = expr.compile("1")
    program._function = lambda *_: 1 / 0
    with pytest.raises(expr.RunError, match=f"{FAULT}: ZeroDivisionError"):
        program.run()
