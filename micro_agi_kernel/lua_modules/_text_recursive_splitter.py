"""Long texts in chunks, cut at separators; and what both splitters of the Lua module `text` share."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.lua_modules._arguments import invalid
from micro_agi_kernel.values import GO_SPACE

MAX_OUTPUT = 8 * MIB
"""Characters of all chunks together, with CHUNK for each: overlaps and repeated headings may multiply a text."""
CHUNK = 8


class Budget:
    """What one call may give out."""

    def __init__(self) -> None:
        self._left = MAX_OUTPUT

    def spend(self, size: int) -> None:
        """Raises Refused when nothing is left."""
        self._left -= size + CHUNK
        if self._left < 0:
            raise invalid(f"the chunks are larger than {MAX_OUTPUT >> 20} MiB together: repeat less")


@dataclass(frozen=True, slots=True)
class Sizes:
    """In characters."""

    chunk: int
    overlap: int


def split_recursive(
    source: str, separators: Sequence[str], sizes: Sizes, budget: Budget, *, keep: bool = False
) -> list[str]:
    """Chunks of `source`, cut at the first separator that it has, where that is too long at the next one, and so on.

    Pieces that fit are put together again up to the size of a chunk; one that no separator cuts stays too long. With
    `keep` a separator stays at the head of the piece behind it.
    """
    at = next((at for at, separator in enumerate(separators) if separator in source), None)
    separator, finer = (separators[-1], ()) if at is None else (separators[at], separators[at + 1 :])
    if not separator and sizes.chunk > 1:
        return _windows(source, sizes, budget)
    pieces = source.split(separator) if separator else list(source)
    if keep:
        pieces[1:] = [separator + piece for piece in pieces[1:]]
        separator = ""
    chunks: list[str] = []
    fitting: list[str] = []
    for piece in pieces:
        if len(piece) < sizes.chunk:
            fitting.append(piece)
            continue
        chunks += _merged(fitting, separator, sizes, budget)
        fitting = []
        if finer:
            chunks += split_recursive(piece, finer, sizes, budget, keep=keep)
        else:
            budget.spend(len(piece))
            chunks.append(piece)
    return chunks + _merged(fitting, separator, sizes, budget)


def _merged(pieces: Iterable[str], separator: str, sizes: Sizes, budget: Budget) -> list[str]:
    """`pieces` joined to chunks, each of which begins with as many of the last ones as the overlap holds."""
    chunks: list[str] = []
    current: deque[str] = deque()
    total, gap = 0, len(separator)

    def close() -> None:
        budget.spend(total)
        if chunk := separator.join(current).strip(GO_SPACE):
            chunks.append(chunk)

    for piece in pieces:
        size = len(piece)
        if current and total + gap + size > sizes.chunk:
            close()
            while current and (
                total > sizes.overlap or (total > 0 and total + size + gap * (len(current) > 1) > sizes.chunk)
            ):
                total -= len(current.popleft())
                total -= gap if current else 0
        total += size + (gap if current else 0)
        current.append(piece)
    if current:
        close()
    return chunks


def _windows(source: str, sizes: Sizes, budget: Budget) -> list[str]:
    """What `_merged` makes of single characters."""
    chunks = []
    step = sizes.chunk - min(sizes.overlap, sizes.chunk - 1)
    for start in range(0, max(len(source) - sizes.chunk + step, 1), step):
        window = source[start : start + sizes.chunk]
        budget.spend(len(window))
        if chunk := window.strip(GO_SPACE):
            chunks.append(chunk)
    return chunks
