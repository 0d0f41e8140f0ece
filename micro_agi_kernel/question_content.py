"""What a person is asked: the content of the question about a write, a call of a tool, a request to a host."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable

from micro_agi_kernel.entries import Changeset, Entry, to_files
from micro_agi_kernel.interfaces import Library
from micro_agi_kernel.permissions import Ruling
from micro_agi_kernel.policy import Decision
from micro_agi_kernel.questions import READING, Question
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.values import Value

_HTTP = "http_client"
_NAME = r"""[^\s/?#\\"'`<>(){}\[\],;|]"""
_AUTHORITY = re.compile(rf"https?://({_NAME}*\[[0-9a-f:.]+\](?::\d{{1,5}})?|{_NAME}+)", re.IGNORECASE)
_MAX_COMPARED = 1_000_000
"""Lines before times lines after that are compared: the time grows with that, and a model chooses them."""


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
        diff="".join(entry_diff(before.get_if_sound(each.id), each.entry) for each in changeset.operations),
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
    methods = "/".join(READING) if method in READING else method
    subject = ("http_client.request", f"{methods} {scheme}://{rest.partition('/')[0]}")
    return Question((subject,), f"tool:{entry.id}", _policies([decision]), about=f"{method} {url}")


def shown_input(input: Value) -> str:
    """The input of a call, for a question about it."""
    return f"input: {json.dumps(input, ensure_ascii=False, default=repr)}"


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


def entry_diff(old: Entry | None, new: Entry | None) -> str:
    """The files of an entry, before and after; the source first.

    Unlike `registry.differences` it leaves nothing out, however long: a question may hide nothing.
    """
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
