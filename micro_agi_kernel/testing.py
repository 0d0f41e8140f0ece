"""Loading and testing a tool before it is committed: in the jail, with no host but the network of its test.

What a tool calls runs with it: in the jail too, on the same network and by the same clock.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from micro_agi_kernel.arguments import check_arguments, schema_problems
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.host.funcs import FuncsService
from micro_agi_kernel.host.http_client import HttpService
from micro_agi_kernel.host.service import Grant, Host, Service
from micro_agi_kernel.imports import importing
from micro_agi_kernel.interfaces import Allowance, CallContext, CallOutcome, Program, Sandbox
from micro_agi_kernel.lua_modules._json_work import BadSchema
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.programs import Programs, State
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.tool_tests import Stub, ToolTest, read_tests
from micro_agi_kernel.values import Json, Value, as_json, as_value, shorten

if TYPE_CHECKING:
    from micro_agi_kernel.host.http.guarded import GuardedHttp

TEST_SECONDS = 5.0
"""Running time of one test, of all that the tool calls in it, and of loading a tool; a limit of the entry or the
settings may be lower."""

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

    async def run(self, entry: Entry, snapshot: Snapshot, state: State) -> int | Refused:
        """How many tests passed; Refused when one did not, or when `entry` cannot be loaded."""
        try:
            tests = read_tests(entry)
            program = await asyncio.to_thread(self._programs.of, entry, None, snapshot, state)
        except EntryError as error:
            return Refused(error.kind, str(error))
        except Refused as refusal:
            return refusal
        limits = replace(program.limits, seconds=min(program.limits.seconds, TEST_SECONDS))
        program = replace(program, limits=limits)
        loaded = await self._sandbox.run(replace(program, dry=True), ClosedHost(), lambda _: None)
        if loaded.error is not None:
            problem = shorten(" ".join(loaded.error.message.split()), _MAX_PROBLEM)
            kind = loaded.error.kind
            return Refused(
                kind, problem if kind == ErrorKind.SYNTAX else f"source: cannot be loaded: {kind}: {problem}"
            )
        failed = [line for test in tests if (line := await self._failure(entry, program, test, (snapshot, state)))]
        if failed:
            more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
            line = " ".join(f"tests: {len(failed)} of {len(tests)} failed: {'; '.join(failed[:_SHOWN])}{more}".split())
            return Refused(ErrorKind.INVALID, line)
        return len(tests)

    def _check(self, tool: Entry, action: str, resource: str) -> None:
        self._permissions.tool_may_ask(tool, action, resource)  # nobody is asked: no request leaves a test

    async def _failure(
        self, entry: Entry, program: Program, test: ToolTest, pinned: tuple[Snapshot, State]
    ) -> str | None:
        """What is wrong with the result of `test`; None when it is as it should be."""
        try:
            given = as_value(test.input)
            await asyncio.to_thread(check_arguments, entry, given)
            needed = program.modules & {HttpService.module, FuncsService.module}
            client = await asyncio.to_thread(_client_of, test.http) if needed else None
            caller = _TestCaller(self._programs, self._sandbox, pinned, test.now, self._check, client)
            context = CallContext(allowance=Allowance(seconds=program.limits.seconds))
            outcome = await caller.run(entry, replace(program, input=given), context)
        except (Refused, EntryError) as error:
            outcome = CallOutcome(error=error.as_error())
        wrong = await asyncio.to_thread(_difference, test, outcome)
        return f"{test.name!r} {wrong}" if wrong else None


class _TestCaller:
    """The Caller of one test: it counts nothing, tells nobody, and has no host but that of the test."""

    def __init__(
        self,
        programs: Programs,
        sandbox: Sandbox,
        pinned: tuple[Snapshot, State],
        now: int | None,
        check: Callable[[Entry, str, str], None],
        client: GuardedHttp | None,
    ) -> None:
        """`pinned` are the policies and the entries; `check` asks for what requests do; `client` has the stubs."""
        self._programs = programs
        self._sandbox = sandbox
        self._pinned = pinned
        self._now = now
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
            return await self._sandbox.run(replace(program, now=self._now), host, context.on_output)


def _client_of(stubs: Sequence[Stub]) -> GuardedHttp:
    with importing:
        from micro_agi_kernel.host.http.stubs import stubbed_client
    return stubbed_client(stubs)


def _difference(test: ToolTest, outcome: CallOutcome) -> str | None:
    """`expected ..., got ...`; None when there is none."""
    error = f"{outcome.error.kind.value}: {outcome.error.message}" if outcome.error is not None else None
    wanted = _shown(as_value(test.wanted))
    got = f"the error {shorten(error, _MAX_VALUE)}" if error is not None else _shown(outcome.value)
    got += " (nothing was returned)" if error is None and outcome.value is None else ""
    match test.kind:
        case "error":
            if error is None or str(test.wanted) not in error:
                return f"expected an error with {wanted}, got {got}"
        case "expect":
            if error is not None or not _equal(test.wanted, outcome.value):
                return f"expected {wanted}, got {got}"
        case "schema":
            if error is not None:
                return f"expected a result that fits the schema, got {got}"
            try:
                problems = schema_problems(json.dumps(test.wanted), as_value(as_json(outcome.value, "the result")))
            except BadSchema as error:
                return f"has a schema that cannot be used: {str(error).removeprefix('schema: ')}"
            except EntryError as error:
                problems = [str(error)]
            if problems:
                return f"expected a result that fits the schema, got {got}: {'; '.join(problems)}"
    return None


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
