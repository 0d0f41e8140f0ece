"""Whatever the source and the environment are, what comes out is a result or an ExprError; and the same each time.

MICRO_AGI_FULL=1 tries many more.
"""

from __future__ import annotations

import os
import random
from typing import Any

from conformance_kit import vectors
from expr_kit import outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from micro_agi_kernel import expr
from micro_agi_kernel.expr.program import FAULT
from micro_agi_kernel.expr.signatures import CHECKS, LOOPS
from micro_agi_kernel.go_time import MAX_INT64, MIN_INT64

FULL = bool(os.environ.get("MICRO_AGI_FULL"))
LIMITS = expr.Limits(steps=200_000, memory=20_000, text=200_000)
PIECES = [
    *("1", "0", "-1", "2.5", "9223372036854775807", '"a"', "'é'", "`b`", 'b"c"', '"\\n"', '"\\q"', "true", "nil"),
    *(
        "a",
        "b",
        "c",
        "$env",
        "#",
        "#index",
        "#acc",
        ".",
        "..",
        "?.",
        "??",
        "?",
        ":",
        "::",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
    ),
    *(",", ";", "+", "-", "*", "/", "%", "**", "^", "!", "not ", " in ", " and ", " or ", "&&", "||", "|", "==", "!="),
    *(
        "<",
        "<=",
        " matches ",
        " contains ",
        " startsWith ",
        "let x = ",
        "if ",
        " else ",
        "/*",
        "*/",
        "//",
        "\n",
        "\\",
        '"',
    ),
    *(f"{name}(" for name in (*CHECKS, *LOOPS)),
]

OPERATORS = [
    *("+", "-", "*", "/", "%", "**", "==", "!=", "<", ">=", "in", "not in", "matches", "contains", "startsWith"),
    *("endsWith", "??", "and", "or", ".."),
]

values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(MIN_INT64, MAX_INT64)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.sampled_from(["2024-02-29", "10:20:30", "1h", "Europe/Zurich", "2006-01-02", "[1]", "^a", "(", "aGk=", "12"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def attempt(source: str, env: Any, hints: Any = None, *, boolean: bool = False) -> str:
    """What comes of it, as text; anything but an ExprError is raised."""
    try:
        program = expr.compile(source, hints, boolean=boolean)
        result = program.run(env, LIMITS)
        return repr(expr.to_value(result, LIMITS))
    except expr.ExprError as error:
        assert "\n" not in str(error) and len(str(error)) < 300
        assert FAULT not in str(error)
        return f"{type(error).__name__}: {error}"


@settings(deadline=None, max_examples=20_000 if FULL else 150)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join), values)
def test_any_text_is_an_expression_or_an_error(source: str, env: Any) -> None:
    attempt(source, env)


@settings(deadline=None, max_examples=20_000 if FULL else 200)
@given(st.data())
def test_any_values_meet_any_builtin(data: st.DataObject) -> None:
    """Called through variables, so that the checker knows nothing."""
    name = data.draw(st.sampled_from(sorted(CHECKS)))
    arguments = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
    env = {key: data.draw(values) for key in "abc"}
    source = f"{name}({', '.join(arguments)})"
    for wrapped in (source, f"string({source})", f"toJSON([{source}])", f"{source} == a", f"b in [{source}]"):
        attempt(wrapped, env)
        attempt(wrapped, env, env)


@settings(deadline=None, max_examples=20_000 if FULL else 200)
@given(st.data())
def test_any_values_meet_any_operator(data: st.DataObject) -> None:
    operator = data.draw(st.sampled_from(OPERATORS))
    env = {key: data.draw(values) for key in "abc"}
    for source in (
        f"a {operator} b",
        f"a[b] {operator} c",
        f"a[b:c] {operator} a",
        f"a?.[b] {operator} c",
        f"map(a, # {operator} b)",
        f"sortBy(a, # {operator} b)",
        f"groupBy(a, b {operator} #)[c]",
        f"reduce(a, #acc {operator} #)",
        f"a {operator} date('2024-01-01')",
        f"duration('1h') {operator} a",
        f"a {operator} b'ab'",
        f"a {operator} groupBy([1, b], #)",
        f"first(filter(a, # {operator} b)) ?? -c",
    ):
        attempt(source, env)
        attempt(source, env, boolean=True)


def mutated(source: str, generator: random.Random) -> str:
    """`source` with a few characters cut out, put in or exchanged."""
    chars = list(source)
    for _ in range(generator.randint(1, 3)):
        at = generator.randrange(len(chars) + 1)
        chars[at : at + generator.randint(0, 2)] = [generator.choice(PIECES)] if generator.random() < 0.7 else []
    return "".join(chars)


def test_mutations_of_real_expressions_are_expressions_or_errors() -> None:
    cases, envs = vectors("expr.jsonl.gz"), vectors("expr_envs.json")
    generator = random.Random(20_240_229)
    for case in generator.choices(cases, k=200_000 if FULL else 2_000):
        source = mutated(case["expr"], generator)
        env = envs[case["env"]]
        attempt(source, env)
        if generator.random() < 0.2:
            attempt(source, env, env)
            attempt(source, env, boolean=True)


def test_the_same_expression_gives_the_same_each_time() -> None:
    cases, envs = vectors("expr.jsonl.gz"), vectors("expr_envs.json")
    for case in random.Random(1).choices([case for case in cases if "now" not in case["expr"]], k=500):
        first = attempt(case["expr"], envs[case["env"]])
        assert first == attempt(case["expr"], envs[case["env"]])


def test_a_program_keeps_nothing_between_runs() -> None:
    program = expr.compile("let x = a; reduce(b, #acc + # + x, 0)")
    assert [program.run({"a": n, "b": [1, 2]}) for n in (0, 10, 0)] == [3, 23, 3]
    assert outcome("x", {"x": 1}) == ("ok", 1)
