"""What a notebook shows beside answers, as HTML: a tool's call, a commit, a line, a question.

Pure functions: data in, HTML out. Outputs of a notebook are trusted, so whatever comes in is escaped here. There is no
script in it, and only what is native folds: it is used with the keyboard, and read by a screen reader. A status is a
word and a sign, its colour comes third.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import islice
from typing import Literal

from micro_agi_kernel.entries import Operation
from micro_agi_kernel.events import DiffShown, EntryPublished
from micro_agi_kernel.frontends.jupyter.highlight import diff_html, lua_html
from micro_agi_kernel.frontends.jupyter.theme import block, frame, inline
from micro_agi_kernel.frontends.text import Tone, one_line, plain
from micro_agi_kernel.values import Json, head_and_tail, short_commit, shorten, shown_json

VALUE = 4_000
"""Characters of a call's arguments, and of its result, that are shown."""

OPEN_LINES = 40
"""A commit with so many lines of code or fewer is shown unfolded."""

SOURCES = 10
"""Entries of a commit whose sources are shown."""

SEVERAL, TEXTS = 2, 5
"""Line ends of a text that is shown as text, not as JSON, and how many such texts of one object are."""

_HINT = 80
"""Characters of a call's arguments on its line."""

Status = Literal["running", "ok", "error", "interrupted"]

_SIGNS: Mapping[Status, tuple[str, str]] = {
    "running": ("◌", "dim"),
    "ok": ("✓", "ok"),
    "error": ("✗", "bad"),
    "interrupted": ("■", "dim"),
}
"""The sign beside the word of a status, and its class."""


@dataclass(slots=True)
class Call:
    """A tool's call as far as it is known. All text of it is hostile but `progress`."""

    name: str
    arguments: str = ""
    status: Status = "running"
    why: str = ""
    seconds: float | None = None
    output: str = ""
    progress: str = ""
    """HTML that is safe."""
    value: Json = None
    loaded: list[str] = field(default_factory=list)
    """Ids of what it brought to the agent."""
    by_person: bool = False
    """A cell made it, not the agent."""


def call_card(call: Call) -> str:
    """One line, which opens to what the call was given, showed and gave; it is open while the call runs.

    A person's own call has what it printed and stays open: the rest stands in its cell and below it.
    """
    inside = "".join(_inside(call))
    if not inside:
        return frame(f"<div>{_call_line(call)}</div>")
    is_open = call.status == "running" or call.by_person
    return frame(
        f"<details{' open' if is_open else ''}><summary>{_call_line(call)}</summary>"
        f'<div class="in">{inside}</div></details>'
    )


def more_calls(calls: Sequence[Call], before: int) -> str:
    """The lines of many calls, without what is inside; `before` more are not shown."""
    lines = "".join(f"<li>{_call_line(call)}</li>" for call in calls)
    return frame(
        f"<details open><summary>{before + len(calls):,} more calls of this cell"
        f"{f', the first {before:,} not shown' if before else ''}</summary><ul>{lines}</ul></details>"
    )


def _call_line(call: Call) -> str:
    """Sign, name, status, duration, and what is worth a look without opening it."""
    sign, kind = _SIGNS[call.status]
    role = ' role="status"' if call.status == "running" else ""
    parts = [
        f'<span class="w {kind}" aria-hidden="true">{sign}</span>',
        f'<code class="w">{inline(call.name)}</code>',
        f'<span class="w {kind}"{role}>{call.status}</span>',
    ]
    if call.seconds is not None:
        parts.append(f'<span class="dim">{_duration(call.seconds)}</span>')
    if call.status == "error":
        parts.append(f'<span class="bad">{inline(call.why)}</span>')
    elif hint := _hint(call.arguments):
        parts.append(f'<span class="dim">{escape(hint)}</span>')
    parts += [f'<span class="w">+ <code>{inline(id)}</code></span>' for id in call.loaded]
    return " ".join(parts)


def commit_card(event: EntryPublished) -> str:
    """A commit: its line opens to what policies and tests said, and to the code that is new or changed."""
    facts = [inline(_policy(event.policy))] if event.policy else []
    if any(each.entry is not None for each in event.operations):  # of what is deleted none run
        facts += [f"tests: {event.tests} passed" if event.tests else "tests: none"]
    modules = dict.fromkeys(m for each in event.operations if each.entry is not None for m in each.entry.modules)
    facts += [f"modules: {inline(', '.join(modules))}"] if modules else []
    said = f"<p>{' · '.join(facts)}</p>" if facts else ""
    sources = [each for each in event.operations if each.entry is not None and each.entry.source][:SOURCES]
    blocks = [_diff(event.diff)] if event.diff else []
    blocks += [_source(each, folded=each.action != "create") for each in sources]
    if missing := sum(each.entry is not None for each in event.operations) - len(sources):
        blocks += [f"<p>{missing:,} more entries without code, or not shown</p>"] if sources else []
    new = [each.entry.source for each in sources if each.action == "create" and each.entry and each.entry.source]
    lines = sum(text.count("\n") + 1 for text in (event.diff, *new) if text)
    return frame(
        f"<details{' open' if 0 < lines <= OPEN_LINES else ''}><summary><span>commit</span> "
        f'<code class="w">{inline(short_commit(event.commit))}</code> {inline(event.subject)}</summary>'
        f'<div class="in">{said}{"".join(blocks)}</div></details>'
    )


