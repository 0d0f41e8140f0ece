"""The operators, literals and forms of the language, one by one."""

from __future__ import annotations

import math
from typing import Any

import pytest
from expr_kit import as_json, outcome, run, type_class

ENV: dict[str, Any] = {
    "i": 7,
    "f": 2.5,
    "big": (1 << 63) - 1,
    "s": "abc",
    "raw": b"\xff",
    "xs": [1, 2, 3],
    "m": {"k": {"deep": [10, 20]}, "empty": {}},
    "yes": True,
    "nix": None,
}

LITERALS: list[tuple[str, Any]] = [
    ("0x1F + 0b101 + 0o17 + 1_000", 1051),
    ("[.5, 1., 1e3, 1_0.5]", [0.5, 1.0, 1000.0, 10.5]),
    ('"a\\tb\\"\\x41\\u00e9\\u{1F600}\\101"', 'a\tb"A\u00e9\U0001f600A'),
    ("'it\\'s'", "it's"),
    ("`raw \\n ``quoted```", "raw \\n `quoted`"),
    ('string(b"\\xffé\\101")', "[255 195 169 65]"),
    ("1 /* one */ + // two\n 2", 3),
    ("{a: 1, 'b c': 2, (s + s): 3, 4: 5}", {"a": 1, "b c": 2, "abcabc": 3, "4": 5}),
    ("[1, [2], {},]", [1, [2], {}]),
    ("{a: 1, a: 2}", {"a": 1}),
    ("nil", None),
]

ARITHMETIC: list[tuple[str, Any]] = [
    ("1 + 2 * 3 - 4", 3),
    ("7 / 2", 3.5),
    ("-7 % 3", -1),
    ("7 % -3", 1),
    ("2 ** 3 ** 2", 512.0),
    ("-2 ^ 2", -4.0),
    ("i + f", 9.5),
    ("big + 1", -(1 << 63)),
    ("big * 2", -2),
    ("-(-big - 1)", -(1 << 63)),
    ("1 / 0", math.inf),
    ("-1 / 0", -math.inf),
    ("0 ** -1", math.inf),
    ("s + s", "abcabc"),
    ("raw + s", b"\xffabc"),
    ("s[0] + 1", 98),
    ("1 .. 3", [1, 2, 3]),
    ("3..1", []),
    ("big .. -big - 1", [(1 << 63) - 1, -(1 << 63)]),
]

COMPARING: list[tuple[str, Any]] = [
    ("1 == 1.0", True),
    ('1 == "1"', None),
    ("i == s", False),
    ("[1, 2] == [1.0, 2]", True),
    ("{a: 1} == {a: 1.0}", False),
    ("1..2 == [1, 2]", True),
    ("m == m", True),
    ("nix == nil", True),
    ("raw == raw", True),
    ("1 < 2 < 3", True),
    ("1 < 3 < 2", False),
    ("3 > 2 >= 2 > 1", True),
    ('"a" < "b"', True),
    ("raw > s", True),
    ("1 != 2", True),
    ("2 in xs", True),
    ("2.0 in xs", True),
    ("true in xs", False),
    ("300 in b'ab'", False),
    ("97 in b'ab'", True),
    ("s in b'ab'", False),
    ('"k" in m', True),
    ('"z" not in m', True),
    ('s in ["abc", "d"]', True),
    ("i in 1..9", True),
    ("s contains 'bc'", True),
    ("s not startsWith 'bc'", True),
    ("s endsWith 'bc'", True),
    ("nix contains 'a'", False),
    ("s matches '^a.c$'", True),
    ("s matches '^' + s", True),
    ("nix matches 'a'", False),
    ('"aé" matches "^..$"', True),
]

LOGIC: list[tuple[str, Any]] = [
    ("true and not false or false", True),
    ("!yes || yes && false", False),
    ("yes and 5", None),
    ("nix?.x and false", False),
    ("yes ? 1 : 2", 1),
    ("nix ?: 2", None),
    ("yes ?: 2", True),
    ("nix ?? 5", 5),
    ("nix ?? nix ?? 6", 6),
    ("if i > 5 {'big'} else if i > 2 {'middle'} else {'small'}", "big"),
    ("false ? 1 : true ? 2 : 3", 2),
]

REACHING: list[tuple[str, Any]] = [
    ("m.k.deep[1]", 20),
    ("m['k']['deep'][-1]", 20),
    ("m.missing", None),
    ("m?.missing?.more.and.more", None),
    ("m.missing?.[0]", None),
    ("m.k?.deep[0]", 10),
    ("$env.i + $env['i']", 14),
    ("'i' in $env", True),
    ("missing", None),
    ("xs[1:]", [2, 3]),
    ("xs[:-1]", [1, 2]),
    ("xs[5:]", []),
    ("concat([])[:] == nil", True),
    ("xs[-2:3]", [2, 3]),
    ('"héllo"[0:2]', b"h\xc3"),
    ('"héllo"[0:3]', "hé"),
    ("m.not", None),
]

