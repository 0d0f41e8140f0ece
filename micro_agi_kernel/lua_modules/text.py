"""The Lua module `text`: regular expressions, differences and patches, and splitting of long texts."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules import _text_diff, _text_regexp, _text_splitter


def preload() -> None:
    """Use each part once: what they import then is there, and could not be opened later."""
    patches = _text_diff.patch_make({}, "one two\n", "one 2\n")
    _text_diff.patch_apply({}, patches, "one two\n")
    _text_diff.compare({}, "a", "b")
    _text_regexp.replaced(r"(?i)\pL+(?P<n>[0-9]?)", "é1", "$n")
    _text_regexp.positions("a", b"\xffa", -1, True)
    for kind in ("recursive", "markdown"):
        _text_splitter.split(kind, {}, "# one\n\n- two")


MODULE = LuaModule(
    functions={
        "names": _text_regexp.names,
        "positions": _text_regexp.positions,
        "replaced": _text_regexp.replaced,
        "differ": _text_diff.options,
        "compare": _text_diff.compare,
        "patch_make": _text_diff.patch_make,
        "patch_apply": _text_diff.patch_apply,
        "splitter": _text_splitter.options,
        "split": _text_splitter.split,
    }
)
