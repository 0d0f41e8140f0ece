"""Loading and testing tools, above all before they are committed: in the jail, with no host but a test's own network.

What a tool calls runs with it: in the jail too, on the same network and by the same clock.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from micro_agi_kernel.arguments import UNFIT, check_arguments, schema_problems
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import CallError, EntryError, ErrorKind, Refused
from micro_agi_kernel.host.funcs import FuncsService
from micro_agi_kernel.host.http_client import Check, HttpService
from micro_agi_kernel.host.service import Grant, Host, Service
from micro_agi_kernel.imports import importing
from micro_agi_kernel.interfaces import Allowance, CallContext, CallOutcome, Program, Sandbox
from micro_agi_kernel.lua_modules._json_work import MAX_STEPS, BadSchema
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.programs import Programs
from micro_agi_kernel.reaching import EntryLookup
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.tool_tests import MAX_SIZE, Stub, ToolTest, read_tests
from micro_agi_kernel.values import Json, Value, as_json, as_value, shorten

if TYPE_CHECKING:
    from micro_agi_kernel.host.http.guarded import GuardedHttp

ONE_TEST_SECONDS = 5.0
"""Running time of one test, of all that the tool calls in it, and of loading a tool; a limit of the entry or the
settings may be lower."""

_LIMITS = frozenset({ErrorKind.MEMORY_LIMIT, ErrorKind.OUTPUT_LIMIT, ErrorKind.CALL_LIMIT, ErrorKind.CRASHED})
"""Ends of a call that are no errors of the tool; TIMEOUT is one when it is ours."""
_TIME_IS_OVER = ("time limit of ", "the calls below ")
"""How our own TIMEOUT begins, where a tool gives errors of that kind too."""
_NAMES_UNFIT = ("arguments", "not fit", "input_schema")
"""An `error` with one of these is meant for arguments that do not fit."""

_SHOWN = 3
"""Failing tests that are told."""
_MAX_PROBLEM = 1_000
"""Characters of why a tool cannot be loaded."""
_MAX_VALUE = 500
"""Characters of a value that are shown."""


class ClosedHost:
    """The host of a program that is only compiled or loaded."""

    async def request(self, op: str, payload: Value) -> Value:
        raise Refused(ErrorKind.PERMISSION_DENIED, f"{op} is not available while a tool is loaded: ask in its handler")


class ToolTesting:
    """Runs the tests of entries as calls of them would run."""

    def __init__(self, permissions: Permissions, programs: Programs, sandbox: Sandbox) -> None:
        self._permissions = permissions
        self._programs = programs
        self._sandbox = sandbox

    async def run(self, entry: Entry, snapshot: Snapshot, state: EntryLookup) -> int | Refused:
        """How many tests passed; Refused when one did not, or when `entry` cannot be loaded."""
        try:
            tests = read_tests(entry)
            program = await asyncio.to_thread(self._programs.of, entry, None, snapshot, state)
        except EntryError as error:
            return error.as_refused()
        except Refused as refusal:
            return refusal
        limits = replace(program.limits, seconds=min(program.limits.seconds, ONE_TEST_SECONDS))
        program = replace(program, limits=limits)
        loaded = await self._sandbox.run(replace(program, dry=True), ClosedHost(), lambda _: None)
        if loaded.error is not None:
            problem = shorten(" ".join(loaded.error.message.split()), _MAX_PROBLEM)
            kind = loaded.error.kind
            return Refused(
                kind, problem if kind == ErrorKind.SYNTAX else f"source: cannot be loaded: {kind}: {problem}"
            )
        steps = MAX_STEPS // max(1, len(tests))
        failed = [
            line for test in tests if (line := await self._failure(entry, program, test, (snapshot, state), steps))
        ]
        if failed:
            more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
            line = " ".join(f"tests: {len(failed)} of {len(tests)} failed: {'; '.join(failed[:_SHOWN])}{more}".split())
            return Refused(ErrorKind.INVALID, line)
        return len(tests)

    def _check(self, snapshot: Snapshot, tool: Entry, action: str, resource: str, method: str) -> None:
        self._permissions.decide_for_tool(tool, action, resource, snapshot)  # nobody is asked: no request leaves a test

    async def _failure(
        self, entry: Entry, program: Program, test: ToolTest, pinned: tuple[Snapshot, EntryLookup], steps: int
    ) -> str | None:
        """What is wrong with the result of `test`; None when it is as it should be.

        `steps` are what each validation by a schema may cost: all tests of a tool share those of one.
        """
        missed: list[str] = []
        answered: list[Stub] = []
        try:
            given = as_value(test.input)
            needed = program.modules & {HttpService.module, FuncsService.module}
            client = await asyncio.to_thread(_client_of, test.http, missed.append, answered.append) if needed else None
        except EntryError as error:
            return f"{test.name!r} {error}"
        caller = _TestCaller(self._programs, self._sandbox, pinned, test.now, partial(self._check, pinned[0]), client)
        ran = False
        try:
            await asyncio.to_thread(check_arguments, entry, given, steps)
            ran = True
            context = CallContext(allowance=Allowance(seconds=program.limits.seconds))
            outcome = await caller.run(entry, replace(program, input=given), context)
        except (Refused, EntryError) as error:
            outcome = CallOutcome(error=error.as_error())
        if missed:  # whatever the tool made of it
            return f"{test.name!r} {missed[0]}"
        if test.kind == "error":
            wrong = await asyncio.to_thread(_error_difference, test, outcome, ran=ran, limited=caller.limited)
        else:
            wrong = await asyncio.to_thread(_difference, test, outcome, steps)
        wrong = wrong or _never_asked(test.http, answered)
        if wrong and not ran:
            wrong = f"{wrong}: the handler did not run: the input_schema refused the input"
        return f"{test.name!r} {wrong}" if wrong else None


class _TestCaller:
    """The Caller of one test: it counts nothing, tells nobody, and has no host but that of the test."""

    def __init__(
        self,
        programs: Programs,
        sandbox: Sandbox,
        pinned: tuple[Snapshot, EntryLookup],
        now: int | None,
        check: Check,
        client: GuardedHttp | None,
    ) -> None:
        """`pinned` are the policies and the entries; `check` asks for what requests do; `client` has the stubs."""
        self._programs = programs
        self._sandbox = sandbox
        self._pinned = pinned
        self._now = now
        self.limited = False
        """Whether a call came to a limit."""
        services: list[Service] = [FuncsService(self)]
        if client is not None:
            services.append(HttpService(check, client))
        self._host = Host(services)

    async def call(self, id: EntryId, input: Value, context: CallContext) -> CallOutcome:
        try:
            entry, program = await asyncio.to_thread(self._program, id, input, context)
        except (Refused, EntryError) as error:
            return CallOutcome(error=error.as_error())
        return await self.run(entry, program, context)

    def _program(self, id: EntryId, input: Value, context: CallContext) -> tuple[Entry, Program]:
        entry, program, _ = self._programs.of_call(id, input, context, *self._pinned)
        check_arguments(entry, input)
        return entry, program

    async def run(self, entry: Entry, program: Program, context: CallContext) -> CallOutcome:
        """Run an entry whose permission was asked."""
        async with self._host.for_call(Grant(entry, program.modules, context)) as host:
            outcome = await self._sandbox.run(replace(program, now=self._now), host, context.on_output)
        self.limited = self.limited or _is_limit(outcome.error)
        return outcome


def _client_of(stubs: Sequence[Stub], missed: Callable[[str], None], answered: Callable[[Stub], None]) -> GuardedHttp:
    with importing:
        from micro_agi_kernel.host.http.stubs import stubbed_client
    return stubbed_client(stubs, missed, answered)


def _never_asked(stubs: Sequence[Stub], answered: Sequence[Stub]) -> str | None:
    """What is wrong with a test whose network is not what the tool asks."""
    for stub in stubs:
        if not any(stub is each for each in answered):
            what = f"{stub.method} {shorten(stub.url, 300)}"
            return f"the tool never asks for {what}: leave that answer out of http, or let the input lead there"
    return None


def _error_difference(test: ToolTest, outcome: CallOutcome, *, ran: bool, limited: bool) -> str | None:
    """`expected ..., got ...`; None when the error is the tool's own, or that of its input_schema by name.

    `ran` says whether the handler did; `limited` whether a call came to a limit, be it of a tool that it calls.
    """
    wanted = str(test.wanted)
    line = f"expected an error with {_shown(wanted)}, got {_got(outcome)}"
    error = _told(outcome.error) if outcome.error is not None else None
    if error is None or wanted not in error:
        return line
    if limited or _is_limit(outcome.error):
        return f"{line}: a limit is no error to test for"
    if UNFIT in error and not any(word in wanted for word in _NAMES_UNFIT):
        return f"{line}: if that is tested, let error be {_shown(UNFIT)}"
    return None if ran or UNFIT in error else line


def _is_limit(error: CallError | None) -> bool:
    """Whether a call was ended, where it did not end by itself."""
    if error is None:
        return False
    ended = error.kind == ErrorKind.TIMEOUT and error.message.startswith(_TIME_IS_OVER)
    return ended or error.kind in _LIMITS


def _difference(test: ToolTest, outcome: CallOutcome, steps: int) -> str | None:
    """`expected ..., got ...` for a test of a result; None when there is no difference."""
    got = _got(outcome)
    if test.kind == "expect":
        is_right = outcome.error is None and _equal(test.wanted, outcome.value)
        return None if is_right else f"expected {_shown(as_value(test.wanted))}, got {got}"
    expected = "expected a result that fits the schema"
    if outcome.error is not None:
        return f"{expected}, got {got}"
    if (size := len(json.dumps(outcome.value, default=repr))) > MAX_SIZE:
        return f"{expected}, got one of {size} characters of JSON: take an input whose result has at most {MAX_SIZE}"
    try:
        problems = schema_problems(json.dumps(test.wanted), as_value(as_json(outcome.value, "the result")), steps)
    except BadSchema as error:
        return f"has a schema that cannot be used: {str(error).removeprefix('schema: ')}"
    except EntryError as error:
        problems = [str(error)]
    return f"{expected}, got {got}: {'; '.join(problems)}" if problems else None


def _got(outcome: CallOutcome) -> str:
    if outcome.error is not None:
        return f"the error {shorten(_told(outcome.error), _MAX_VALUE)}"
    return _shown(outcome.value) + (" (nothing was returned)" if outcome.value is None else "")


def _told(error: CallError) -> str:
    return f"{error.kind.value}: {error.message}"


def _equal(wanted: Json, got: Value) -> bool:
    """Equal as JSON: 1 and 1.0 are, and so are an empty list and an empty object, which are one in Lua."""
    match wanted, got:
        case bool() | None, _:
            return wanted is got
        case _, bool() | None:
            return False
        case dict(), dict():
            return wanted.keys() == got.keys() and all(_equal(item, got[key]) for key, item in wanted.items())
        case list(), list():
            return len(wanted) == len(got) and all(map(_equal, wanted, got))
        case list() | dict(), list() | dict():
            return not wanted and not got
        case _:
            return wanted == got


def _shown(value: Value) -> str:
    return shorten(json.dumps(value, ensure_ascii=False, default=repr), _MAX_VALUE)
