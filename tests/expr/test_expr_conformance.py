"""64,239 expressions and what the real expr-lang gives for each: value, class of type, or the stage at which it fails.

The cases are shared out, so that several workers can run them at once; `make test-full` reads all of them.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest
from conformance_kit import vectors
from expr_kit import as_json, outcome, type_class

CLOCK = {
    'now().Format("2006-01-02T15:04Z")',
    "now().Location().String()",
}
"""What depends on the clock and the machine."""

MAP_ORDER = {
    'keys({"name": "John", "age": 30}) == ["name", "age"]\n',
    'values({"name": "John", "age": 30}) == ["John", 30]\n',
}
"""Go mixes the order of a map's entries anew each time; here they keep theirs, as expr-lang's documentation shows."""

STACK = {
    "[str, list | findLastIndex(true)]",
    "array | map(array | findLast(true))",
    "add != $env?.String?.str(foo)",
    "greet != $env?.[foobar?.String($env)]",
    "i != $env?.$env?.list(add, nil)",
    "nil != $env?.foobar?.greet(1.0)",
}
"""A defect of expr-lang: findLast, and a call after a `?.` that meets nil, leave a value too many on its stack, which
whatever surrounds them then takes for its own."""

UNCHECKED = {
    "$env not contains $env?.[first(foobar, greet)]",
    "$env?.Bar?.String(str | toBase64(foobar), foobar)",
    "$env?.Bar?.list(Bar | type(nil))",
    "$env?.String?.add(foobar, ceil(abs(foobar, 1)))",
    "$env?.[Bar]?.add(String, foo, 1.0 | int(String, 1.0))",
    "$env?.[Bar]?.str(list | first(true, foobar))",
    "$env?.[String]?.String(last($env, String))",
    "$env?.foobar?.foo(ceil(Bar, 1), foobar?.Bar())",
    "$env?.foobar?.foo(foobar | string($env))",
    "0 == $env?.[first(0, ok)]",
    "add ?? $env?.[last(Bar, foobar, foobar)]",
    "false or $env?.[foobar | toJSON(nil)]",
    "foo not in $env?.[nil | last(foobar)]",
    "nil != $env?.[1.0 | first(nil)]",
    "true in $env?.[foobar | last(nil)]",
}
"""Too many arguments where expr-lang does not look before it runs and then takes those it likes; here an error."""

LAST_DIGIT = {"reduce(array, #) ^ f32 ** 0.5"}
"""Go's exp() rounds the last of seventeen digits otherwise than C's."""

LEFT_OUT = CLOCK | MAP_ORDER | STACK | UNCHECKED | LAST_DIGIT
PARTS = 8

EVERY = 1 if os.environ.get("MICRO_AGI_FULL") == "1" else 12
"""The quick suite reads every fourth case."""


@cache
def cases() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = vectors("expr.jsonl.gz")
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_expressions_give_what_expr_lang_gives(part: int) -> None:
    envs = vectors("expr_envs.json")
    wrong = []
    for case in cases()[part :: PARTS * EVERY]:
        if case["expr"] in LEFT_OUT:
            continue
        stage, result = outcome(case["expr"], envs[case["env"]])
        same = stage == case["stage"] and (
            stage != "ok" or (type_class(result) == case["type"] and as_json(result) == case["result"])
        )
        if not same:
            wrong.append((case, stage, result))
    assert not wrong, wrong[:5]


def test_what_is_left_out_is_there_and_little() -> None:
    sources = {case["expr"] for case in cases()}
    assert sources >= LEFT_OUT
    assert len(LEFT_OUT) / len(sources) < 0.001
