"""Error lines say what to do: a model reads them and mends its expression."""

from __future__ import annotations

from typing import Any

import pytest
from expr_kit import run

from micro_agi_kernel import expr

ENV: dict[str, Any] = {"s": "abc", "n": 1, "orders": [{"total": 1}], "m": {"k": 1}, "nix": None}

ALWAYS = [
    ("s.length", "string has no field length; write len(x) (1:3)"),
    ('s.startsWith("a")', "string has no field startsWith; write x startsWith y (1:3)"),
    ("s.toUpperCase()", "string has no field toUpperCase; write upper(x) (1:3)"),
    (
        "orders.total",
        "array has no field total; take an element first, or all of them by map(xs, .total) (1:8)",
    ),
    ('date("2024-01-01").year()', "time has no field year; write .Year() (1:20)"),
    ("foo(1)", "there is no function foo (1:1)"),
    ("length(s)", "there is no function length; write len(x) (1:1)"),
    ("n(1)", "n is int, no function (1:1)"),
    ("s + 1", "+ does not take string and int; string(x) makes text of it (1:3)"),
    ("1 +", "unexpected end of the expression (1:3)"),
    ('contains(s, "a")', "unexpected operator 'contains': it stands between, x contains y (1:1)"),
    ("orders | len", "unexpected end of the expression: a function's arguments follow it in parentheses, as in"),
    ("map(orders, {total: .total})", "a map in them needs its own, {{a: 1}} or ({a: 1}) (1:19)"),
    ("map(orders, x => x.total)", "unexpected operator '=': == compares, let x = 1; names a value, and a predicate"),
    ("#.total", "unexpected operator '#': it is the element in a predicate, as in map(xs, # + 1) (1:1)"),
    (".total", "unexpected operator '.': with nothing before it, it is a field of the element in a predicate"),
    ("filter(orders, #index > 0)", "unknown #index: map has #index, reduce #index and #acc (1:16)"),
    ('date("15.01.2024")', "no date: '15.01.2024'; give its layout, as in date(x, \"02.01.2006\") (1:1)"),
    ("take(orders)", "take takes 2 arguments, not 1 (1:1)"),
]


@pytest.mark.parametrize(("source", "line"), ALWAYS)
def test_an_error_says_what_to_do(source: str, line: str) -> None:
    """Whether it is found before anything runs or by running."""
    for hints in (None, ENV):
        with pytest.raises(expr.ExprError) as caught:
            run(source, ENV, hints=hints)
        assert line in str(caught.value)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (
            "filter(orders, total > 100)",
            "> does not take nil and int; there is no variable total, a field of the element is .total (1:22)",
        ),
        ("upper(name)", "a string is needed, not nil; there is no variable name (1:1)"),
        ("user.city", "nil has no field city; ?.city would give nil; there is no variable user (1:6)"),
        ("missing ? 1 : 2", "a condition is bool, not nil; there is no variable missing (1:9)"),
        ("nix + 1", "+ does not take nil and int (1:5)"),
        ("m.keys()", "there is no function keys; write keys(x) (1:3)"),
        ("$env.foo()", "there is no function foo (1:6)"),
        ("let total = m.nothing; total + 1", "+ does not take nil and int (1:30)"),
        ("map(m, .k)", "the elements of a map cannot be looked at: use values, keys or toPairs (1:9)"),
    ],
)
def test_an_error_while_it_runs_names_the_variable_that_is_missing(source: str, line: str) -> None:
    with pytest.raises(expr.RunError) as caught:
        run(source, ENV)
    assert str(caught.value) == line


def test_where_the_checker_does_not_look_a_wrong_number_of_arguments_is_found_by_running() -> None:
    for source in ("s[upper():]", "s[:take(1)]", "$env[max()]", "s[:now(1, 2).Day()]"):
        with pytest.raises(expr.RunError, match=r"takes .* not|takes nothing"):
            run(source, ENV)
    assert run('s[:now(timezone("UTC")).Day() * 0]', ENV) == ""
