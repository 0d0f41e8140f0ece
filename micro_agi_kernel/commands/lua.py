"""`%%lua`: a cell of Lua, run in the sandbox without a model and without the registry."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from micro_agi_kernel.commands.calls import told_call
from micro_agi_kernel.entries import MAX_FILE_BYTES
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.evaluation import advised, evaluate_in, evaluation_modules
from micro_agi_kernel.interfaces import CallContext, CallOutcome, Program
from micro_agi_kernel.outputs import Output
from micro_agi_kernel.session import Session
from micro_agi_kernel.values import shorten


async def lua(session: Session, context: CallContext, source: str, *, modules: str = "") -> str:
    """Run the Lua below in the sandbox, as a tool would run; it may require the MODULES.

    The modules are named with commas or spaces between: `%%lua json, time`. If the program returns a table with the
    function `handler`, that is called; if it returns something else, that is the result. It runs without the registry
    and its policies, as `micro-agi eval` does, within the limits of the settings `sandbox.*`.
    """
    if len(source.encode(errors="surrogatepass")) > MAX_FILE_BYTES:
        raise Refused(ErrorKind.INVALID, f"the cell has more than {MAX_FILE_BYTES:,} bytes, which no tool may have")
    names, known = frozenset(re.findall(r"[^\s,]+", modules)), evaluation_modules()
    if unknown := sorted(names - known):
        there = f"there are: {', '.join(sorted(known))}; code goes on the lines below"
        raise Refused(ErrorKind.NOT_FOUND, f"a cell has no module {shorten(unknown[0])!r}: {there}")
    program = Program(source, "cell", {}, "handler", names, session.settings.sandbox.limits())
    arguments = json.dumps({"modules": sorted(names)})

    async def run(on_output: Callable[[Output], None]) -> CallOutcome:
        return advised(await evaluate_in(session.workspace.sandbox, program, on_output), names, "write %%lua ", ", ")

    return await told_call(context, "lua", arguments, run)
