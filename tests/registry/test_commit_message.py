"""The commit message: the contract to the byte, and nothing that a value says can change what Git reads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conformance_kit import vectors
from hypothesis import example, given, settings
from hypothesis import strategies as st
from registry_kit import ANN, create, delete, fsck, git, rounds, thing, tool, update

from micro_agi_kernel.entries import Changeset, FileChange
from micro_agi_kernel.registry import CommitMessage, Person, Registry
from micro_agi_kernel.registry.message import clean, parse_message

GOLDEN = b"""\
Create app.generated:current_time_utc

Returns the current UTC time.

Create: app.generated:current_time_utc
Actor: service:agent
Policy: undefined (app:deny_core_ns, app:deny_tools_ns)
Modules: time
Tests: 2 passed
Model: gpt-5.1
Prompt: what time is it?
Session: 20261122T101500Z-7f3a
Cell: 3
"""


def test_the_message_is_the_contract_to_the_byte() -> None:
    message = CommitMessage(
        "service:agent",
        "Returns the current UTC time.",
        "undefined (app:deny_core_ns, app:deny_tools_ns)",
        ("time",),
        "2 passed",
        "gpt-5.1",
        "what time is it?",
        "20261122T101500Z-7f3a",
        3,
    )
    assert message.render(create(tool("current_time_utc"))) == GOLDEN


def test_several_operations_and_files() -> None:
    operations = (*create(tool("a")).operations, *update(tool("b")).operations, *delete("app:c").operations)
    changeset = Changeset(operations, (FileChange("docs/x.md", b""),))
    text = CommitMessage("service:installer", cost="0.01 USD", source_sha256="ab" * 32).render(changeset).decode()
    assert text.splitlines() == [
        "Change 3 entries",
        "",
        "Create: app.generated:a",
        "Update: app.generated:b",
        "Delete: app:c",
        "File: docs/x.md",
        "Actor: service:installer",
        "Cost: 0.01 USD",
        f"Source-SHA256: {'ab' * 32}",
    ]
    files = tuple(FileChange(f"docs/{n}.md", b"") for n in "ab")
    assert CommitMessage("user:a").render(Changeset((), files)).startswith(b"Change 2 files\n")
    assert CommitMessage("user:a").render(Changeset((), files[:1])).startswith(b"Change docs/a.md\n")


def test_an_actor_must_look_like_one() -> None:
    for actor in ("", "agent", "service:", "root:x", "service:\n"):
        with pytest.raises(ValueError, match="not an actor"):
            CommitMessage(actor).render(delete("app:x"))


FORGERIES = [
    "x\n\nActor: user:root",
    "Actor: user:root",
    "---\n\nActor: user:root",
    "x\n---\nx",
    "# ------------------------ >8 ------------------------\nrest",
    "; ------------------------ >8 ------------------------",
    "Signed-off-by: root <root@example.com>",
    "x\r\n\r\nActor: user:root\r\n",
    "x\x0b\x0cActor: user:root\x85\u2028\u2029Policy: allow",
    "(cherry picked from commit 0000000000000000000000000000000000000000)",
    "Conflicts:\n\tapp/x.yaml",
    "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066\ufeff",
    "\x00",
    "diff --git a/x b/x\n--- a/x\n+++ b/x",
    "a" * 100_000,
    "word " * 100_000,
    "\ud800lone",
    "From 0123 Mon Sep 17 00:00:00 2001",
]


def _read_by_git(registry: Registry, message: bytes) -> list[str]:
    return git(registry.path, "interpret-trailers", "--parse", stdin=message).splitlines()


def _hostile(text: str) -> CommitMessage:
    plain = CommitMessage("service:agent", text, text, (text,), text, text, text, text, 1, text, text)
    return replace(plain, imports=(text,), calls=(text,))


def _check(message: bytes, lines: list[str]) -> None:
    """Git reads our trailers in our order and nothing else; we read what Git reads; a terminal is safe."""
    keys = [line.split(":")[0] for line in lines]
    wanted = [
        "Update",
        "Actor",
        "Policy",
        "Modules",
        "Imports",
        "Calls",
        "Tests",
        "Model",
        "Prompt",
        "Session",
        "Cell",
        "Cost",
        "Source-SHA256",
    ]
    assert keys == [key for key in wanted if key in keys]
    assert lines[:2] == ["Update: app.generated:x", "Actor: service:agent"] and "Cell: 1" in lines
    said = parse_message(message)
    assert [f"{key}: {value}" for key, value in said.trailers.items()] == lines[1:]
    assert [(action, str(id)) for action, id in said.operations] == [("update", "app.generated:x")]
    assert said.actor == "service:agent" and said.subject == "Update app.generated:x"
    assert not any(
        (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c in "\u202e\u2066\ufeff" for c in message.decode()
    )
    assert max(map(len, lines)) < 230


@pytest.mark.parametrize("text", FORGERIES, ids=range(len(FORGERIES)))
def test_no_value_forges_a_trailer(text: str, registry: Registry) -> None:
    message = _hostile(text).render(update(tool("x")))
    _check(message, _read_by_git(registry, message))


def test_naughty_strings_in_real_commits(registry: Registry) -> None:
    """One commit for each, then one `git log` that has to read every trailer of all of them."""
    texts = [*FORGERIES, *vectors("naughty_strings.json")]
    texts = texts[: rounds(150, len(texts))] + texts[-10:]
    base = registry.snapshot()
    for number, text in enumerate(texts):
        changeset = create(tool("x")) if number == 0 else update(tool("x", f"return {number}"))
        person = Person(text, text)
        registry.commit(changeset, _hostile(text), author=person, committer=ANN, base=base)
        base = registry.snapshot()
    fsck(registry.path)
    log = git(registry.path, "log", "-z", "--format=%(trailers:only,unfold)%x01%B", "main", f"-{len(texts) - 1}")
    commits = log.strip("\0").split("\0")
    assert len(commits) == len(texts) - 1
    for commit in commits:
        trailers, _, body = commit.partition("\x01")
        _check(body.encode(), trailers.strip("\n").splitlines())
    actors = git(registry.path, "log", "--format=%(trailers:key=Actor,valueonly,separator=%x2C)").splitlines()
    assert actors == ["service:agent"] * len(texts) + ["service:installer"]


@settings(max_examples=rounds(200, 5_000), deadline=None)
@given(st.text(), st.integers(2, 300))
@example("a" * 300, 200)
def test_clean_gives_one_short_line(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert len(cleaned) <= limit and cleaned == cleaned.strip() and len(cleaned.splitlines()) <= 1
    assert clean(cleaned, limit) == cleaned
    cleaned.encode()


def test_messages_of_people_are_read_leniently() -> None:
    assert parse_message(b"").subject == ""
    assert parse_message(b"\xff\xfe\n\nActor: service:agent\n").actor == "service:agent"
    plain = parse_message(b"Fix it\n\nBecause: it was broken,\nand so on.\n")
    assert plain.actor is None and plain.body == "Because: it was broken,\nand so on." and not plain.trailers
    assert parse_message(b"Actor: service:agent\n").actor is None  # a subject is no trailer
    twice = parse_message(b"x\n\nActor: service:agent\nActor: user:ann\n")
    assert twice.actor != "service:agent"
    folded = parse_message(b"x\r\n\r\nPrompt: a\r\n  b\r\nCreate: not an id\r\nFile: docs/x.md\r\n")
    assert folded.trailers == {"Prompt": "a b", "Create": "not an id"} and folded.files == ("docs/x.md",)
    picked = parse_message(b"x\n\nActor: service:agent\n(cherry picked from commit 1234)\n")
    assert picked.actor == "service:agent"


def test_people_cannot_break_the_commit_either(registry: Registry) -> None:
    for person in (Person("", ""), Person("<>\n", "a b\n<x>"), Person("\x00", "\x1b")):
        base = registry.snapshot()
        entry = thing(f"app:x{base.number}")
        registry.commit(create(entry), CommitMessage("user:x"), author=person, committer=person, base=base)
    fsck(registry.path)
