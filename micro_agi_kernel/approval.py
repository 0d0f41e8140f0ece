"""Approval: the questions that policies want asked, and their way to the person at the front end.

A question is asked where nothing is locked: before a commit's lock, before a call's process, before a request's turn
on the network. The session's queue of events carries it to the front end, behind all that happened before it; so
several stand one behind the other, and what happens meanwhile is shown after the answer.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TypeAlias

from micro_agi_kernel.entries import Changeset, Entry, EntryId, to_files
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.events import Asked, Event
from micro_agi_kernel.interfaces import Library
from micro_agi_kernel.permissions import Ruling
from micro_agi_kernel.policy import Decision
from micro_agi_kernel.questions import Answer, Question, Subject, not_approved
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.sandbox.call import clock_stopped
from micro_agi_kernel.values import Value

Ask: TypeAlias = Callable[[Question], Awaitable[Answer]]
"""A front end's way to its person; cancelling it takes the question back."""

_HTTP = "http_client"
_READING = "GET/HEAD"
"""Methods that change nothing at a server that keeps to the rules (RFC 9110, 9.2.1)."""
_NAME = r"""[^\s/?#\\"'`<>(){}\[\],;|]"""
_AUTHORITY = re.compile(rf"https?://({_NAME}*\[[0-9a-f:.]+\](?::\d{{1,5}})?|{_NAME}+)", re.IGNORECASE)
_MAX_COMPARED = 1_000_000
"""Lines before times lines after that are compared: the time grows with that, and a model chooses them."""


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
        turn_stopped: Callable[[], AbstractContextManager[None]],
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
            with clock_stopped(), self._turn_stopped():
                answer = await standing.answer
        self._emit(Asked(str(question), question.policies, answer))
        if answer not in ("yes", "always"):
            raise not_approved(question, answer)


def asks_write(asked: Iterable[Ruling], changeset: Changeset, before: Snapshot, asker: str, passed: int) -> Question:
    """May `changeset` be written on top of `before`? `asked` are the parts to ask about; `passed`, tests."""
    asked = tuple(asked)
    entries = [operation.entry for operation in changeset.operations if operation.entry is not None]
    single = entries[0] if len(entries) == 1 else None
    return Question(
        tuple(subject for subject, _ in asked),
        asker,
        _policies(decision for _, decision in asked),
        about=single.text("comment") if single is not None else "",
        diff="".join(_diff(_present(before, each.id), each.entry) for each in changeset.operations),
        modules=tuple(sorted({module for entry in entries for module in entry.modules})),
        hosts=_hosts(entries),
        tests=passed,
    )


def asks_tool(
    asked: Iterable[Ruling],
    entry: Entry,
    asker: str,
    about: str,
    libraries: Iterable[Library] = (),
) -> Question:
    """May a tool be loaded, or called? `asked` is as in `asks_write`; `libraries` are those that it imports."""
    asked = tuple(asked)
    subjects, policies = tuple(subject for subject, _ in asked), _policies(decision for _, decision in asked)
    code = _digest(entry, libraries)
    return Question(subjects, asker, policies, about, modules=entry.modules, hosts=_hosts([entry]), code=code)


def asks_request(entry: Entry, method: str, url: str, decision: Decision) -> Question:
    """May a tool send such requests to the host of `url`, which is in its normal form?

    Reading is one thing, whether by GET or HEAD; what another method does there is asked about by itself.
    """
    scheme, _, rest = url.partition("://")
    methods = _READING if method in _READING.split("/") else method
    subject = ("http_client.request", f"{methods} {scheme}://{rest.partition('/')[0]}")
    return Question((subject,), f"tool:{entry.id}", _policies([decision]), about=f"{method} {url}")


def shown_input(input: Value) -> str:
    """The input of a call, for a question about it."""
    return f"input: {json.dumps(input, ensure_ascii=False, default=repr)}"


def _updates(subjects: Iterable[Subject]) -> Iterator[Subject]:
    """The updates of what is created: the next write of an entry that is there is no other thing."""
    return (("registry.update", resource) for action, resource in subjects if action == "registry.create")


def _digest(entry: Entry, libraries: Iterable[Library]) -> str:
    """Another one for every change of the entry or of a library."""
    files = sorted(to_files(entry).items())
    imported = sorted((library.source, sorted(library.imports.items())) for library in libraries)
    return hashlib.sha256(repr((files, imported)).encode(errors="surrogatepass")).hexdigest()


def _policies(decisions: Iterable[Decision]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(decision.policy) for decision in decisions))


def _hosts(entries: Iterable[Entry]) -> tuple[str, ...] | None:
    asking = [entry for entry in entries if _HTTP in entry.modules]
    if not asking:
        return None
    said = " ".join(f"{entry.source} {json.dumps(entry.data.get('tests'), ensure_ascii=False)}" for entry in asking)
    return tuple(sorted({_host(authority) for authority in _AUTHORITY.findall(said)} - {""}))


def _host(authority: str) -> str:
    """The host and port of what stands in a URL, as ASCII: no letter can pass for another one."""
    host = authority.rpartition("@")[2].rstrip(".:").lower()
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host.encode("ascii", "backslashreplace").decode()


def _present(before: Snapshot, id: EntryId) -> Entry | None:
    with suppress(EntryError):  # what is broken there is written anew
        return before.get(id)
    return None


def _diff(old: Entry | None, new: Entry | None) -> str:
    """The files of an entry, before and after; the source first."""
    before, after = (to_files(entry) if entry is not None else {} for entry in (old, new))
    parts = []
    for name in sorted({*before, *after}, key=lambda name: (not name.endswith(".lua"), name)):
        a, b = (_lines(files.get(name, b"")) for files in (before, after))
        if a != b:
            parts.append(f"--- {name}\n{_changed(a, b)}")
    return "".join(parts)


def _changed(a: list[str], b: list[str]) -> str:
    if not a or not b or len(a) * len(b) > _MAX_COMPARED:
        lines = [*(f"-{line}" for line in a), *(f"+{line}" for line in b)]
    else:
        lines = [*difflib.unified_diff(a, b, lineterm="")][2:]
    return "".join(f"{line}\n" for line in lines)


def _lines(content: bytes) -> list[str]:
    text = content.decode(errors="replace")
    return text.removesuffix("\n").split("\n") if text else []
