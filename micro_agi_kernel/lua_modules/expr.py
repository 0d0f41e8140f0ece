"""The Lua module `expr`: expressions of expr-lang that come as text, evaluated with the variables of a table."""

from __future__ import annotations

from micro_agi_kernel import expr, go_time
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid
from micro_agi_kernel.values import Value

LIMITS = expr.Limits(steps=5_000_000, text=8 << 20)
"""Some seconds at worst, in which only the end of the call's time can stop it. No more text could cross to Lua."""

MAX_PROGRAMS = 1_000
"""As many compiled expressions as the reference keeps."""
MAX_KEPT = 262_144
"""Characters of all their sources; each becomes at most some hundred bytes."""

_programs: dict[tuple[str, frozenset[str]], expr.Program] = {}
"""By source and the variables that have a builtin's name; the one that was not used for the longest time first."""


def preload() -> None:
    go_time.preload_zones()
    expr.compile("'a' matches '^a$'").run()


def _eval(expression: Value, env: Value) -> Value:
    return _run(_source(expression), env, "eval failed")


def _compile(expression: Value, hints: Value) -> Value:
    """Nothing, if the expression compiles. What hints add is checked here; the program that runs is the same."""
    source = _source(expression)
    if hints is None:
        _program(source, frozenset())
        return None
    try:
        expr.compile(source, _variables(hints))
    except expr.ExprError as error:
        raise _failed("compile failed", error) from error
    return None


def _run_program(source: Value, env: Value) -> Value:
    return _run(_source(source), env, "run failed")


def _source(expression: Value) -> str:
    match expression:
        case "":
            raise invalid("expression cannot be empty")
        case str():
            return expression
        case bytes():
            raise invalid("expression is not valid UTF-8")
        case _:
            raise invalid("expression must be a string")


def _program(source: str, variables: frozenset[str]) -> expr.Program:
    key = (source, variables)
    program = _programs.pop(key, None)
    if program is None:
        try:
            program = expr.compile(source, variables=variables)
        except expr.ExprError as error:
            raise _failed("compile failed", error) from error
        while len(_programs) >= MAX_PROGRAMS or sum(len(kept) for kept, _ in _programs) + len(source) > MAX_KEPT:
            del _programs[next(iter(_programs))]
    _programs[key] = program
    return program


def _run(source: str, env: Value, context: str) -> Value:
    variables = _variables(env)
    program = _program(source, expr.BUILTINS.intersection(variables or ()))
    try:
        result = program.run(variables, LIMITS)
    except expr.ExprError as error:
        raise _failed(context, error) from error
    try:
        return expr.to_value(result, LIMITS)
    except expr.ExprError as error:
        raise _failed("failed to convert result", error) from error


def _variables(env: Value) -> dict[str, Value] | None:
    match env:
        case None:
            return None
        case []:
            return {}
        case dict():
            return {name: _maps(value) for name, value in env.items()}
        case _:
            raise invalid("env must be a table of names and values")


def _maps(value: Value) -> Value:
    """`value` with maps for empty lists: an empty table of Lua could be either, and is a map in the reference."""
    if isinstance(value, list):
        return [_maps(item) for item in value] if value else {}
    if isinstance(value, dict):
        return {key: _maps(item) for key, item in value.items()}
    return value


def _failed(context: str, error: expr.ExprError) -> Refused:
    return Refused(ErrorKind.INTERNAL, f"{context}: {error}", retryable=False)


MODULE = LuaModule(functions={"eval": _eval, "compile": _compile, "run": _run_program})
