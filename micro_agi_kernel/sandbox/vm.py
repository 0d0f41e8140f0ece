"""One Lua for one call: the runtime, the single function it may call, and what stands behind that function.

Lua and Python exchange byte strings only (the JSON of frames.py), so no Python object is within Lua's reach.
lupa cannot survive an allocation that fails while it pushes a value into Lua: the whole process hangs or
dies. So before a push the memory limit is raised by more than the push needs, and the first act of the
Lua side (boot.lua and the files that it opens) after it is to "settle" the limit again.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from micro_agi_kernel.errors import CallError, ErrorKind, MicroAgiError
from micro_agi_kernel.interfaces import MIB, LuaModule
from micro_agi_kernel.outputs import Progress
from micro_agi_kernel.sandbox import frames
from micro_agi_kernel.sandbox.pipe import Pipe
from micro_agi_kernel.sandbox.protocol import parse_child_message
from micro_agi_kernel.values import Value

if TYPE_CHECKING:
    from lupa.lua54 import LuaRuntime

_PUSH_RESERVE = 1 << 20
_BOOT_MEMORY = 16 << 20
"""The limit until a child connects: boot.lua and its files need a quarter of a megabyte."""


@cache
def lua_side() -> Mapping[bytes, bytes]:
    """The Lua files beside this one by name: read before the jail, where none could be opened."""
    return {path.stem.encode(): path.read_bytes() for path in Path(__file__).parent.glob("*.lua")}


class Machine:
    """A fresh Lua with boot.lua in it; runs one program, for the one child that `connect`s it."""

    def __init__(self, modules: Mapping[str, LuaModule]) -> None:
        self._pipe: Pipe
        self._modules = modules
        self._allowed: frozenset[str] = frozenset()
        self._limit = _BOOT_MEMORY
        self._ops: dict[bytes, Callable[[bytes], bytes | bool | None]] = {
            b"settle": self._settle,
            b"tick": self._tick,
            b"at": self._at,
            b"show": self._show,
            b"timer": self._timer,
            b"cancel": lambda id: self._pipe.timers.stop(int(id)),
            b"clock": lambda _: b"%r" % time.monotonic(),
            b"poll": lambda _: self._pipe.next_answer(),
            b"look": lambda _: self._pipe.next_answer(wait=False),
            b"part": lua_side().get,
            b"module": self._module,
            b"module_part": self._module_part,
            b"native": self._native,
            b"ask": self._ask,
        }
        self._lua = _new_lua(self._limit)
        self._seed = self._lua.eval(b"math.randomseed")
        boot, name = lua_side()[b"boot"], b"=[sandbox] boot.lua"
        self._run, self._where_failed = self._lua.execute(boot, self._call, name=name, mode=b"t")

    def connect(self, pipe: Pipe, memory: int) -> None:
        """Become the machine of one child: the others that were forked with a copy of it share nothing with it."""
        self._pipe = pipe
        self._ops[b"print"] = pipe.print
        self._limit = memory
        self._seed(*struct.unpack("=qq", os.urandom(16)))

    def touch(self) -> None:
        """Have the system copy Lua's pages now: a forked child shares them until it writes, which a collection does."""
        self._lua.gccollect()

    def run(self, program: bytes, allowed: frozenset[str]) -> bytes:
        """Run `program` (as `protocol.request_of` writes it); gives the call's last message."""
        from lupa.lua54 import LuaMemoryError

        self._allowed = allowed
        try:
            self._make_room(program)
            if (end := self._run(program)) is not None:
                return bytes(end)
        except (LuaMemoryError, MemoryError):
            pass
        try:
            self._make_room(b"")
            return self._memory_error(self._where_failed().decode(errors="replace"))
        except (LuaMemoryError, MemoryError):
            return self._memory_error()

    def _memory_error(self, where: str = "") -> bytes:
        message = f"memory limit of {self._limit / MIB:g} MiB reached{where}"
        return end_with(ErrorKind.MEMORY_LIMIT, message)

    def _call(self, op: bytes, payload: bytes) -> bytes | bool | None:
        """What Lua calls. An exception must not pass through Lua, so whatever happens ends the process here."""
        try:
            answer = self._ops[op](payload)
            if isinstance(answer, bytes):
                self._make_room(answer)
            return answer
        except MemoryError:
            return self._die(self._memory_error())
        except BaseException as error:
            return self._die(end_with(ErrorKind.CRASHED, f"the sandbox failed: {type(error).__name__}: {error}"))

    def _die(self, end: bytes) -> NoReturn:
        self._pipe.end(end)

    def _make_room(self, push: bytes) -> None:
        self._lua.set_max_memory(self._limit + len(push) + _PUSH_RESERVE, True)

    # -- the operations of the Lua side

    def _settle(self, _: bytes) -> None:
        self._lua.set_max_memory(self._limit, True)

    def _tick(self, _: bytes) -> bool | None:
        self._pipe.flush_if_due()
        return self._pipe.time_is_over() or None

    def _at(self, where: bytes) -> None:
        self._pipe.send(frames.dumps({"t": "at", "where": where.decode(errors="replace")}))

    def _show(self, message: bytes) -> bytes | None:
        """Pass a display or a progress on; what is wrong with it where main would refuse it."""
        try:
            shown = parse_child_message(message)
        except frames.FrameError as error:
            return str(error).encode()
        if isinstance(shown, Progress):
            self._pipe.report(message)
        else:
            self._pipe.send(message)
        return None

    def _timer(self, payload: bytes) -> None:
        id, seconds = payload.split()
        self._pipe.timers.start(int(id), float(seconds))

    def _module(self, name: bytes) -> bytes | None:
        wanted = name.decode(errors="replace")
        return self._modules[wanted].chunk.encode() if wanted in self._allowed & self._modules.keys() else None

    def _module_part(self, payload: bytes) -> bytes:
        module, part = payload.decode().split("\0")
        return self._modules[module].parts[part].encode()

    def _native(self, payload: bytes) -> bytes:
        module, name, arguments = payload.split(b"\0", 2)
        function = self._modules[module.decode()].functions[name.decode()]
        try:
            return _crossing(function(*_arguments(arguments)))
        except MicroAgiError as error:
            fault = error.as_error()
        except frames.FrameError as error:
            fault = CallError(ErrorKind.INVALID, str(error))
        except MemoryError:
            raise
        except Exception as error:  # a fault of the module: the tool gets an error value, the process lives on
            message = f"{module.decode()}.{name.decode()}: {type(error).__name__}: {error}"
            fault = CallError(ErrorKind.INTERNAL, message)
        return b"e" + frames.dumps(fault.as_json())

    def _ask(self, payload: bytes) -> None:
        module, op, id, value = payload.split(b"\0", 3)
        if op.decode() not in self._modules[module.decode()].services:
            raise LookupError(f"the module {module.decode()} has no service {op.decode()}")
        self._pipe.send(b'{"t":"ask","id":%s,"op":%s,"payload":%s}' % (id, frames.dumps(op.decode()), value))