def _policy(trailer: str) -> str:
    """What a commit's `Policy:` says, for people: `undefined` is the word where none of those asked speaks of it."""
    asked = trailer.removeprefix("undefined ")
    return f"policy: {trailer}" if asked == trailer else f"no policy speaks of it: permitted {asked}"


def diff_card(event: DiffShown) -> str:
    """What differs between two revisions: all of it unfolded, since it was asked for."""
    changes = [
        f"<details open><summary>{inline(each.action.capitalize())} "
        f'<code class="w">{inline(each.name)}</code></summary><div class="in">{_diff(each.diff)}</div></details>'
        for each in event.changes
    ]
    more = f"<p>There is more: <code>{inline(event.all_of_it)}</code> shows all of it.</p>" if event.all_of_it else ""
    return frame("".join(changes) + more)


def line_html(text: str, tone: Tone) -> str:
    """A line of ours."""
    return frame(f'<div role="note" class="{"dim" if tone == "dim" else "in"}">{inline(text)}</div>')


def question_html(text: str) -> str:
    """What the person is asked, in lines of `question_text`."""
    lines = "\n".join(_question_line(line) for line in plain(text).removesuffix("\n").split("\n"))
    return frame(
        f'<pre tabindex="0" role="region" aria-label="What you are asked to approve"><code>{lines}</code></pre>'
    )


def _duration(seconds: float) -> str:
    """`12 ms`, `3.4 s`."""
    return f"{seconds:,.1f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"


def _question_line(line: str) -> str:
    bar, sign = line[:4], line[4:5]
    if bar != "  | " or sign not in ("+", "-"):
        return escape(line)
    tag = "ins" if sign == "+" else "del"
    return f"{bar}<{tag}>{escape(line[4:])}</{tag}>"


def _inside(call: Call) -> Iterator[str]:
    yield call.progress
    if call.status == "running":
        if call.output:
            yield block("newest output", escape(plain(call.output)))
        return
    if call.by_person:
        if call.output:
            yield block("printed", escape(plain(call.output)))
        return
    given = _arguments(call.arguments)
    source = given.get("source") if isinstance(given, dict) else None
    if isinstance(given, dict) and isinstance(source, str) and "\n" in source:
        given = {**given, "source": f"({source.count(chr(10)) + 1} lines of code)"}
    else:
        source = None
    if given not in ({}, ""):
        yield from _blocks("given", given)
    if source is not None and call.status == "error":  # else the commit shows it
        yield block("its source", lua_html(source), language="lua")
    if call.output:
        yield block("printed", escape(plain(call.output)))
    if call.value is not None and call.status != "interrupted":
        yield from _blocks("gave", call.value)


def _arguments(text: str) -> Json:
    """The arguments of a call, which are JSON; as they are when they are not."""
    try:
        given: Json = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
    return given


def _hint(arguments: str) -> str:
    """The first short texts and numbers among the arguments."""
    given = _arguments(arguments)
    if not isinstance(given, dict):
        return ""
    said = [f"{key}: {item}" for key, item in given.items() if isinstance(item, (str, int, float)) and key != "source"]
    return shorten(one_line(", ".join(said)), _HINT)


def _blocks(label: str, value: Json) -> Iterator[str]:
    """`value` as a block; the texts of several lines in an object stand below it as they are."""
    texts = _texts(value)
    if isinstance(value, dict) and texts:
        value = {**value, **{key: f"({text.count(chr(10)) + 1:,} lines, below)" for key, text in texts.items()}}
    yield block(label, _value(value))
    for key, text in texts.items():
        name = inline(shorten(f"{label}: {key}", _HINT))
        yield block(name, escape(plain(head_and_tail(text, VALUE // len(texts)))))


def _texts(value: Json) -> dict[str, str]:
    """The first few texts of several lines in an object, by key."""
    items = value.items() if isinstance(value, dict) else ()
    long = ((key, text) for key, text in items if isinstance(text, str) and text.count("\n") >= SEVERAL)
    return dict(islice(long, TEXTS))


def _value(value: Json) -> str:
    """A text as it is, anything else as JSON; of what is long a part."""
    return escape(plain(head_and_tail(value, VALUE) if isinstance(value, str) else shown_json(value, VALUE)))


def _source(operation: Operation, *, folded: bool) -> str:
    assert operation.entry is not None and operation.entry.source is not None
    shown = block(inline(str(operation.id)), lua_html(operation.entry.source), language="lua")
    return f"<details><summary>the whole source</summary>{shown}</details>" if folded else shown


def _diff(diff: str) -> str:
    return block("what changed", diff_html(diff), language="diff")
