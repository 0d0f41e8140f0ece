"""What fails before anything runs, what an environment given to the compiler changes, and where errors point."""

from __future__ import annotations

from typing import Any

import pytest
from expr_kit import outcome, run

from micro_agi_kernel import expr

SYNTAX = [
    *("", "  ", "1 +", "(1", "1)", "[1", "{a", "{a:}", "{a: 1", "a.", "a?.", "a[", "a[1", "a[1:2", "foo(", "1 2"),
    *('"a', "'a\n'", "`a", '"\\q"', '"\\x1"', '"\\u{110000}"', 'b"\\u0041"', "/* a", "a ? b", "a ? b :", "§"),
    *("1..", "1__a", "0x", "0b2", "1e", "9223372036854775808", "1e999", "let x = 1", "let 1 = 2; 3", "if a {1}"),
    *("#", ".a", "map(xs)", "map(xs, )", "map(xs, 1; 2)", "filter(xs, 1, 2)", "xs | 1", "xs | len", "a not b"),
    *("a ?? b + c", "a and", "not", "{1 + 1: 2}", "::x.y", "1.foo", "true.x", "&", "a = b", "else"),
]

MEANING = [
    *('1 + "a"', "-'a'", "not 1", "1 and true", '"a" > 1', "[] + []", "{} * 1", "nil + 1", '"a" matches "("'),
    *(
        "len()",
        "len(1)",
        "len(1, 2)",
        "upper(1)",
        "abs('a')",
        "split('a')",
        "now(1)",
        "join([1], 2)",
        "max()",
        "max('a')",
    ),
    *('"a".b', "1[0]", "'abc'[0]", "[1]['a']", "{a: 1}[1]", "[1][1:'a']", "1[1:2]", "nil.a", "true ? 1", "1 ? 2 : 3"),
    *(
        "map(1, #)",
        "map([1], nil)",
        "filter([1], 1)",
        "all([1], 'a')",
        "map([1], #acc)",
        "sum([1], #nope)",
        "map('a', #)",
    ),
    *(
        "let x = 1; let x = 2; x",
        "let len = 1; len",
        "$env(1)",
        "len == 1 + len",
        "sortBy([1], #, 1)",
        "1 % 0",
        "5.5 % 2",
    ),
    *(
        '1 in "abc"',
        "1 in {a: 1}",
        "'a' in [1]",
        "reduce([1], nil)",
        "date()",
        "get('a', 1)",
        "get([1], 'a')",
        "take([1], 'a')",
    ),
]


@pytest.mark.parametrize("source", [*SYNTAX, *MEANING])
def test_a_source_that_cannot_work_is_refused_at_once(source: str) -> None:
    with pytest.raises(expr.CompileError) as caught:
        expr.compile(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("1 +\n  foo bar", "2:7"),
        ('"ü" + "é" + 1', "1:11"),
        ("a.b\n\n+ (", "3:3"),
        ('  "a" > 1', "1:7"),
        ("[1, len(2)]", "1:5"),
        ("map([1],\n  'x' + 1)", "2:7"),
        ("x matches '('", "1:11"),
        ("1 §", "1:3"),
        ("let x = 1;\nlet x = 2; x", "2:5"),
    ],
)
def test_a_compile_error_points_at_its_place(source: str, place: str) -> None:
    with pytest.raises(expr.CompileError, match=rf"\({place}\)$"):
        expr.compile(source)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("1 + a.b.c", "1:7"),
        ("a +\n\n  nope()", "3:3"),
        ("map([1, 0],\n 1 % #)", "2:4"),
        ("filter([{a: 1}, {}], .a > 0)", "1:25"),
        ('"é" + upper(1 ?? a)', "1:7"),
        ("repeat('ab', 999999)", "1:1"),
        ("xs | map(#.a)\n| map(int(#))", "1:12"),
        ("a ?? (b.c ? 1 : 2)", "1:9"),
    ],
)
def test_a_run_error_points_at_its_place(source: str, place: str) -> None:
    program = expr.compile(source)
    with pytest.raises(expr.RunError, match=rf"\({place}\)$"):
        program.run({"xs": [1]})


def test_without_an_environment_a_variable_may_be_anything() -> None:
    program = expr.compile("a + b")
    assert program.run({"a": 1, "b": 2}) == 3
    assert program.run({"a": "x", "b": "y"}) == "xy"
    with pytest.raises(expr.RunError):
        program.run({"a": 1})
    with pytest.raises(expr.RunError, match="there is no variable a"):
        program.run(None)
    with pytest.raises(expr.RunError):
        program.run([1, 2])
    assert expr.compile("1 + 1").run() == 2


ENV: dict[str, Any] = {"n": 1, "f": 1.5, "s": "a", "xs": [1], "m": {"k": 1}, "ok": True, "nix": None}