def _arguments(data: bytes) -> Iterator[Value]:
    """What modules.lua sends to a function: for each argument "s" (a string) or "v" (JSON), its length, its bytes."""
    at = 0
    while at < len(data):
        start = at + 5
        end = start + int.from_bytes(data[at + 1 : start])
        argument = data[start:end]
        yield frames.loads(argument, all_numbers=True) if data[at : at + 1] == b"v" else _text(argument)
        at = end


def _text(string: bytes) -> str | bytes:
    try:
        return string.decode()
    except UnicodeDecodeError:
        return string


def _crossing(value: Value) -> bytes:
    """What a function gives, as modules.lua reads it: "s" and a string, or "v" and JSON."""
    if isinstance(value, bytes):
        return b"s" + value
    if isinstance(value, str):
        return b"s" + value.encode()
    return b"v" + frames.dumps(value, all_numbers=True)


def end_with(kind: ErrorKind, message: str) -> bytes:
    """The last message of a call that failed."""
    return frames.dumps({"t": "end", "error": CallError(kind, message).as_json()})


def _new_lua(memory: int) -> LuaRuntime:
    from lupa.lua54 import LuaRuntime

    return LuaRuntime(
        encoding=None,
        register_eval=False,
        register_builtins=False,
        attribute_filter=_refuse,
        max_memory=memory + _PUSH_RESERVE,
    )


def _refuse(_object: object, _name: object, _setting: bool) -> object:
    raise AttributeError("not available")