FORMS: list[tuple[str, Any]] = [
    ("let x = 2; let y = x * 3; x + y", 8),
    ("1; 2; 3", 3),
    ("(let x = 1; x) + 1", 2),
    ("xs | map(# * 2) | filter(# > 2) | sum()", 10),
    ("map(xs, {let y = #; map(xs, # * y)})[2]", [3, 6, 9]),
    ("filter([{a: 1}, {a: 2}], .a > 1)", [{"a": 2}]),
    ("::len(xs)", 3),
    ("map(1..3, {#; # + 1})", [2, 3, 4]),
    ("let f = xs; f[0]", 1),
    ('"a" | upper() + "B" | lower()', "ab"),
]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [*LITERALS, *ARITHMETIC, *COMPARING, *LOGIC, *REACHING, *FORMS],
    ids=lambda value: str(value)[:40],
)
def test_an_expression_gives(source: str, wanted: Any) -> None:
    """None for those that expr-lang does not compile or run, beside those that give nil."""
    stage, result = outcome(source, ENV)
    if stage != "ok":
        assert wanted is None, result
    elif isinstance(wanted, bytes) or (isinstance(wanted, float) and not math.isfinite(wanted)):
        assert result == wanted
    else:
        assert (as_json(result), type_class(result)) == (wanted, type_class(wanted))


@pytest.mark.parametrize(
    "source",
    [
        *(
            "i + s",
            "s - s",
            "s * 2",
            "xs / 2",
            "f % 2",
            "i % 0",
            "-s",
            "not i",
            "i and yes",
            "i ? 1 : 2",
        ),
        *("s < i", "xs < xs", "nix < 1", "m > m", "i in s", "[1] in m", "xs in i", "i contains 's'", "i matches 'a'"),
        *("xs[3]", "xs[-4]", "xs['a']", "m[1]", "i.x", "nix.x", "m.missing.more", "s[9]", "i[0]", "i[1:2]", "xs['a':]"),
        *("missing()", "m.k()", "i(1)", "s matches s + '('", "{(i): 1}", "'x'..3", "$env()", "nix[0:1]"),
    ],
)
def test_what_does_not_fit_is_an_error(source: str) -> None:
    assert outcome(source, ENV)[0] in ("compile", "run")


def test_and_and_or_stop_as_soon_as_they_can() -> None:
    assert run("false and missing.x", ENV) is False
    assert run("yes or missing.x", ENV) is True
    assert run("missing.x and false", ENV) is False, "a constant decides, whatever stands before it"
    assert run("nix ?? 1", ENV) == 1
    assert run("yes ? 1 : missing.x", ENV) == 1


def test_an_operand_in_the_middle_of_comparisons_is_evaluated_once() -> None:
    """A chain of chains would take time to the power of its depth otherwise."""
    source = "1"
    for _ in range(30):
        source = f"((0 < {source} < 2) ? 1 : 0)"
    assert run(source) == 1


def test_loops_stop_at_the_element_that_decides() -> None:
    assert run("any([1, 0, 'x'], 1 % (# == 0 ? 1 : #) == 0)") is True
    assert run("first(filter([1, 'x'], # > 0))") == 1
    assert run("filter([1, 'x'], # > 0)[0]") == 1
    assert run("last(filter(['x', 1], # > 0))") == 1
    assert run("count([1, 2, 'x'], # > 0) >= 2") is True
    assert outcome("filter([2], # == 1)[0]", None)[0] == "run"
    assert run("any(xs, # == 1) or any(xs, # > 'x')", {"xs": [1]}) is True


def test_a_map_can_be_counted_but_its_elements_cannot_be_seen() -> None:
    assert run("map(m, 1)", ENV) == [1, 1]
    assert run("count(m, true)", ENV) == 2
    for source in ("map(m, #)", "filter(m, true)", "map(m, .x)", "any(m, # == 1)", "reduce(m, 1)", "groupBy(m, 1)"):
        assert outcome(source, ENV)[0] == "run", source


def test_a_string_is_its_bytes_to_loops_and_positions() -> None:
    assert run("map(s, # + 0)", {"s": "é"}) == [195, 169]
    assert run("[s[0], type(s[0]), len(s), indexOf(s, 'x')]", {"s": "éx"}) == [195, "uint", 2, 2]


def test_integers_of_lua_and_of_the_source_are_one_type_as_keys() -> None:
    """In expr-lang they are int64 and int, so that it finds nothing here."""
    assert run("groupBy([{n: i}], .n)[7]", ENV) == [{"n": 7}]


def test_the_order_of_a_map_is_that_in_which_it_came() -> None:
    env: Any = {"m": {"z": 1, "a": 2, "k": 3}}
    assert run("keys(m)", env) == ["z", "a", "k"]
    assert run("keys({y: 1, b: 2})", env) == ["y", "b"]
    assert {run("string(m) + toJSON(m) + join(keys(m))", env) for _ in range(20)} == {
        'map[a:2 k:3 z:1]{\n  "a": 2,\n  "k": 3,\n  "z": 1\n}zak'
    }


def test_a_program_leaves_its_environment_and_its_constants_alone() -> None:
    env: Any = {"xs": [3, 1, 2], "m": {"a": 1}}
    program_results = [run("[sort(xs), reverse(xs), concat(xs, xs), uniq(xs), xs[1:], m]", env) for _ in range(2)]
    assert program_results[0] == program_results[1]
    assert env == {"xs": [3, 1, 2], "m": {"a": 1}}