@pytest.mark.parametrize(
    "source",
    [
        *("missing", "n + s", "s.x", "n.x", "upper(n)", "xs['a']", "xs.a", "m[1]", "not n", "ok and n", "nix.x", "n()"),
        *(
            "s in n",
            "map(m, 1)",
            "filter(xs, missing)",
            "$env.missing",
            "$env['missing']",
            "f % 2",
            "let n = 2; n",
            "ok > 1",
        ),
    ],
)
def test_an_environment_at_compile_time_is_checked(source: str) -> None:
    with pytest.raises(expr.CompileError):
        expr.compile(source, ENV)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("n + f", 2.5),
        ("m.anything", None),
        ("m.k + n", 2),
        ("xs[0] + n", 2),
        ("xs | map(# + n)", [2]),
        ("$env?.missing", None),
        ("'missing' in $env", False),
        ("nix ?? s", "a"),
        ("n == 1 and ok", True),
        ("let y = n; y", 1),
    ],
)
def test_what_fits_the_environment_compiles(source: str, wanted: Any) -> None:
    assert run(source, ENV, hints=ENV) == wanted


def test_a_variable_of_the_environment_replaces_a_builtin() -> None:
    with pytest.raises(expr.CompileError, match="no function"):
        expr.compile("len(xs)", {"len": 1, "xs": [1]})
    assert run("::len(xs) + len", {"len": 1, "xs": [1]}, hints={"len": 1, "xs": [1]}) == 2
    assert run("len(xs)", {"len": 1, "xs": [1, 2]}) == 2, "without the compiler knowing it, the builtin goes before"


@pytest.mark.parametrize("source", ["1", "'a'", "[true]", "{}", "nil", "1 + 1", "len('a')", "a + 1 ?? 2.5 / b"])
def test_a_boolean_expression_must_give_one(source: str) -> None:
    with pytest.raises(expr.CompileError, match=r"not bool|parentheses"):
        expr.compile(source, boolean=True)


def test_a_boolean_expression_gives_true_or_false() -> None:
    env: Any = {"yes": True, "n": 1, "nix": None}
    assert run("yes", env, boolean=True) is True
    assert run("nix", env, boolean=True) is False
    assert run("missing.x == 1 or true", env, boolean=True) is True
    assert run("missing?.x", env, boolean=True) is False
    assert run("yes ? nix : n", env, boolean=True) is False
    for source in ("n", "yes and n", "yes ? n : nix"):
        with pytest.raises(expr.RunError):
            run(source, env, boolean=True)


def test_a_boolean_expression_may_name_variables_beside_its_environment() -> None:
    assert run("missing == nil and n == 1", ENV, hints=ENV, boolean=True) is True
    with pytest.raises(expr.CompileError):
        expr.compile("n + s == 1", ENV, boolean=True)


def test_every_error_is_one_line() -> None:
    long = "x" * 5_000
    for source in (
        f'"{long}" + 1',
        f"{long}.y",
        f'int("{long}")',
        f'duration("{long}")',
        f"{long}()",
        f'x matches "({long}"',
        f'x matches "({long[:4_000]}"',
        f"let {long} = 1; let {long} = 2; 3",
        f"map(xs, #{long})",
        f"[1].{long}",
        f"1 in [2] + {long}.z",
        f"d.{long}()",
        f"filter(xs, {long} > 1)",
        f'date("{long[:1_000]}", "2006{long[:1_000]}")',
        f'timezone("{long[:1_000]}")',
        f"1 {long}",
        f'xs["a\\nb{long}"]',
        'xs["a\\nb"]',
    ):
        for hints, env in ((None, {"xs": [1]}), (None, None), ({"xs": [1]}, {"xs": [1]})):
            with pytest.raises(expr.ExprError) as caught:
                run(source, env, hints=hints)
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 300


def test_nothing_of_the_source_becomes_python() -> None:
    """The compiled code has names of its own only, and its world has no builtins."""
    for name in ("__import__", "eval", "open", "budget", "env", "variable", "t1", "__builtins__", "do_len"):
        assert run(name, {}) is None
        assert run(name, {name: 5}) == 5
        assert outcome(f"{name}('os')", {name: None})[0] == "run"
        assert run(f"let {name} = 3; map([1], {name} + #)", {}) == [4]
    for source in (
        "''.__class__",
        "a.__class__",
        "[].__class__",
        "$env.__class__",
        "a?.__init__",
        "map([1], #.__class__)",
    ):
        stage, result = outcome(source, {"a": "text"})
        assert stage != "ok" or result is None


def test_a_program_tells_its_variables() -> None:
    program = expr.compile("a.b + len(values(c)) + sum(map(d, # + e)) + (let f = g; f) + $env.h")
    assert program.variables == {"a", "c", "d", "e", "g"}
    assert expr.compile("sum(values)", variables=["values"]).variables == {"values"}
    with pytest.raises(expr.CompileError):
        expr.compile("sum(values)")
