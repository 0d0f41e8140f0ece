"""Every builtin: what it gives, and what it does not take."""

from __future__ import annotations

from typing import Any

import pytest
from expr_kit import as_json, outcome, run, type_class

from micro_agi_kernel import expr
from micro_agi_kernel.expr.signatures import NAMES

ENV: dict[str, Any] = {
    "users": [
        {"name": "Ann", "age": 30, "tags": ["a", "b"]},
        {"name": "Bob", "age": 25, "tags": []},
        {"name": "Cid", "age": 30, "tags": ["b"]},
    ],
    "m": {"b": 2, "a": 1},
    "raw": b"\xff\xfea",
    "word": "héllo",
    "none": None,
}

GIVES: dict[str, list[tuple[str, Any]]] = {
    "all": [("all(users, .age > 20)", True), ("all([], false)", True), ("all(users, .age > 25)", False)],
    "none": [("none(users, .age > 40)", True), ("none([1], # == 1)", False)],
    "any": [('any(users, "a" in .tags)', True), ("any([], true)", False)],
    "one": [("one(users, .age == 25)", True), ("one(users, .age == 30)", False)],
    "filter": [("filter(1..9, # % 4 == 0)", [4, 8]), ("filter(users, len(.tags) == 0) | map(.name)", ["Bob"])],
    "map": [("map(users, .name)", ["Ann", "Bob", "Cid"]), ("map([5, 6], # * #index)", [0, 6])],
    "find": [("find(users, .age == 30).name", "Ann"), ("find([1], # > 1)", None)],
    "findIndex": [("findIndex(users, .age == 25)", 1), ("findIndex([], true)", None)],
    "findLast": [("findLast(users, .age == 30).name", "Cid")],
    "findLastIndex": [("findLastIndex(users, .age == 30)", 2)],
    "groupBy": [
        ("groupBy(users, .age)[30] | map(.name)", ["Ann", "Cid"]),
        ("groupBy([1, 2, 3], # > 1)", {"false": [1], "true": [2, 3]}),
        ("len(groupBy([1, 1.0, true], #))", 3),
        ("groupBy([1], #)[2]", []),
    ],
    "sortBy": [
        ("sortBy(users, .age) | map(.name)", ["Bob", "Ann", "Cid"]),
        ('sortBy(users, .age, "desc") | map(.name)', ["Ann", "Cid", "Bob"]),
        ("sortBy([3, 1.5, 2], #)", [1.5, 2, 3]),
    ],
    "reduce": [
        ("reduce(1..4, #acc * #)", 24),
        ("reduce([5, 6], #acc + # * #index, 100)", 106),
        ("reduce([], #acc, 7)", 7),
    ],
    "count": [("count(users, .age == 30)", 2), ("count([true, false, true])", 2)],
    "sum": [
        ("sum([1, 2.5])", 3.5),
        ("sum(users, .age)", 85),
        ("sum([])", 0),
        ('sum([word, "!"])', "héllo!"),
        ("sum(map(users, .age * 2))", 170),
    ],
    "len": [("len(word)", 5), ("len(raw)", 3), ("len(users)", 3), ("len(m)", 2), ('len(b"é")', 2)],
    "type": [
        ("map([nil, true, 1, 1.5, word, users, m, now()], type(#))", "nil bool int float string array map time.Time"),
        ('type(duration("1s"))', "time.Duration"),
        ("type(nix ?? raw)", "string"),
    ],
    "abs": [("abs(-5)", 5), ("abs(-0.5)", 0.5), ("abs(m.b)", 2)],
    "ceil": [("ceil(1.2)", 2.0), ("ceil(-1.2)", -1.0), ("ceil(3)", 3.0)],
    "floor": [("floor(1.8)", 1.0), ("floor(-1.2)", -2.0), ("floor(m.a)", 1.0)],
    "round": [("round(2.5)", 3.0), ("round(-2.5)", -3.0), ("round(0.49999999999999994)", 0.0), ("round(1e300)", 1e300)],
    "int": [
        ('int("-42")', -42),
        ("int(-1.9)", -1),
        ("int(1e300)", -(1 << 63)),
        ('int("0009")', 9),
        ('int(duration("1us"))', 1000),
    ],
    "float": [
        ('float(".5e1")', 5.0),
        ("float(3)", 3.0),
        ('float("1_000.5")', 1000.5),
        ('float("0x1p-2")', 0.25),
        ('string(float("-inf"))', "-Inf"),
    ],
    "string": [
        ("string(1e6)", "1e+06"),
        ("string(123456.0)", "123456"),
        ("string(1.5e-7)", "1.5e-07"),
        ("string([1, nil, true])", "[1 <nil> true]"),
        ("string(m)", "map[a:1 b:2]"),
        ("string(1 / 3)", "0.3333333333333333"),
        ('string(b"a")', "[97]"),
        ('string(date("2024-02-29"))', "2024-02-29 00:00:00 +0000 UTC"),
        ('string(duration("90m"))', "1h30m0s"),
    ],
    "trim": [('trim("\\t a\u00a0")', "a"), ('trim("--a-", "-")', "a"), ("trim(raw)", b"\xff\xfea")],
    "trimPrefix": [('trimPrefix("aab", "a")', "ab"), ('trimPrefix(" a")', "a")],
    "trimSuffix": [('trimSuffix("baa", "a")', "ba"), ('trimSuffix("a ")', "a")],
    "upper": [("upper(word)", "HÉLLO"), ('upper("ß")', "ß"), ("upper(raw)", b"\xff\xfeA")],
    "lower": [('lower("ÀB")', "àb")],
    "split": [
        ('split("a,b,c", ",")', ["a", "b", "c"]),
        ('split("a,b,c", ",", 2)', ["a", "b,c"]),
        ('split("aé", "")', ["a", "é"]),
        ('split("", ",")', [""]),
        ('split("abc", "", 2)', ["a", "bc"]),
        ('split("a", ",", 0)', []),
        ('split(raw, "a")', [b"\xff\xfe", ""]),
    ],
    "splitAfter": [('splitAfter("a,b", ",")', ["a,", "b"]), ('splitAfter("a,b,c", ",", 2)', ["a,", "b,c"])],
    "replace": [
        ('replace("aaa", "a", "b", 2)', "bba"),
        ('replace("aé", "", "-")', "-a-é-"),
        ('replace(raw, "a", "b")', b"\xff\xfeb"),
        ('replace("abc", "x", "y")', "abc"),
    ],
    "repeat": [('repeat("ab", 3)', "ababab"), ('repeat("ab", 0)', "")],
    "join": [('join(["a", "b"], ", ")', "a, b"), ('join(split("a b", " "))', "ab"), ("join([])", "")],
    "indexOf": [('indexOf(word, "l")', 3), ('indexOf(word, "z")', -1), ('indexOf(raw, "a")', 2)],
    "lastIndexOf": [('lastIndexOf(word, "l")', 4), ('lastIndexOf("", "a")', -1)],
    "hasPrefix": [('hasPrefix(word, "hé")', True), ('hasPrefix(raw, "a")', False)],
    "hasSuffix": [('hasSuffix(word, "lo")', True)],
    "max": [("max(1, 2.5, 2)", 2.5), ("max([1, [7]], 3)", 7), ("max(nil ?? nix)", None), ("max([])", None)],
    "min": [("min(3, 1)", 1), ("min([2.5, 2])", 2)],
    "mean": [("mean([1, 2, 4.5])", 2.5), ("mean([])", 0.0), ("mean(1, [2, [3]])", 2.0)],
    "median": [("median([3, 1, 2])", 2.0), ("median(4, 1)", 2.5), ("median([])", 0.0)],
    "toJSON": [
        ("toJSON(m)", '{\n  "a": 1,\n  "b": 2\n}'),
        ("toJSON([])", "[]"),
        ('toJSON("<é>\\n")', '"\\u003cé\\u003e\\n"'),
        ("toJSON(1e21)", "1e+21"),
        ("toJSON(1e-7)", "1e-7"),
        ("toJSON(100000000.0)", "100000000"),
        ("toJSON(raw)", '"\\ufffd\\ufffda"'),
        ('toJSON(date("2024-02-29"))', '"2024-02-29T00:00:00Z"'),
        ('toJSON(b"hi")', '"aGk="'),
        ('toJSON(duration("1us"))', "1000"),
    ],
    "fromJSON": [
        ('fromJSON("[1, null, \\"x\\"]")', [1.0, None, "x"]),
        ('fromJSON("{\\"a\\": {}}").a', {}),
        ("fromJSON('\"\\\\ud800\"')", "\ufffd"),
    ],
    "toBase64": [("toBase64(word)", "aMOpbGxv"), ("toBase64(raw)", "//5h")],
    "fromBase64": [('fromBase64("aGk=")', "hi"), ('fromBase64("//5h")', b"\xff\xfea"), ('fromBase64("aG\\nk=")', "hi")],
    "now": [("now().Year() > 2020", True), ('now(timezone("Asia/Tokyo")).Location().String()', "Asia/Tokyo")],
    "duration": [('duration("1h30m").Minutes()', 90.0), ('duration("-1.5s") == duration("-1500ms")', True)],
    "date": [
        ('date("2023-08-14").YearDay()', 226),
        ('date("15:04:05").Hour()', 15),
        ('date("Mon, 02 Jan 2006 15:04:05 MST").Day()', 2),
        ('string(date("2023-08-14 10:00", "2006-01-02 15:04", "Europe/Zurich"))', "2023-08-14 10:00:00 +0200 CEST"),
        ('date(timezone("Europe/Zurich"), "2023-01-14").Unix()', 1673650800),
    ],
    "timezone": [('timezone("UTC").String()', "UTC")],
    "first": [("first([7, 8])", 7), ("first([])", None), ("first(m)", None)],
    "last": [("last([7, 8])", 8), ("last(nix)", None)],
    "get": [
        ("get([1, 2], -1)", 2),
        ("get([1], 5)", None),
        ('get(m, "a")', 1),
        ('get(m, "z")', None),
        ("get(nix, 1)", None),
    ],
    "take": [("take([1, 2, 3], 2)", [1, 2]), ("take([1], 9)", [1])],
    "keys": [("keys(m)", ["b", "a"])],
    "values": [("values(m)", [2, 1])],
    "toPairs": [("toPairs(m)", [["b", 2], ["a", 1]])],
    "fromPairs": [('fromPairs([["x", 1], [2, "y"]])[2]', "y"), ("fromPairs(toPairs(m))", {"b": 2, "a": 1})],
    "reverse": [("reverse([1, 2])", [2, 1])],
    "uniq": [
        ("uniq([1, 1.0, 2, true])", [1, 2, True]),
        ("uniq([[1], [1.0], {a: 1}, {a: 1}, {a: 1.0}])", [[1], {"a": 1}, {"a": 1.0}]),
        ("uniq(map(users, .age))", [30, 25]),
    ],
    "concat": [("concat([1], 2..3, [])", [1, 2, 3]), ("concat([])", [])],
    "flatten": [("flatten([1, [2, [3, []]]])", [1, 2, 3])],
    "sort": [
        ('sort(["b", "a"])', ["a", "b"]),
        ('sort([1, 3, 2], "desc")', [3, 2, 1]),
        ("sort([2, 1.5])", [1.5, 2]),
        ("sort(nix ?? m)", []),
    ],
    "bitand": [("bitand(0b1010, 0b1100)", 8), ("bitand(-1, 255)", 255)],
    "bitor": [("bitor(0b1010, 0b1100)", 14)],
    "bitxor": [("bitxor(0b1010, 0b1100)", 6)],
    "bitnand": [("bitnand(0b1010, 0b1100)", 2)],
    "bitnot": [("bitnot(0)", -1)],
    "bitshl": [("bitshl(1, 63)", -(1 << 63)), ("bitshl(1, 64)", 0), ("bitshl(3, 1)", 6)],
    "bitshr": [("bitshr(-8, 1)", -4), ("bitshr(8, 100)", 0)],
    "bitushr": [("bitushr(-1, 63)", 1), ("bitushr(-1, 64)", 0)],
}

