"""Differences of two texts and patches, for the Lua module `text`: options, and patches as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.lua_modules._arguments import invalid, text
from micro_agi_kernel.values import Value, shorten

if TYPE_CHECKING:
    from diff_match_patch import patch_obj

    from micro_agi_kernel.lua_modules._text_diff_engine import Characters, Diffs
    from micro_agi_kernel.lua_modules._text_patch_engine import Octets

MAX_TEXT = 1 << 20
"""Characters of each text."""
MAX_PATCHES = 8 * MIB
"""Characters of all patches together, in which one of the text may take nine: the most that crosses as one value."""
MAX_LINES = 100_000
"""Lines of all patches together: each is an object."""
STEPS_PER_SECOND = 2_000_000
"""What a second of `diff_timeout` allows; about what a machine does in it."""
MAX_STEPS = 10 * STEPS_PER_SECOND
MAX_WORK = 100_000_000
"""Units of work for patches (see Octets): ten seconds or so at the worst."""

_RANGES: dict[str, tuple[float, float]] = {
    "diff_timeout": (0, 3600),
    "diff_edit_cost": (0, 1 << 15),
    "match_threshold": (0, 1),
    "match_distance": (0, 1 << 31),
    "patch_delete_threshold": (0, 1),
    "patch_margin": (0, 15),
}
"""The library cuts patches into 32 bytes: with margins of 16 at both ends it would never get on."""
_WHOLE = ("diff_edit_cost", "match_distance", "patch_margin")

_KINDS = {-1: "delete", 0: "equal", 1: "insert"}
_SIGNS = {-1: "-", 0: " ", 1: "+"}
_HEADER = re.compile(r"@@ -([0-9]{1,15})(?:,([0-9]{1,15}))? \+([0-9]{1,15})(?:,([0-9]{1,15}))? @@")


def options(given: Value) -> Value:
    """`given` checked; what is not given stays out. A whole number of 0 stands for the default, as in the reference."""
    if given == []:  # an empty table of Lua
        given = {}
    if not isinstance(given, dict):
        raise invalid("options must be a table")
    checked: dict[str, Value] = {}
    for name, (low, high) in _RANGES.items():
        value = given.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise invalid(f"{name} must be a number")
        if not low <= value <= high:
            raise invalid(f"{name} must be from {low:g} to {high:g}")
        if name in _WHOLE:
            if value != int(value):
                raise invalid(f"{name} must be an integer")
            value = int(value)
        if value or name not in _WHOLE:
            checked[name] = value
    return checked


def _characters(given: Value) -> Characters:
    from micro_agi_kernel.lua_modules._text_diff_engine import Characters

    seconds = _setting(given, "diff_timeout", 1.0)
    engine = Characters(min(int(seconds * STEPS_PER_SECOND), MAX_STEPS) if seconds else MAX_STEPS)
    engine.Diff_Timeout = seconds  # 0 is for ever, so it takes no short cut that could miss the shortest answer
    return engine


def _octets(given: Value) -> Octets:
    from micro_agi_kernel.lua_modules._text_patch_engine import Octets

    engine = Octets(_characters(given), MAX_WORK)
    engine.Diff_EditCost = int(_setting(given, "diff_edit_cost", 4))
    engine.Match_Threshold = _setting(given, "match_threshold", 0.5)
    engine.Match_Distance = int(_setting(given, "match_distance", 1000))
    engine.Patch_DeleteThreshold = _setting(given, "patch_delete_threshold", 0.5)
    engine.Patch_Margin = int(_setting(given, "patch_margin", 4))
    return engine


def _setting(given: Value, name: str, default: float) -> float:
    checked = options(given)
    assert isinstance(checked, dict)
    value = checked.get(name, default)
    assert isinstance(value, (int, float))
    return value


def compare(given: Value, text1: Value, text2: Value) -> Value:
    """How to make `text2` of `text1`: [{operation, text}]."""
    diffs: Diffs = _characters(given).diff_main(text(text1, "text1", MAX_TEXT), text(text2, "text2", MAX_TEXT), False)
    return [{"operation": _KINDS[kind], "text": part} for kind, part in diffs if part]


def patch_make(given: Value, text1: Value, text2: Value) -> Value:
    """The patches that make `text2` of `text1`, each as text."""
    from micro_agi_kernel.lua_modules._text_patch_engine import octets

    old, new = text(text1, "text1", MAX_TEXT), text(text2, "text2", MAX_TEXT)
    return [_patch_text(patch) for patch in _octets(given).patch_make(octets(old), octets(new))]


def patch_apply(given: Value, patches: Value, subject: Value) -> Value:
    """[the text, whether all patches found their place], for patches as text."""
    from micro_agi_kernel.lua_modules._text_patch_engine import octets

    if not isinstance(patches, list):
        raise invalid("patches must be a list")
    found: list[patch_obj] = []
    size = lines = 0
    for one in patches:
        source = text(one, "the text of a patch", MAX_PATCHES)
        size += len(source)
        lines += source.count("\n") + 1
        if size > MAX_PATCHES or lines > MAX_LINES:
            raise invalid(f"the patches are longer than {MAX_PATCHES} characters or {MAX_LINES} lines")
        found += _read_patches(source)
    result, applied = _octets(given).patch_apply(found, octets(text(subject, "text", MAX_TEXT)))
    return [result.encode("latin-1"), all(applied)]


def _patch_text(patch: patch_obj) -> str:
    lines = [f"@@ -{_range(patch.start1, patch.length1)} +{_range(patch.start2, patch.length2)} @@\n"]
    for kind, part in patch.diffs:
        lines.append(_SIGNS[kind] + quote(part.encode("latin-1"), "!~*'();/?:@&=+$,# ") + "\n")
    return "".join(lines)


def _range(start: int, length: int) -> str:
    """1-based, and the length unless it is 1; of nothing the place before it."""
    return f"{start},0" if not length else f"{start + 1}" if length == 1 else f"{start + 1},{length}"


def _read_patches(source: str) -> list[patch_obj]:
    """The inverse of `_patch_text`, for any number of patches. Their lengths are those of their lines."""
    from diff_match_patch import patch_obj

    patches: list[patch_obj] = []
    for line in filter(None, source.split("\n")):
        if header := _HEADER.fullmatch(line):
            patch = patch_obj()
            patch.start1 = int(header[1]) - (header[2] != "0")
            patch.start2 = int(header[3]) - (header[4] != "0")
            patches.append(patch)
            continue
        kind = {"-": -1, " ": 0, "+": 1}.get(line[0])
        if kind is None or not patches:
            raise invalid(f"no patch: {shorten(line)!r}")
        part = unquote_to_bytes(line[1:]).decode("latin-1")
        patches[-1].diffs.append((kind, part))
        patches[-1].length1 += len(part) if kind < 1 else 0
        patches[-1].length2 += len(part) if kind > -1 else 0
    return patches
