"""A jailed child: what it has beforehand, and its life from the fork to its one call to its end."""

from __future__ import annotations

import encodings
import importlib
import json
import pkgutil
import time
from collections.abc import Mapping
from typing import NoReturn

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.sandbox import frames, jail
from micro_agi_kernel.sandbox.pipe import Pipe
from micro_agi_kernel.sandbox.protocol import Shape
from micro_agi_kernel.sandbox.vm import Machine, end_with

_SPARE_AFTER = 0.002
"""Seconds after which a child without a program takes itself for a spare, with time to prepare."""


def preload(modules_package: str) -> Mapping[str, LuaModule]:
    """Import all that a child may need: nothing can be opened inside the jail. Gives the Lua modules."""
    for name in ("_strptime", "ctypes", "encodings.idna", "importlib.resources", "lupa.lua54", "resource", "traceback"):
        importlib.import_module(name)
    for module in pkgutil.iter_modules(encodings.__path__, "encodings."):
        try:
            importlib.import_module(module.name)
        except ImportError:  # a codec of another system
            continue
    jail.prepare()
    modules: Mapping[str, LuaModule] = importlib.import_module(modules_package).load_all()
    return modules


def run(fd: int, machine: Machine, shape: Shape, parent: int | None, size: int) -> NoReturn:
    """Live as the child at the other end of `fd`: jail, get ready, take one call, end."""
    pipe = Pipe(fd)
    layers = jail.apply(parent, size, shape.memory, shape.cpu_seconds)
    try:
        machine.connect(pipe, shape.memory)
        pipe.send(
            frames.dumps({"t": "ready", "layers": [[layer.name, layer.active, layer.detail] for layer in layers]})
        )
        if pipe.is_idle(_SPARE_AFTER):
            machine.touch()
        header, program = json.loads(pipe.receive()), pipe.receive()
        if header["now"] is not None:
            _stop_clock(header["now"])
        end = machine.run(program, frozenset(header["modules"]))
    except Exception as error:  # the last thing this process does is to say what went wrong
        end = end_with(ErrorKind.CRASHED, f"the sandbox failed: {type(error).__name__}: {error}")
    pipe.end(end)


def _stop_clock(now: int) -> None:
    """Have the clock of this process stand. What the sandbox itself measures goes by another one (monotonic)."""
    time.time_ns = lambda: now
    time.time = lambda: now / 1_000_000_000


def main(fd: int, modules_package: str, memory: int, cpu: float) -> NoReturn:
    """A child that was started, not forked: the way of systems without a zygote."""
    run(fd, Machine(preload(modules_package)), Shape(memory, cpu), None, jail.address_space())
