"""Patches with diff-match-patch as the reference's library makes and applies them, and bounds for what may take long.

Their positions count the bytes of UTF-8. So a text here has one character, U+0000 to U+00FF, for each of its bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from diff_match_patch import diff_match_patch, patch_obj

from micro_agi_kernel.lua_modules._arguments import invalid
from micro_agi_kernel.lua_modules._text_diff_engine import DELETE, EQUAL, INSERT, Characters, Diffs, to_bytes, to_text


class Octets(diff_match_patch):  # type: ignore[misc]  # the library has no types
    """Makes and applies patches, in at most `work` units; raises Refused when that is spent.

    A unit is a fraction of a microsecond: a step of the fuzzy search, or some dozen bytes searched or copied.
    """

    def __init__(self, characters: Characters, work: int) -> None:
        super().__init__()
        self._characters = characters
        self._work = work

    def _spend(self, units: int) -> None:
        self._work -= units
        if self._work < 0:
            raise invalid("too much work: the text and its patches are too large together")

    def diff_main(self, text1: str, text2: str, checklines: bool = True, deadline: float | None = None) -> Diffs:
        self._spend(len(text1) + len(text2))
        diffs = self._characters.diff_main(characters(text1), characters(text2), checklines)
        return [(kind, octets(text)) for kind, text in diffs]

    def diff_cleanupSemantic(self, diffs: Diffs) -> None:
        self._in_characters(self._characters.diff_cleanupSemantic, diffs)

    def diff_cleanupSemanticLossless(self, diffs: Diffs) -> None:
        self._in_characters(self._characters.diff_cleanupSemanticLossless, diffs)

    def diff_cleanupMerge(self, diffs: Diffs) -> None:
        self._in_characters(self._characters.diff_cleanupMerge, diffs)

    def _in_characters(self, cleanup: Callable[[Diffs], None], diffs: Diffs) -> None:
        inner = [(kind, characters(text)) for kind, text in diffs]
        cleanup(inner)
        diffs[:] = [(kind, octets(text)) for kind, text in inner]

    def diff_levenshtein(self, diffs: Diffs) -> int:
        distance: int = super().diff_levenshtein([(kind, characters(text)) for kind, text in diffs])
        return distance

    def diff_xIndex(self, diffs: Diffs, loc: int) -> int:
        """Where the place `loc` of the first text lies in the second; the library errs behind a deletion at the end."""
        before = after = 0
        for kind, text in diffs:
            size1, size2 = len(text) * (kind != INSERT), len(text) * (kind != DELETE)
            if before + size1 > loc:
                return after if kind == DELETE else after + loc - before
            before, after = before + size1, after + size2
        return after + loc - before

    def patch_addContext(self, patch: patch_obj, text: str) -> None:
        self._spend(1 + len(text) // 64)
        super().patch_addContext(patch, text)

    def patch_splitMax(self, patches: list[patch_obj]) -> None:
        """As inherited, where a patch that is split keeps as many behind it from being looked at."""
        split: list[patch_obj] = []
        for patch in patches:
            old = [(kind, len(text)) for kind, text in patch.diffs if kind != INSERT]
            # A deletion that is longer than two pieces goes as one.
            cut = sum(size for kind, size in old if kind == EQUAL or size <= 2 * self.Match_MaxBits)
            pieces = cut // (self.Match_MaxBits - 2 * self.Patch_Margin) + len(patch.diffs)
            self._spend(pieces * (sum(size for _, size in old) // 1024 + len(patch.diffs) // 4))
            parts = [patch]
            super().patch_splitMax(parts)
            split += parts
        patches[:] = split

    def match_main(self, text: str, pattern: str, loc: int) -> int:
        self._spend(1 + len(text) // 256)
        place: int = super().match_main(text, pattern, loc)
        return place

    def match_bitap(self, text: str, pattern: str, loc: int) -> int:
        reach = min(len(text), 2 * math.ceil(self.Match_Threshold * self.Match_Distance) + len(pattern))
        self._spend(len(pattern) * (reach + len(text) // 256))
        place: int = super().match_bitap(text, pattern, loc)
        return place


def octets(text: str) -> str:
    """One character for each byte of `text`."""
    return to_bytes(text).decode("latin-1")


def characters(text: str) -> str:
    """The inverse of `octets`."""
    return to_text(text.encode("latin-1"))
