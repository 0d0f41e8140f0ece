"""What an expression gives as plain data."""

from __future__ import annotations

from typing import Any

import pytest
from expr_kit import run

from micro_agi_kernel import expr
from micro_agi_kernel.values import MAX_DEPTH


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("nil", None),
        ("true", True),
        ("1", 1),
        ("1.0", 1.0),
        ('"é"', "é"),
        ("raw", b"\xff"),
        ("raw[0]", 255),
        ('b"hi"', "hi"),
        ('b"\\xff"', b"\xff"),
        ("[1, [nil]]", [1, [None]]),
        ("1..3", [1, 2, 3]),
        ('split("a b", " ")', ["a", "b"]),
        ("toPairs({a: 1})", [["a", 1]]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("groupBy([1, 2], # > 1)", {"false": [1], "true": [2]}),
        ("fromPairs([[1.5, 2], [nil, 3]])", {"1.5": 2, "<nil>": 3}),
        ("groupBy([1], #)[5]", None),
        ('date("1970-01-02T00:00:01.5Z")', 86_401),
        ('[date("1970-01-01")]', [0]),
    ],
)
def test_a_result_becomes_plain_data(source: str, wanted: Any) -> None:
    value = expr.to_value(run(source, {"raw": b"\xff"}))
    assert value == wanted
    assert type(value) is type(wanted)
    assert type(value) in (type(None), bool, int, float, str, bytes, list, dict)


@pytest.mark.parametrize(
    "source",
    [
        *('duration("1s")', 'timezone("UTC")', 'date("2024-01-01").Month()', 'date("2024-01-01").Weekday()'),
        *('[date("2024-01-01")][0].Year', '{a: [duration("1s")]}', 'groupBy([duration("1s")], 1)'),
    ],
)
def test_what_has_no_plain_form_is_an_error(source: str) -> None:
    with pytest.raises(expr.RunError, match="no plain value"):
        expr.to_value(run(source))


def test_a_result_may_be_nested_as_deeply_as_any_value() -> None:
    assert expr.to_value(run(f"reduce(1..{MAX_DEPTH - 1}, [#acc], 1)"))
    with pytest.raises(expr.RunError, match="nested"):
        expr.to_value(run(f"reduce(1..{MAX_DEPTH + 1}, [#acc], 1)"))


def test_a_small_result_that_is_large_when_written_out_is_refused() -> None:
    result = run("reduce(1..40, [#acc, #acc])")
    with pytest.raises(expr.LimitError):
        expr.to_value(result)
