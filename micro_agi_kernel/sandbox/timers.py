"""The timers of a child: which is due next."""

from __future__ import annotations

import heapq
import time


class Timers:
    """Timers by id. Starting and stopping one takes logarithmic time on average, and stopped ones take no room."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._due: list[tuple[float, int]] = []
        """A heap of moments and ids; a stopped timer stays until it comes up, or most are stopped ones."""

    def start(self, id: int, seconds: float) -> None:
        """An id is used once."""
        self._running.add(id)
        heapq.heappush(self._due, (time.monotonic() + seconds, id))

    def stop(self, id: int) -> None:
        self._running.discard(id)
        if len(self._due) > 2 * len(self._running) + 16:
            self._due = [timer for timer in self._due if timer[1] in self._running]
            heapq.heapify(self._due)

    def until_next(self) -> float:
        """Seconds until the next one is due: infinity when none runs, 0 or less when it is due."""
        while self._due and self._due[0][1] not in self._running:
            heapq.heappop(self._due)
        return self._due[0][0] - time.monotonic() if self._due else float("inf")

    def take(self) -> int:
        """The id of the next one, which runs no longer. `until_next` was asked just before."""
        _, id = heapq.heappop(self._due)
        self._running.remove(id)
        return id
