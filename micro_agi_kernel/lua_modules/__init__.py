"""What a Lua tool may `require`: one file per module, and a page per module in the registry's `docs/`.

`NAME.py` exposes `MODULE: LuaModule`. Its Lua chunk stands in `NAME.lua` beside it (the field is BESIDE
then) or inline. A file whose name begins with an underscore is a helper of the others. The chunk gets
`native, host, sleep, timer, part` and returns the module's table (see `interfaces.LuaModule`). A chunk too long for
one file has parts, `NAME_PART.lua`, which it opens with `part("PART", ...)`. The globals of a tool,
`errors` among them, are there for it too, and two more: `empty_object()` makes a table that goes to Python
as `{}`, where an empty table goes as `[]`, and `is_empty_object(table)` tells one.

How all modules treat bad arguments: a function that is documented as `value, error` returns `nil` and an
error of kind INVALID; one that is documented to return a value only (`time.date`, methods) raises that
same error, so that its reason is not lost in "attempt to index a nil value".
"""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule

BESIDE = ""
"""The `chunk` of a MODULE whose Lua text stands in the file beside it; `load_all` reads it."""


def load_all() -> dict[str, LuaModule]:
    """Every module by name, with all that its functions need later imported and opened.

    The zygote calls this once, before it forks and jails its children: in the jail nothing can be opened,
    not even a `.py` file. A module that reads more than code (time zones, say) has a `preload` function.
    """
    import dataclasses
    import importlib
    import pkgutil

    modules: dict[str, LuaModule] = {}
    for found in pkgutil.iter_modules(__path__):
        if found.name.startswith("_"):
            continue
        python = importlib.import_module(f"{__name__}.{found.name}")
        module: LuaModule = python.MODULE
        if module.chunk == BESIDE:
            chunk, parts = _lua_files(found.name)
            module = dataclasses.replace(module, chunk=chunk, parts=parts)
        if hasattr(python, "preload"):
            python.preload()
        modules[found.name] = module
    return modules


def _lua_files(name: str) -> tuple[str, dict[str, str]]:
    """The text of `NAME.lua`, and by PART those of the files `NAME_PART.lua`."""
    from pathlib import Path

    folder = Path(__path__[0])
    parts = {file.stem.removeprefix(f"{name}_"): file.read_text("utf-8") for file in folder.glob(f"{name}_*.lua")}
    return Path(folder, f"{name}.lua").read_text("utf-8"), parts
