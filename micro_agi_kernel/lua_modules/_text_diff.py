"""Differences of two texts and patches, for the Lua module `text`: options, and patches as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.lua_modules._arguments import invalid, text
from micro_agi_kernel.lua_modules._arguments import options as checked_options
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
MAX_STEPS = 4 * STEPS_PER_SECOND
MAX_WORK = 20_000_000
"""Units of work for patches (see Octets): some seconds at the worst."""

_OPTIONS: dict[str, tuple[float, float, float]] = {
    "diff_timeout": (1.0, 0, 3600),
    "diff_edit_cost": (4, 0, 1 << 15),
    "match_threshold": (0.5, 0, 1),
    "match_distance": (1000, 0, 1 << 31),
    "patch_delete_threshold": (0.5, 0, 1),
    "patch_margin": (4, 0, 15),
}
"""Default, least and most. The library cuts patches into 32 bytes: with margins of 16 at both ends it would never get
on."""
_WHOLE = ("diff_edit_cost", "match_distance", "patch_margin")

_KINDS = {-1: "delete", 0: "equal", 1: "insert"}
_SIGNS = {-1: "-", 0: " ", 1: "+"}
_HEADER = re.compile(r"@@ -([0-9]{1,15})(?:,([0-9]{1,15}))? \+([0-9]{1,15})(?:,([0-9]{1,15}))? @@")


def options(given: Value) -> Value:
    """All options, those that are `given` checked."""
    return {**_settings(given)}


def _settings(given: Value) -> dict[str, float]:
    """A whole number of 0 stands for the default, as in the reference."""
    found = checked_options(given, _OPTIONS)
    settings: dict[str, float] = {}
    for name, (default, low, high) in _OPTIONS.items():
        value = found.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise invalid(f"{name} must be a number")
        if not low <= value <= high:
            raise invalid(f"{name} must be from {low:g} to {high:g}")
        if name in _WHOLE:
            if value != int(value):
                raise invalid(f"{name} must be an integer")
            value = value or default
        settings[name] = value
    return settings


def _characters(settings: Mapping[str, float]) -> Characters:
    from micro_agi_kernel.lua_modules._text_diff_engine import Characters

    seconds = settings["diff_timeout"]
    engine = Characters(min(int(seconds * STEPS_PER_SECOND), MAX_STEPS) if seconds else MAX_STEPS)
    engine.Diff_Timeout = seconds  # 0 is for ever, so it takes no short cut that could miss the shortest answer
    return engine


def _octets(settings: Mapping[str, float]) -> Octets:
    from micro_agi_kernel.lua_modules._text_patch_engine import Octets

    engine = Octets(_characters(settings), MAX_WORK)
    engine.Diff_EditCost = int(settings["diff_edit_cost"])
    engine.Match_Threshold = settings["match_threshold"]
    engine.Match_Distance = int(settings["match_distance"])
    engine.Patch_DeleteThreshold = settings["patch_delete_threshold"]
    engine.Patch_Margin = int(settings["patch_margin"])
    return engine


def compare(given: Value, text1: Value, text2: Value) -> Value:
    """How to make `text2` of `text1`: [{operation, text}]."""
    diffs: Diffs = _characters(_settings(given)).diff_main(
        text(text1, "text1", MAX_TEXT), text(text2, "text2", MAX_TEXT), False
    )
    return [{"operation": _KINDS[kind], "text": part} for kind, part in diffs if part]


def patch_make(given: Value, text1: Value, text2: Value) -> Value:
    """The patches that make `text2` of `text1`, each as text."""
    from micro_agi_kernel.lua_modules._text_patch_engine import octets

    old, new = text(text1, "text1", MAX_TEXT), text(text2, "text2", MAX_TEXT)
    return [_patch_text(patch) for patch in _octets(_settings(given)).patch_make(octets(old), octets(new))]


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
    result, applied = _octets(_settings(given)).patch_apply(found, octets(text(subject, "text", MAX_TEXT)))
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
