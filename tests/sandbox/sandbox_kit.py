"""What the sandbox's tests share: a way to run one program."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from micro_agi_kernel.errors import CallError
from micro_agi_kernel.interfaces import CallOutcome, Limits, Program
from micro_agi_kernel.outputs import Output, Printed
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.values import Value

ALL_MODULES = frozenset({"values", "service", "python", "text"})


class EchoHost:
    """Answers a request with its payload."""

    async def request(self, op: str, payload: Value) -> Value:
        return payload


class Runner:
    """`await runner(source)` runs Lua; the printed text of the last call is in `output`, the rest in `shown`."""

    def __init__(self, sandbox: JailedSandbox) -> None:
        self.sandbox = sandbox
        self.output = ""
        self.shown: list[Output] = []

    async def __call__(
        self,
        source: str,
        input: Value = None,
        *,
        host: Any = None,
        modules: frozenset[str] = ALL_MODULES,
        method: str | None = "handler",
        on_output: Callable[[str], None] | None = None,
        **limits: Any,
    ) -> CallOutcome:
        shown: list[Output] = []

        def hear(output: Output) -> None:
            if on_output is not None and isinstance(output, Printed):
                on_output(output.text)
            shown.append(output)

        program = Program(source, "tool", input, method, modules, Limits(**limits))
        outcome = await self.sandbox.run(program, host or EchoHost(), hear)
        self.output = "".join(output.text for output in shown if isinstance(output, Printed))
        self.shown = [output for output in shown if not isinstance(output, Printed)]
        return outcome

    async def value(self, source: str, input: Value = None, **more: Any) -> Value:
        outcome = await self(source, input, **more)
        assert outcome.error is None, outcome.error
        return outcome.value

    async def error(self, source: str, input: Value = None, **more: Any) -> CallError:
        outcome = await self(source, input, **more)
        assert outcome.error is not None, f"no error but {outcome.value!r}"
        return outcome.error

    async def python(self, source: str, **more: Any) -> Value:
        """Run Python in the child, as a program that broke out of Lua could."""
        return await self.value(f"return require('python').run({json.dumps(source)})", **more)


@asynccontextmanager
async def opened(package: str = "sandbox_modules", **options: Any) -> AsyncIterator[Runner]:
    """A sandbox of its own for one test."""
    sandbox = JailedSandbox(package, **options)
    try:
        yield Runner(sandbox)
    finally:
        await sandbox.close()
