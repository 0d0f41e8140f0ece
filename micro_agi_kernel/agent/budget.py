"""The budget: what a session and its running turn have taken, and whether one of their limits is reached."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.events import EntryPublished, Event, Spent, ToolFinished, ToolStarted, UsageReport
from micro_agi_kernel.interfaces import Bounds
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.values import many, money


class LimitReached(MicroAgiError):
    """A setting bounds what the turn, or the session, may take, and that is taken."""


class TimeLimit(LimitReached):
    """The wall time of a turn is over."""


class Budget:
    """Counts what one session takes. Tokens are those that the providers report."""

    def __init__(self, bounds: Bounds, price: Callable[[str, Usage], float]) -> None:
        """`price`: the money for a model's usage, by the model's name."""
        self.bounds = bounds
        self._price = price
        self._by_model: dict[str, Spent] = {}
        self._turn = Spent()
        self._since_commit = Spent()
        self._started = time.monotonic()
        self._clock: asyncio.Timeout | None = None
        self._stops = 0
        self._left: float | None = None
        self._stopped = 0.0
        """When the first of the questions that stand was asked."""
        self._thought = 0.0
        """Seconds of the turn for which a person was asked, until then."""
        self._begun: dict[str, float] = {}
        """By the id of a call that runs: how long the person had been asked when it began."""

    @property
    def by_model(self) -> dict[str, Spent]:
        """What the session took, by the names of its models; time is not counted."""
        return dict(self._by_model)

    def add(self, by_model: Mapping[str, Spent]) -> None:
        """Count what another session took too: this one goes on with its conversation."""
        for model, spent in by_model.items():
            self._by_model[model] = self._by_model.get(model, Spent()) + spent

    @property
    def session(self) -> Spent:
        """What the session took; time is not counted."""
        return sum(self._by_model.values(), start=Spent())

    @property
    def turn(self) -> Spent:
        """What the turn took until now; the time for which a person was asked is nobody's."""
        return replace(self._turn, seconds=time.monotonic() - self._started - self._asked_for())

    @property
    def since_commit(self) -> Spent:
        """What the turn took since it last wrote to the registry, or since it began; time is not counted."""
        return self._since_commit

    def begin_turn(self) -> None:
        self._turn, self._since_commit, self._started = Spent(), Spent(), time.monotonic()
        self._clock, self._left, self._thought = None, None, 0.0
        self._begun.clear()

    def turn_clock(self) -> asyncio.Timeout:
        """A new clock, which raises TimeoutError after the seconds that a turn may take."""
        self._clock = asyncio.timeout(self.bounds.seconds or None)
        return self._clock

    @asynccontextmanager
    async def clock_stopped(self) -> AsyncIterator[None]:
        """The clock of the turn stands still, while a person is asked; several may ask at once."""
        if not self._stops:
            self._stop_clock()
        self._stops += 1
        try:
            yield
        finally:
            self._stops -= 1
            if not self._stops:
                self._start_clock()

    def _asked_for(self) -> float:
        """Seconds of the turn for which a person was asked, until now."""
        return self._thought + (time.monotonic() - self._stopped if self._stops else 0.0)

    def _stop_clock(self) -> None:
        self._stopped, clock = time.monotonic(), self._clock
        if clock is not None and not clock.expired() and (end := clock.when()) is not None:
            self._left = end - asyncio.get_running_loop().time()
            clock.reschedule(None)

    def _start_clock(self) -> None:
        self._thought += time.monotonic() - self._stopped
        if self._clock is not None and self._left is not None:
            self._clock.reschedule(asyncio.get_running_loop().time() + self._left)
            self._left = None

    def count(self, event: Event) -> Event:
        """`event`; a report of usage is counted, and comes back with its cost.

        The end of a call comes back without the time for which a person was asked meanwhile.
        """
        if isinstance(event, EntryPublished):
            self._since_commit = Spent()
        if isinstance(event, ToolStarted):
            self._begun[event.call_id] = self._asked_for()
        if isinstance(event, ToolFinished) and (before := self._begun.pop(event.call_id, None)) is not None:
            return replace(event, seconds=max(0.0, event.seconds - (self._asked_for() - before)))
        if not isinstance(event, UsageReport):
            return event
        event = replace(event, cost=self._price(event.model, event.usage))
        step = Spent(1, event.usage, event.cost)
        self._turn += step
        self._since_commit += step
        self._by_model[event.model] = self._by_model.get(event.model, Spent()) + step
        return event

    def check(self) -> None:
        """Raise LimitReached when no further model step may be made."""
        if line := self.reached():
            raise LimitReached(line)

    @property
    def steps_left(self) -> float:
        """Requests that the turn may still make."""
        return self.bounds.steps - self._turn.steps if self.bounds.steps else math.inf

    @property
    def time_line(self) -> str:
        """What happened to a turn whose time is over."""
        return f"stopped after {self.bounds.seconds:g} s (setting limits.seconds)"

    def reached(self) -> str | None:
        """Why no further model step may be made, in one line that names the setting; None when one may."""
        bounds, turn, session = self.bounds, self._turn, self.session
        again, anew = "ask again to go on", "start a new session, or raise it with %set"
        if 0 < bounds.session_cost <= session.cost:
            took, most = money(session.cost), money(bounds.session_cost)
            return f"this session took {took} of {most} (setting limits.session_cost); {anew}"
        if 0 < bounds.session_tokens <= session.tokens:
            took, most = f"{session.tokens:,}", f"{bounds.session_tokens:,}"
            return f"this session took {took} of {most} tokens (setting limits.session_tokens); {anew}"
        if 0 < bounds.cost <= turn.cost:
            return f"stopped after {money(turn.cost)} (setting limits.cost); {again}"
        if 0 < bounds.tokens <= turn.tokens:
            return f"stopped after {turn.tokens:,} tokens (setting limits.tokens); {again}"
        if self.steps_left <= 0:
            return f"stopped after {many(turn.steps, 'step')} (setting limits.steps); {again}"
        return None
