"""Running a program that is no entry: the jail, without a registry and so without its policies."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import CallError, ErrorKind, Refused
from micro_agi_kernel.host.http_client import HttpService
from micro_agi_kernel.host.service import Grant, Host
from micro_agi_kernel.interfaces import CallContext, CallOutcome, Program, Sandbox
from micro_agi_kernel.lua_entries import FUNCTION_KIND
from micro_agi_kernel.outputs import Output
from micro_agi_kernel.permissions import HOST_MODULES, ONLY_ON_ALLOW
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.workspace import module_names, open_sandbox

_MISSING = re.compile(
    r"module '(?P<name>[\w.]{1,80})' is not available here: "
    r"(?P<advice>it is not among this entry's modules: add it there|add '\w{1,80}' to modules)"
)
"""What the jail's `require` says, sandbox/modules.lua."""


async def evaluate_program(program: Program, settings: Settings, on_output: Callable[[Output], None]) -> CallOutcome:
    """Run `program` as `evaluate_in` does, in a jail of its own."""
    sandbox = open_sandbox(settings)
    try:
        return await evaluate_in(sandbox, program, on_output)
    finally:
        await sandbox.close()


async def evaluate_in(sandbox: Sandbox, program: Program, on_output: Callable[[Output], None]) -> CallOutcome:
    """Run `program` in the jail without a registry, hence without its policies and the modules of the host.

    What only a policy may open (private addresses and the like) stays closed.
    """
    known = evaluation_modules()
    if unknown := sorted(program.modules - known):
        message = f"no module {unknown[0]!r} here; there are: {', '.join(sorted(known))}"
        return CallOutcome(error=CallError(ErrorKind.NOT_FOUND, message))
    entry = Entry(EntryId(GENERATED_NAMESPACE, "eval"), FUNCTION_KIND)
    grant = Grant(entry, program.modules, CallContext(on_output=on_output))
    async with Host([HttpService(_without_policies)]).for_call(grant) as host:
        return await sandbox.run(program, host, on_output)


def advised(outcome: CallOutcome, names: frozenset[str], say: str, between: str) -> CallOutcome:
    """`outcome`, where a module is missing with how to name it beside `names`: the jail speaks of entries.

    That is `say` and the names, with `between` between them.
    """
    error = outcome.error
    missing = _MISSING.search(error.message) if error is not None else None
    if error is None or missing is None:
        return outcome
    name, line, dotted = missing["name"], error.message, "add '" in missing["advice"]
    name = name.partition(".")[0] if dotted else name
    known = sorted(evaluation_modules())
    advice = say + between.join(sorted(names | {name})) if name in known else f"there are: {', '.join(known)}"
    begin, end = missing.span("advice")
    return replace(outcome, error=replace(error, message=line[:begin] + advice + line[end:]))


def evaluation_modules() -> frozenset[str]:
    """The modules that such a program may have."""
    return module_names() - HOST_MODULES


def _without_policies(tool: Entry, action: str, resource: str, method: str) -> None:
    if action in ONLY_ON_ALLOW:
        raise Refused(
            ErrorKind.PERMISSION_DENIED,
            f"policy denied: {action} on {resource} (eval has no policies: `micro-agi call` an entry)",
        )
