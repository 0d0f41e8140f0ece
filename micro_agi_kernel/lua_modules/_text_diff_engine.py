"""Comparing texts with diff-match-patch as the reference's library does it: where the two ports differ, and bounds.

Where the library looks at the clock, ours counts steps, so that the same texts give the same answer on any machine.
"""

from __future__ import annotations

from typing import TypeAlias

from diff_match_patch import diff_match_patch

Diffs: TypeAlias = list[tuple[int, str]]
"""-1 deleted, 0 equal, 1 inserted; and the text. A byte that is no UTF-8 is a lone surrogate, as Python writes it."""

DELETE, EQUAL, INSERT = -1, 0, 1

MAX_SWEEPS = 100
"""Sweeps over the differences until no edit can be moved; ordinary texts take up to three."""


class _OutOfSteps(Exception):
    """Looking for a common half has become too expensive."""


class Characters(diff_match_patch):  # type: ignore[misc]  # the library has no types
    """Compares texts character by character, in at most `steps`; then it gives a right answer, if not the shortest."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps
        self._halving = False

    def diff_bisect(self, text1: str, text2: str, deadline: float) -> Diffs:
        """Split the problem where a shortest edit has its middle (Myers 1986), as far as the steps reach."""
        middle = self._middle(text1, text2)
        if middle is None:
            return [(DELETE, text1), (INSERT, text2)]
        found: Diffs = self.diff_bisectSplit(text1, text2, *middle, deadline)
        return found

    def _middle(self, text1: str, text2: str) -> tuple[int, int] | None:
        """Where to cut both texts; None when they have nothing in common, or nothing that the steps would find."""
        rows = (len(text1) + len(text2) + 1) // 2
        delta = len(text1) - len(text2)
        ends = _End(text1, text2, rows), _End(text1[::-1], text2[::-1], rows)
        for row in range(rows):
            for number, end in enumerate(ends):
                # Where the lengths differ by an odd number it is the path from the front that meets the other one.
                other = ends[1 - number] if delta % 2 != number else None
                met, steps = end.advance(row, other, delta)
                self._steps -= steps
                if met is not None:
                    diagonal = met if number == 0 else delta - met
                    x = ends[0].reached(diagonal)
                    return x, x - diagonal
            if self._steps < 0:
                return None
        return None

    def diff_halfMatch(self, text1: str, text2: str) -> tuple[str, str, str, str, str] | None:
        """As inherited, but a text that repeats itself is not tried at each of its repetitions for ever."""
        self._halving = True
        try:
            found: tuple[str, str, str, str, str] | None = super().diff_halfMatch(text1, text2)
            return found
        except _OutOfSteps:
            return None
        finally:
            self._halving = False

    def diff_commonPrefix(self, text1: str, text2: str) -> int:
        if self._halving:  # one more place is tried: these texts were copied, and will be compared
            self._steps -= 1 + (len(text1) + len(text2)) // 256
            if self._steps < 0:
                raise _OutOfSteps
        length: int = super().diff_commonPrefix(text1, text2)
        return length

    def diff_cleanupMerge(self, diffs: Diffs) -> None:
        """Join neighbours of a kind, and move edits so that fewer equalities are left, until nothing changes.

        The library drops an edit of which nothing is left; the reference keeps it, and moves its neighbours otherwise.
        """
        for _ in range(MAX_SWEEPS):
            diffs[:] = self._joined(diffs)
            if not _move_over_equalities(diffs):
                break

    def _joined(self, diffs: Diffs) -> Diffs:
        """What lies between two equalities as one deletion and one insertion, less what both have in common."""
        joined: Diffs = []
        edits: dict[int, list[str]] = {}
        for kind, text in [*diffs, (EQUAL, "")]:
            if kind != EQUAL:
                edits.setdefault(kind, []).append(text)
                continue
            common = ""
            if len(edits) == 2:
                common, edits[DELETE], edits[INSERT], text = self._factored(edits[DELETE], edits[INSERT], text)
            if common or not edits:
                if joined:
                    common = joined.pop()[1] + common
                joined.append((EQUAL, common if edits else common + text))
            for edit in (DELETE, INSERT):
                if edit in edits:
                    joined.append((edit, "".join(edits[edit])))
            if edits:
                joined.append((EQUAL, text))
            edits = {}
        if not joined[-1][1]:
            joined.pop()
        return joined

    def _factored(self, deleted: list[str], inserted: list[str], after: str) -> tuple[str, list[str], list[str], str]:
        """What both begin with, what is left of each, and what both end with, put before the equality `after`."""
        old, new = "".join(deleted), "".join(inserted)
        length = self.diff_commonPrefix(new, old)
        common, old, new = new[:length], old[length:], new[length:]
        length = self.diff_commonSuffix(new, old)
        cut = len(new) - length
        return common, [old[: len(old) - length]], [new[:cut]], new[cut:] + after

    def diff_cleanupSemantic(self, diffs: Diffs) -> None:
        super().diff_cleanupSemantic(diffs)  # it finds no overlap, see diff_commonOverlap
        self._extract_overlaps(diffs)

    def diff_commonOverlap(self, text1: str, text2: str) -> int:
        return 0  # `_extract_overlaps` looks for them

    def _extract_overlaps(self, diffs: Diffs) -> None:
        """Make an equality of what ends a deletion and begins the insertion behind it, or the other way round.

        The library does it too, in characters. The reference measures the overlap in bytes and the edits in
        characters, and finds more of them in texts beyond ASCII.
        """
        at = 1
        while at < len(diffs):
            (kind, deleted), (next_kind, inserted) = diffs[at - 1], diffs[at]
            if (kind, next_kind) == (DELETE, INSERT):
                old, new = to_bytes(deleted), to_bytes(inserted)
                forward, backward = _overlap(old, new), _overlap(new, old)
                length = max(forward, backward)
                if length and 2 * length >= min(len(deleted), len(inserted)):
                    if forward >= backward:
                        edits = [(DELETE, old[:-length]), (EQUAL, new[:length]), (INSERT, new[length:])]
                    else:
                        edits = [(INSERT, new[:-length]), (EQUAL, old[:length]), (DELETE, old[length:])]
                    diffs[at - 1 : at + 1] = [(kind, to_text(data)) for kind, data in edits]
                    at += 1
                at += 1
            at += 1

    def diff_cleanupSemanticLossless(self, diffs: Diffs) -> None:
        """Move each edit between two equalities to the best boundary: of lines, sentences, words.

        The library copies the texts for each character that it moves: quadratic. And the reference counts the way
        back in characters and goes it in bytes.
        """
        at = 1
        while at < len(diffs) - 1:
            if diffs[at - 1][0] == EQUAL == diffs[at + 1][0]:
                before, edit, after = (to_bytes(text) for _, text in diffs[at - 1 : at + 2])
                back: int = super().diff_commonSuffix(diffs[at - 1][1], diffs[at][1])
                shift = _best_shift(before, edit, after, back)
                if shift:
                    whole = before + edit + after
                    start, stop = len(before) + shift, len(before) + len(edit) + shift
                    moved = [(EQUAL, whole[:start]), (diffs[at][0], whole[start:stop]), (EQUAL, whole[stop:])]
                    kept = [(kind, to_text(data)) for kind, data in moved if data]
                    diffs[at - 1 : at + 2] = kept
                    at -= 3 - len(kept)
            at += 1


def _move_over_equalities(diffs: Diffs) -> bool:
    """A<ins>BA</ins>C is <ins>AB</ins>AC, and A<ins>CB</ins>C is AC<ins>BC</ins>; gives whether there was any."""
    moved = False
    at = 1
    while at < len(diffs) - 1:
        (kind_before, before), (kind, edit), (kind_after, after) = diffs[at - 1 : at + 2]
        if kind_before == EQUAL == kind_after:
            if edit.endswith(before):
                rest = edit[: len(edit) - len(before)]
                diffs[at - 1 : at + 2] = [(kind, before + rest), (EQUAL, before + after)]
                moved = True
            elif edit.startswith(after):
                diffs[at - 1 : at + 2] = [(EQUAL, before + after), (kind, edit[len(after) :] + after)]
                moved = True
        at += 1
    return moved


class _End:
    """The furthest points that paths from one end of two texts reach, by diagonal."""

    def __init__(self, text1: str, text2: str, rows: int) -> None:
        self._texts = text1, text2
        self._origin = rows + 1
        self._reached = [-1] * (2 * rows + 3)
        self._reached[self._origin + 1] = 0
        self._low = self._high = 0  # how many diagonals below and above have left the texts

    def reached(self, diagonal: int) -> int:
        """The place in the first text, -1 where no path has come."""
        place = self._origin + diagonal
        return self._reached[place] if 0 <= place < len(self._reached) else -1

    def advance(self, row: int, other: _End | None, delta: int) -> tuple[int | None, int]:
        """Take one edit more; gives the diagonal on which a path meets one of `other`, if any, and the steps taken."""
        (text1, text2), reached = self._texts, self._reached
        length1, length2 = len(text1), len(text2)
        steps, diagonal = 0, self._low - row
        while diagonal <= row - self._high:
            place = self._origin + diagonal
            if diagonal == -row or (diagonal != row and reached[place - 1] < reached[place + 1]):
                x = reached[place + 1]
            else:
                x = reached[place - 1] + 1
            y = start = x - diagonal
            while x < length1 and y < length2 and text1[x] == text2[y]:
                x += 1
                y += 1
            steps += 1 + y - start
            reached[place] = x
            if x > length1:
                self._high += 2
            elif y > length2:
                self._low += 2
            elif other and (rest := other.reached(delta - diagonal)) != -1 and x + rest >= length1:
                return diagonal, steps
            diagonal += 2
        return None, steps


def to_bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def to_text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _overlap(left: bytes, right: bytes) -> int:
    """The length of the longest end of `left` that begins `right` (Knuth, Morris, Pratt: linear)."""
    pattern = right[: len(left)]
    left = left[len(left) - len(pattern) :]
    if not pattern:
        return 0
    borders = [0]  # by length - 1: the longest proper prefix of pattern[:length] that also ends it
    length = 0
    for byte in pattern[1:]:
        while length and byte != pattern[length]:
            length = borders[length - 1]
        length += byte == pattern[length]
        borders.append(length)
    length = 0
    for byte in left:
        if length == len(pattern) or byte != pattern[length]:
            while length and (length == len(pattern) or byte != pattern[length]):
                length = borders[length - 1]
        length += byte == pattern[length]
    return length


def _best_shift(before: bytes, edit: bytes, after: bytes, back: int) -> int:
    """By how many bytes to move `edit` (below 0: back), at most `back` back and as far on as the texts allow."""
    whole = before + edit + after
    start, stop = len(before) - back, len(before) + len(edit) - back
    best = _boundary(whole, 0, start, stop) + _boundary(whole, start, stop, len(whole))
    best_start = start
    while start < stop < len(whole):
        size = _width(whole[start : min(start + 4, stop)])
        if whole[start : start + size] != whole[stop : stop + size]:
            break
        start, stop = start + size, stop + size
        score = _boundary(whole, 0, start, stop) + _boundary(whole, start, stop, len(whole))
        if score >= best:
            best, best_start = score, start
    return best_start - len(before)


def _width(data: bytes) -> int:
    """Bytes of the first character of `data`, one for a byte that begins none."""
    return 1 if data[0] < 0x80 else len(to_bytes(to_text(data)[0]))


_EMPTY_LINE = (b"\n\n", b"\n\r\n")
_SPACE, _BREAK = b"\t\n\f\r ", b"\r\n"


def _boundary(whole: bytes, low: int, at: int, high: int) -> int:
    """How good a boundary lies at `at` between low and high: 6 is an end, 5 an empty line, 4 a line, 3 a sentence ...

    On the right the reference looks for the empty line at the end, not at the beginning, and so do we.
    """
    if at in (low, high):
        return 6
    left, right = whole[at - 1 : at], whole[at : at + 1]
    if left in _BREAK and whole[max(low, at - 3) : at].endswith(_EMPTY_LINE):
        return 5
    if right in _BREAK and whole[max(at, high - 3) : high].endswith(_EMPTY_LINE):
        return 5
    if left in _BREAK or right in _BREAK:
        return 4
    if left in _SPACE or right in _SPACE:
        return 3 if left not in _SPACE and not left.isalnum() else 2
    return 0 if left.isalnum() and right.isalnum() else 1
