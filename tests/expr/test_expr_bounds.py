"""Every cost is bounded: hostile sources and hostile values end in an error that names the limit."""

from __future__ import annotations

from typing import Any

import pytest

from micro_agi_kernel import expr
from micro_agi_kernel.values import MAX_DEPTH

MEGABYTE = "x" * 1_000_000
NUMBERS = list(range(100_000))

SOURCES = {
    "long": "1" + " " * 65_536,
    "nodes": "[" + "1," * 10_000 + "]",
    "brackets": "(" * 100_000,
    "some brackets": "(" * 30_000 + "1" + ")" * 30_000,
    "arrays": "[" * 5_000 + "]" * 5_000,
    "maps": "{a:" * 3_000,
    "minus": "-" * 30_000 + "1",
    "not": "not " * 10_000 + "a",
    "sum": "a" + "+a" * 5_000,
    "pipes": "a" + "|len()" * 3_000,
    "fields": "a" + ".b" * 3_000,
    "optional fields": "a" + "?.b" * 3_000,
    "indexes": "a[" * 5_000,
    "ternaries": "a ? " * 5_000,
    "else": "if a {1} else " * 3_000 + "{2}",
    "let": "".join(f"let v{n} = 1; " for n in range(3_000)) + "1",
    "predicates": "map(a, " * 50 + "1" + ")" * 50,
    "comparisons": "1 < (" * 200 + "1" + ") < 1" * 200,
    "pattern": f'a matches "{"x" * 5_000}"',
    "repeated pattern": 'a matches "((a{100}){100}){100}"',
    "many patterns": "[" + ",".join(f'a matches "x{n}(((y{{10}}){{10}}){{10}})"' for n in range(300)) + "]",
    "escape": '"' + "\\" * 60_000,
    "number": "9" * 60_000,
    "zeros": "0x" + "0" * 60_000 + "ffffffffffffffffff",
    "comment": "/*" * 30_000,
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_hostile_source_is_refused(name: str) -> None:
    with pytest.raises(expr.CompileError) as caught:
        expr.compile(SOURCES[name])
    assert len(str(caught.value)) < 300


def test_predicates_inside_predicates_are_counted() -> None:
    with pytest.raises(expr.CompileError, match="12 predicates"):
        expr.compile("map([1], " * 13 + "#" + ")" * 13)


def test_what_people_write_is_far_from_the_bounds() -> None:
    assert expr.compile(" or ".join(f'a == "{n}"' for n in range(2_000))).run({"a": "1999"}) is True
    assert expr.compile("a" + " + a" * 90).run({"a": 1}) == 91
    assert expr.compile("[" + ", ".join(map(str, range(9_000))) + "]").run()[8_999] == 8_999
    assert expr.compile("(" * 90 + "1" + ")" * 90).run() == 1
    assert expr.compile("map([1], " * 12 + "#" + ")" * 12).run() == [[[[[[[[[[[[1]]]]]]]]]]]]


STEPS, ELEMENTS, TEXT, NESTING = "steps", "elements in memory", "bytes of text", "nesting"

BOMBS: list[tuple[str, Any, str]] = [
    ("1..1000000", None, ELEMENTS),
    ("1..9223372036854775807", None, ELEMENTS),
    ("map(1..1000, map(1..1000, #))", None, ELEMENTS),
    ("map(1..100000, xs[1:])", {"xs": NUMBERS}, ELEMENTS),
    ("map(1..100000, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, #])", None, ELEMENTS),
    ("map(1..1000, sort(xs))", {"xs": NUMBERS}, STEPS),
    ("split(s, '')", {"s": MEGABYTE}, ELEMENTS),
    ("map(1..100, split(s, 'x'))", {"s": MEGABYTE[:50_000]}, ELEMENTS),
    ("concat(xs, xs, xs, xs, xs, xs, xs, xs, xs, xs)", {"xs": NUMBERS}, ELEMENTS),
    ("repeat('xx', 500000)", None, ELEMENTS),
    ("repeat('', 1000001)", None, "repetitions"),
    ("flatten(reduce(1..40, [#acc, #acc]))", None, ELEMENTS),
    ("mean(reduce(1..40, [#acc, #acc]))", None, ELEMENTS),
    ("fromJSON(s)", {"s": "[" + "1," * 1_000_000 + "1]"}, ELEMENTS),
    ("[map(s, 1), map(s, 2)]", {"s": MEGABYTE[:400_000]}, ELEMENTS),
    ("count(1..100000, all(xs, # >= 0))", {"xs": NUMBERS}, STEPS),
    ("count(xs, count(xs, # > 0) > 100000)", {"xs": NUMBERS}, STEPS),
    ("count(xs, 'a' in ys)", {"xs": NUMBERS, "ys": ["b"] * 100_000}, STEPS),
    ("count(xs, s contains 'y')", {"xs": NUMBERS, "s": MEGABYTE}, STEPS),
    ("count(xs, s == t)", {"xs": NUMBERS, "s": MEGABYTE, "t": MEGABYTE[1:] + "y"}, STEPS),
    ("count(xs, s < t)", {"xs": NUMBERS, "s": MEGABYTE, "t": MEGABYTE[1:] + "y"}, STEPS),
    ("count(xs, s startsWith t)", {"xs": NUMBERS, "s": MEGABYTE, "t": MEGABYTE[1:] + "x"}, STEPS),
    ("count(xs, s matches '(x+x+)+y')", {"xs": NUMBERS, "s": MEGABYTE}, STEPS),
    ("s matches '[xy]*x[xy]{900}z'", {"s": MEGABYTE}, STEPS),
    ("count(1..999999, s matches string(#))", {"s": "x"}, STEPS),
    ("count(xs, len(s) > 1)", {"xs": NUMBERS, "s": b"\xff" * 1_000_000}, STEPS),
    ("map(xs, s[0])", {"xs": NUMBERS, "s": "é" + MEGABYTE}, STEPS),
    ("map(xs, indexOf(s, 'y'))", {"xs": NUMBERS, "s": MEGABYTE}, STEPS),
    ("map(xs, hasPrefix(s, s))", {"xs": NUMBERS, "s": MEGABYTE}, STEPS),
    ("let a = reduce(1..40, [#acc, #acc]); let b = reduce(1..40, [#acc, #acc]); a == b", None, STEPS),
    ("max(reduce(1..40, [#acc, #acc]))", None, STEPS),
    ("uniq(map(1..200, reduce(1..12, [#acc, #acc])))", None, STEPS),
    ("map(xs, date(s, t))", {"xs": NUMBERS, "s": "2" * 1_000, "t": "2006" * 250}, STEPS),
    ("map(xs, date('2024-01-01').Format(s))", {"xs": NUMBERS, "s": "2006" * 1_000}, STEPS),
    ("let d = date('2024-01-01'); map(xs, d.Year())", {"xs": NUMBERS}, STEPS),
    ("map(1..20000, date('15:04:05'))", None, STEPS),
    ("map(xs, duration(s))", {"xs": NUMBERS, "s": "1h" * 500}, STEPS),
    ("map(xs, string(m))", {"xs": NUMBERS, "m": {str(n): n for n in range(10_000)}}, STEPS),
    ("count(xs, m[s] == 1)", {"xs": NUMBERS, "s": MEGABYTE, "m": {"".join(MEGABYTE): 1}}, STEPS),
    ("groupBy(xs, # % 2 == 0 ? s : t)", {"xs": NUMBERS, "s": MEGABYTE, "t": MEGABYTE[1:] + "x"}, STEPS),
    ("sort(map(1..1000, s))", {"s": MEGABYTE}, STEPS),
    ("let a = map(1..1000, t); count(1..100, s in a)", {"s": MEGABYTE, "t": MEGABYTE[1:] + "y"}, STEPS),
    ("map(xs, lastIndexOf(s, t))", {"xs": NUMBERS, "s": MEGABYTE, "t": "y" + MEGABYTE[:500_000]}, STEPS),
    ("reduce(1..60, #acc + #acc, s)", {"s": MEGABYTE}, TEXT),
    ("map(xs, upper(s))", {"xs": NUMBERS, "s": MEGABYTE}, TEXT),
    ("replace(s, 'x', s)", {"s": MEGABYTE}, TEXT),
    ("replace(s, '', s)", {"s": MEGABYTE}, TEXT),
    ("join(map(xs, 'x'), s)", {"xs": NUMBERS, "s": MEGABYTE}, TEXT),
    ("map(xs, s[1:])", {"xs": NUMBERS, "s": MEGABYTE}, TEXT),
    ("map(xs, toBase64(s))", {"xs": NUMBERS, "s": MEGABYTE}, TEXT),
    ("map(xs, trim(s))", {"xs": NUMBERS, "s": MEGABYTE}, TEXT),
    ("trim(s, t)", {"s": MEGABYTE, "t": MEGABYTE}, "characters to trim"),
    ("string(reduce(1..100000, [#acc]))", None, NESTING),
    ("toJSON(reduce(1..100000, [#acc]))", None, NESTING),
    ("flatten(reduce(1..100000, [#acc]))", None, NESTING),
    ("max(reduce(1..100000, [#acc]))", None, NESTING),
    ("reduce(1..100000, [#acc]) == reduce(1..100000, [#acc])", None, NESTING),
    ("fromJSON(s)", {"s": "[" * 100_000}, NESTING),
]


@pytest.mark.parametrize(("source", "env", "limit"), BOMBS, ids=[source[:60] for source, _, _ in BOMBS])
def test_a_cost_bomb_ends_at_the_limit_that_it_reached(source: str, env: Any, limit: str) -> None:
    program = expr.compile(source)
    # A tenth of what is usual, which is reached as surely and sooner; memory as in expr-lang.
    limits = expr.Limits(steps=1_000_000 if limit == STEPS else expr.Limits().steps)
    with pytest.raises(expr.LimitError, match=rf"the limit of .*{limit}"):
        program.run(env, limits)


@pytest.mark.parametrize(
    ("source", "env"),
    [
        ("s matches '(x+x+)+y'", {"s": MEGABYTE}),
        ("int(s)", {"s": "9" * 1_000_000}),
        ("float(s)", {"s": "1_" * 400_000 + "1"}),
        ("date('2023-01-01').AddDate(9223372036854775807, 1, 1).String()", None),
        ("date('2023-01-01').In(timezone('Europe/Zurich')).AddDate(9223372036854775807, 1, 1).Year() > 0", None),
        ("-9223372036854775807..9223372036854775807", None),
        ("9223372036854775807 ** 9223372036854775807", None),
        ("bitshl(1, 9223372036854775807)", None),
        ("reduce(1..1000, #acc * #acc, 2)", None),
        ("sort(xs)", {"xs": NUMBERS[::-1]}),
        ("uniq(xs) | len()", {"xs": [{"n": n % 2_000} for n in range(10_000)]}),
        ("groupBy(xs, # % 1000) | len()", {"xs": NUMBERS}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_only_looks_expensive_ends_by_itself(source: str, env: Any) -> None:
    program = expr.compile(source)
    try:
        program.run(env)
    except expr.RunError as error:
        assert not isinstance(error, expr.LimitError)


def test_limits_are_the_callers() -> None:
    program = expr.compile("map(1..100, # * 2)")
    program.run()
    for limits, name in (
        (expr.Limits(steps=100), "100 steps"),
        (expr.Limits(memory=100), "100 elements"),
        (expr.Limits(steps=1), "1 steps"),
    ):
        with pytest.raises(expr.LimitError, match=name):
            program.run(None, limits)
    with pytest.raises(expr.LimitError, match="10 bytes"):
        expr.compile("upper('0123456789a')").run(None, expr.Limits(text=10))
    with pytest.raises(expr.LimitError, match="3 steps"):
        expr.compile("a + a + a").run({"a": 1}, expr.Limits(steps=3))


def test_values_that_are_nested_deeply_are_an_error_and_no_crash() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for source in ("string(x)", "x == [x]", "toJSON(x)", "flatten(x)", "uniq([x, x])", "max(x)", "x in [[x]]"):
        with pytest.raises(expr.LimitError, match="nesting"):
            expr.compile(source).run({"x": deep})
    with pytest.raises(expr.RunError, match=str(MAX_DEPTH)):
        expr.to_value(expr.compile("x").run({"x": deep}))