REFUSES: dict[str, list[str]] = {
    "all": ["all(nix, true)", "all([1], #)"],
    "none": ["none([1], nix)"],
    "any": ["any(m, .x)"],
    "one": ["one(nix, true)"],
    "filter": ["filter([1], nix)", "filter(m, # == 1)"],
    "map": ["map(nix, 1)", "map(m, #)"],
    "find": ["find([1], nix)"],
    "findIndex": ["findIndex(nix, true)"],
    "findLast": ["findLast(nix, true)"],
    "findLastIndex": ["findLastIndex(nix, true)"],
    "groupBy": ["groupBy([[1]], #)"],
    "sortBy": ['sortBy([1, "a"], #)', 'sortBy([1], #, "up")'],
    "reduce": ["reduce([], #acc)"],
    "count": ["count([1])"],
    "sum": ['sum([1, "a"], #)', 'sum(["a"])'],
    "len": ["len(nix)", "len(users[0].age)"],
    "abs": ["abs(word ?? 1)", "abs(nix)"],
    "ceil": ["ceil(nix)"],
    "floor": ["floor(nix)"],
    "round": ["round(nix)"],
    "int": ["int(word)", 'int("1.5")', 'int("9223372036854775808")', 'int("")', "int(nix)", 'int("1_0")'],
    "float": ['float("1e999")', "float(word)", 'float(" 1")', 'float("1__0")', "float(nix)", 'float("")'],
    "trim": ["trim(nix)", "trim(word, nix)"],
    "trimPrefix": ["trimPrefix(nix, word)"],
    "trimSuffix": ["trimSuffix(word, nix)"],
    "upper": ["upper(nix)"],
    "lower": ["lower(nix)"],
    "split": ["split(nix, word)", "split(word, nix)", "split(word, word, nix)"],
    "splitAfter": ["splitAfter(nix, word)"],
    "replace": ["replace(nix, word, word)", "replace(word, word, nix)"],
    "repeat": ["repeat(word, -1)", "repeat(nix, 1)"],
    "join": ["join([1])", "join(nix)", "join([word], nix)", "join(1..2)"],
    "indexOf": ["indexOf(nix, word)"],
    "lastIndexOf": ["lastIndexOf(word, nix)"],
    "hasPrefix": ["hasPrefix(nix, word)"],
    "hasSuffix": ["hasSuffix(word, nix)"],
    "max": ["max(nix, 1)", "max([word])"],
    "min": ["min(word ?? 1, 1)"],
    "mean": ["mean(nix)", "mean([word])"],
    "median": ["median(nix)"],
    "toJSON": ["toJSON(1 / 0)", "toJSON(groupBy([1], #))"],
    "fromJSON": ['fromJSON("{")', 'fromJSON("NaN")', 'fromJSON("1e999")', "fromJSON(nix)", 'fromJSON("[1]]")'],
    "toBase64": ["toBase64(nix)"],
    "fromBase64": ['fromBase64("a")', 'fromBase64("a=b=")', 'fromBase64("aGk")', "fromBase64(nix)"],
    "now": ["now(nix)"],
    "duration": ['duration("1")', 'duration("1y")', "duration(nix)"],
    "date": [
        'date("gestern")',
        'date("2023", "2006-01-02")',
        "date(nix)",
        'date("2023-01-01", "2006-01-02", "Mars/X")',
    ],
    "timezone": ['timezone("Mars/X")', 'timezone("../etc/passwd")', "timezone(nix)"],
    "take": ["take([1], -1)", "take(nix, 1)", "take([1], nix)"],
    "get": ["get([1], nix)", "get(m, users[0].age)"],
    "keys": ["keys(nix)"],
    "values": ["values(nix)"],
    "toPairs": ["toPairs(nix)"],
    "fromPairs": ["fromPairs([1])", "fromPairs([[1]])", "fromPairs([[[], 1]])"],
    "reverse": ["reverse(nix)"],
    "uniq": ["uniq(nix)"],
    "concat": ["concat(nix)"],
    "flatten": ["flatten(nix)"],
    "sort": ['sort([1, "a"])', 'sort([1], "up")'],
    "bitand": ["bitand(1, nix)", "bitand(m.a, 1.5 ?? nix)"],
    "bitor": ["bitor(nix, 1)"],
    "bitxor": ["bitxor(nix, 1)"],
    "bitnand": ["bitnand(nix, 1)"],
    "bitnot": ["bitnot(nix)"],
    "bitshl": ["bitshl(1, -1)"],
    "bitshr": ["bitshr(1, -1)"],
    "bitushr": ["bitushr(1, -1)"],
}


