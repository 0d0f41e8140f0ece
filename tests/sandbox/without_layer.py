"""`without_layer.NAME` is a package of modules whose children lack the layer NAME of the jail.

The zygote imports it and calls `load_all`, before it forks the first child.
"""

from __future__ import annotations

import sys
from types import ModuleType

import sandbox_modules

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.sandbox import jail

REASON = "taken away by a test"
FUNCTIONS = {
    "pdeathsig": "die_with_parent",
    "no_new_privs": "no_new_privileges",
    "not_dumpable": "not_dumpable",
    "landlock": "landlock",
    "rlimits": "resource_limits",
    "seccomp": "system_call_filter",
}


class Without(ModuleType):
    def load_all(self) -> dict[str, LuaModule]:
        setattr(jail, FUNCTIONS[self.__name__.rpartition(".")[2]], refuse)
        return sandbox_modules.load_all()


def refuse(*_: object) -> str:
    raise OSError(REASON)


for name in FUNCTIONS:
    sys.modules[f"{__name__}.{name}"] = Without(f"{__name__}.{name}")
