"""What an expression does is paid for before it is done, also where one call or one element does much."""

from __future__ import annotations

from typing import Any

import pytest

from micro_agi_kernel import expr
from micro_agi_kernel.expr.arrays import likeness, uniq
from micro_agi_kernel.expr.budget import MAX_NUMBER, Budget
from micro_agi_kernel.expr.kinds import Pair, hashed
from micro_agi_kernel.go_time import Time

POLICY = expr.Limits(steps=50_000, memory=50_000, text=1 << 18)
"""What a policy may use."""
MEGABYTE = "x" * 1_000_000
ALIKE = (1 << 61) - 1
"""Python's integers hash to what dividing by this leaves."""

PATTERNS = [r"[^\pL\PL]" * 400 + str(n) for n in range(800)]
UNSORTED = {str(n): 1 for n in range(30_000)} | {b"": 1}
"""With a key that no environment has: sorting them would fail, so they are paid for before."""
NEEDLE = "a" * 50 + "b" + "a" * 48

BOMBS: dict[str, tuple[str, Any]] = {
    "int": ("count(1..5000, int(s) == 1) == 5", "0" * 1_000_000 + "1"),
    "float": ("count(1..5000, float(s) == 1) == 5", "0" * MAX_NUMBER),
    "base64 of line ends": ("count(1..5000, fromBase64(s) == '') == 5", "\n" * 1_000_000),
    "JSON of text": ("toJSON(s)", "\n" * 200_000),
    "trim many": ("trim(s, t)", "".join(chr(0x10041 + 256 * n) for n in range(1_000)) * 50),
    "trim bytes": ("trim(b, t)", b"\xff" * 50_000),
    "join": ("join(s)", ["x"] * 200_000 + [1]),
    "print a map": ("string(s)", UNSORTED),
    "print a map as JSON": ("toJSON(s)", UNSORTED),
    "repeat": ("count(1..5000, repeat(s, 0) == '') == 5", MEGABYTE),
    "replace": ("count(1..5000, replace(s, 'ab', '') == s) == 5", "ab" * 10_000),
    "contains": ("count(1..90, s contains t) == 5", "a" * 29_999),
    "index": ("count(1..50, indexOf(s, t) == 5) == 5", "a" * 29_999),
    "split": ("count(1..500, len(split(s, t)) == 1) == 5", "a" * 1_020),
    "a long part": ("count(1..500, s contains s[2000:]) == 5", "a" * 30_000),
    "compare bytes": ("count(1..5000, b == c) == 5", b"\xff" * 1_000_000),
    "order text and bytes": ("count(1..5000, s < d) == 5", MEGABYTE),
    "compare long keys": ("count(1..5000, s == t) == 5", {MEGABYTE: 1}),
    "long keys of pairs": ("groupBy(map(1..20, toPairs(s)[0]), #)", {MEGABYTE: 1}),
    "time zones": ("count(1..400, timezone('Europe/Zurich').String() == '') == 5", ""),
    "patterns": ("count(s, 'a' matches #) == 5", PATTERNS),
}

SECOND = {
    "trim many": "".join(chr(0x10041 + 256 * n) for n in range(1_000)),
    "trim bytes": "b" * 999 + "a",
    "compare long keys": {"x" * 1_000_000: 1},
}
"""What a bomb has as `t`, if not NEEDLE."""


@pytest.mark.parametrize("name", BOMBS)
def test_what_builtins_do_is_counted(name: str) -> None:
    source, value = BOMBS[name]
    env = {"s": value, "t": SECOND.get(name, NEEDLE), "b": value, "d": b"\xff"}
    env["c"] = bytes(bytearray(value)) if isinstance(value, bytes) else value  # equal, but no longer the same object
    with pytest.raises(expr.LimitError, match="steps"):
        expr.compile(source).run(env, POLICY)


