"""Approval: a question's way to the person at the front end, and what the person has said yes to for the session.

A question is asked where nothing is locked: before a commit's lock, before a call's process, before a request's turn
on the network. The session's queue of events carries it to the front end, behind all that happened before it; so
several stand one behind the other, and what happens meanwhile is shown after the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

from micro_agi_kernel.events import Asked, Event
from micro_agi_kernel.questions import Answer, Question, Subject, not_approved
from micro_agi_kernel.sandbox.call import clock_stopped

Ask: TypeAlias = Callable[[Question], Awaitable[Answer]]
"""A front end's way to its person; cancelling it takes the question back."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A question that stands until the front end has an answer, or whoever asked has gone."""

    question: Question
    answer: asyncio.Future[Answer]

    async def settle(self, ask: Ask, always: set[Subject]) -> None:
        """Get the answer, unless one for the whole session is in `always`, which gets a new one."""
        wanted = set(self.question.covers)
        if self.answer.done():
            return
        if wanted <= always:
            self._give("always")
            return
        asking = asyncio.ensure_future(ask(self.question))
        try:
            await asyncio.wait({asking, self.answer}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                if (answer := asking.result()) == "always":
                    always |= {*wanted, *_updates(wanted)}
                self._give(answer)
        finally:
            if asking.cancel():
                await asyncio.wait({asking})

    def _give(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class Approvals:
    """The Approver of one turn."""

    def __init__(
        self,
        pass_on: Callable[[Standing], None] | None,
        always: set[Subject],
        emit: Callable[[Event], None],
        turn_stopped: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        """`pass_on` brings a question to the front end, None: that has nobody to ask. `always` is what the person
        has said yes to for the whole session. `turn_stopped` stops the clock of the turn."""
        self._pass_on = pass_on
        self._always = always
        self._emit = emit
        self._turn_stopped = turn_stopped

    async def approve(self, question: Question) -> None:
        """See interfaces.Approver."""
        if self._always.issuperset(question.covers):
            return
        answer: Answer = "nobody"
        if self._pass_on is not None:
            standing = Standing(question, asyncio.get_running_loop().create_future())
            self._pass_on(standing)
            with clock_stopped():
                async with self._turn_stopped():
                    answer = await standing.answer
        self._emit(Asked(str(question), question.policies, answer))
        if answer not in ("yes", "always"):
            raise not_approved(question, answer)


def _updates(subjects: Iterable[Subject]) -> Iterator[Subject]:
    """The updates of what is created: the next write of an entry that is there is no other thing."""
    return (("registry.update", resource) for action, resource in subjects if action == "registry.create")
