"""What a Lua tool may `require`: one file per module, and a page per module in the registry's `docs/`.

`NAME.py` exposes `MODULE: LuaModule`, and its Lua chunk is `NAME.lua` beside it. A chunk too long for one file has
parts, `NAME_PART.lua`. `interfaces.LuaModule` tells what a chunk gets and returns. A Python file whose name begins
with an underscore is a helper of the others.

How all modules treat bad arguments: a function that is documented as `value, error` returns `nil` and an
error of kind INVALID; one that is documented to return a value only (`time.date`, methods) raises that
same error, so that its reason is not lost in "attempt to index a nil value".
"""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule


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
        if hasattr(python, "preload"):
            python.preload()
        chunk, parts = _lua_files(found.name)
        modules[found.name] = dataclasses.replace(python.MODULE, chunk=chunk, parts=parts)
    return modules


def _lua_files(name: str) -> tuple[str, dict[str, str]]:
    """The text of `NAME.lua`, and by PART those of the files `NAME_PART.lua`."""
    from pathlib import Path

    folder = Path(__path__[0])
    parts = {file.stem.removeprefix(f"{name}_"): file.read_text("utf-8") for file in folder.glob(f"{name}_*.lua")}
    return Path(folder, f"{name}.lua").read_text("utf-8"), parts