def test_what_is_usual_costs_little() -> None:
    usual: dict[str, Any] = {
        "trim(s)": "  some words ",
        "upper(s) contains 'WORDS'": "some words",
        "join(split(s, ' '), ',')": "some words and some more",
        "int(s) + 1": "12345",
        "float(s) + 1": "123.45",
        "s matches t": "some words",
        "any(['^a', '^b', '^so'], s matches #)": "some words",
        "toJSON(s)": {"a": ["some", "words"], "b": 1},
        "uniq(s)": [1, 2, 2, "a"],
        "groupBy(s, # % 2)": [1, 2, 3],
        "fromPairs(toPairs(s))": {"a": 1, "b": 2},
        "date(s).Year()": "2024-01-01",
    }
    for source, value in usual.items():
        expr.compile(source).run({"s": value, "t": "^so[a-z]+"}, expr.Limits(steps=1_000))


def test_a_pair_that_holds_pairs_is_no_key() -> None:
    for source in (
        "reduce(1..40, toPairs(fromPairs([[#acc, #acc]]))[0], 1) == 1",
        "groupBy([toPairs({a: toPairs({b: 1})[0]})[0]], #)",
        "toPairs({a: toPairs({b: 1})[0]})[0] in fromPairs([])",
    ):
        with pytest.raises(expr.RunError, match="map key"):
            expr.compile(source).run(None, POLICY)
    assert expr.compile("let p = toPairs({a: 1})[0]; p in fromPairs([[p, 2]])").run() is True
    assert expr.compile("let p = toPairs(fromPairs([[0.0, 1]]))[0]; fromPairs([[p, 2]])[p]").run() == 2


@pytest.mark.parametrize("text", ["1" * 30_000 + "e", "1" * 30_000 + ".e", "." + "1" * 30_000 + "e"])
def test_a_long_number_is_no_number(text: str) -> None:
    with pytest.raises(expr.CompileError, match="bad number"):
        expr.compile(text)
    for source in ("float(s)", "float('0x' + s)", "int(s)", "fromJSON(s)"):
        with pytest.raises(expr.RunError, match=r"number|integer|JSON"):
            expr.compile(source).run({"s": text.replace("e", "x")})


def test_numbers_up_to_the_bound_are_read() -> None:
    assert expr.compile("float(s)").run({"s": "0" * (MAX_NUMBER - 1) + "7"}) == 7
    assert expr.compile("int(s)").run({"s": "0" * (MAX_NUMBER - 1) + "7"}) == 7
    assert expr.compile("fromJSON(s)").run({"s": "0." + "1" * 900}) == pytest.approx(1 / 9)
    assert expr.compile("1." + "0" * 900).run() == 1


def test_the_patterns_of_a_source_are_bounded_together() -> None:
    def source(count: int) -> str:
        return "[" + ",".join(f"a matches '{n}{'x' * 1_000}'" for n in range(count)) + "]"

    assert expr.compile(source(8)).run({"a": ""}) == [False] * 8
    with pytest.raises(expr.CompileError, match="8,192 characters together"):
        expr.compile(source(9))


def test_a_pattern_that_is_used_again_is_not_paid_again() -> None:
    limits = expr.Limits(steps=50_000)
    assert expr.compile("count(1..500, s matches t) == 500").run({"s": "abc", "t": "^[abc]+$"}, limits) is True


def _equal_hashes(first: object, second: object) -> bool:
    return hash(first) == hash(second)


def test_keys_cannot_be_chosen_to_collide() -> None:
    budget = Budget(expr.Limits())
    assert _equal_hashes(5, 5 + ALIKE)
    for first, second in (
        (Pair([5, 1]), Pair([5 + ALIKE, 1])),
        (Pair([1, 1.0]), Pair([1, 2.0**61])),
        (Time(5, 0), Time(5 + ALIKE, 0)),
        (5 + 20 * ALIKE, 5 + 21 * ALIKE),
    ):
        assert not _equal_hashes(hashed(budget, first), hashed(budget, second))


def test_elements_of_uniq_cannot_be_chosen_to_collide() -> None:
    numbers = [2.0 ** (61 * n) for n in range(16)]
    assert len({*map(hash, numbers)}) == 1
    pairs = [[a, b] for a in numbers for b in numbers]
    budget = Budget(expr.Limits())
    assert len({hash(likeness(budget, pair)) for pair in pairs}) == 256
    assert len(uniq(budget, pairs)) == 256