def test_every_builtin_is_tried() -> None:
    assert set(GIVES) == NAMES
    assert set(REFUSES) == NAMES - {"type", "string", "first", "last"}, "these take anything"


@pytest.mark.parametrize(("source", "wanted"), [case for cases in GIVES.values() for case in cases])
def test_a_builtin_gives(source: str, wanted: Any) -> None:
    result = run(source, ENV)
    if isinstance(wanted, str) and isinstance(result, list):
        wanted = wanted.split()
    if isinstance(wanted, bytes) or (isinstance(wanted, list) and wanted and isinstance(wanted[0], bytes)):
        assert result == wanted
    else:
        assert (as_json(result), type_class(result)) == (wanted, type_class(wanted))


@pytest.mark.parametrize("source", [source for sources in REFUSES.values() for source in sources])
def test_a_builtin_refuses(source: str) -> None:
    stage, error = outcome(source, ENV)
    assert stage in ("run", "compile"), error
    assert isinstance(error, expr.ExprError)
    assert "\n" not in str(error)


METHODS: list[tuple[str, Any]] = [
    ('date("2023-08-14 10:20:30").Weekday().String()', "Monday"),
    ('date("2023-08-14").Month().String()', "August"),
    ('date("2023-08-14").AddDate(0, 1, 20).Format("02 Jan 2006")', "04 Oct 2023"),
    ('date("2023-08-14T10:20:30.5Z").Truncate(duration("1h")).String()', "2023-08-14 10:00:00 +0000 UTC"),
    ('date("2023-08-14").In(timezone("America/New_York")).Hour()', 20),
    ('date("2023-08-14").Sub(date("2023-08-13")).Hours()', 24.0),
    ('(date("2023-08-14") - date("2023-08-13")).String()', "24h0m0s"),
    ('(date("2023-08-14") + duration("36h")).Day()', 15),
    ('date("2023-08-14").Equal(date("2023-08-14T02:00:00+02:00"))', True),
    ('date("2023-08-14") == date("2023-08-14T02:00:00+02:00")', True),
    ('date("2023-08-14") < date("2023-08-15")', True),
    ('date("2023-08-14").ISOWeek()', 2023),
    ('date("2023-08-14").UnixMilli()', 1691971200000),
    ('duration("1h10m").Round(duration("1h")).String()', "1h0m0s"),
    ('duration("-90s").Abs().Seconds()', 90.0),
    ('2 * duration("1m") > duration("90s")', True),
]


@pytest.mark.parametrize(("source", "wanted"), METHODS)
def test_a_method_gives(source: str, wanted: Any) -> None:
    assert run(source) == wanted


@pytest.mark.parametrize("call", ["Add(1)", 'Format("a", "b")', "Nope()", "unix"])
def test_a_method_that_is_called_wrongly_is_an_error(call: str) -> None:
    """At once when the type is known, else when it runs."""
    assert outcome(f'date("2023-08-14").{call}', {})[0] == "compile"
    assert outcome(f'[1, date("2023-08-14")][1].{call}', {})[0] == "run"


def test_a_method_that_gives_several_values_cannot_be_called() -> None:
    assert outcome('date("2023-08-14").Clock()', {})[0] == "compile"
