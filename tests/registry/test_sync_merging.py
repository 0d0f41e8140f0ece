"""What another line of history changes in ours: a table of what two lines did to one entry, and where entries lie."""

from __future__ import annotations

import pytest
from registry_kit import ANN, create, delete, git, thing, tool, update, write

from micro_agi_kernel.entries import Changeset, EntryId, FileChange
from micro_agi_kernel.registry import CommitMessage, Registry
from micro_agi_kernel.registry.layout import FORMAT_FILE
from micro_agi_kernel.registry.sharing.merging import Incoming, incoming, is_ancestor, line_since

X = EntryId.parse("app.generated:x")


def put(registry: Registry, value: int | None, *, merging: str | None = None) -> str:
    """The next commit, in which x has this value (None: it is not there)."""
    there = registry.snapshot().has(X)
    entry = thing("app.generated:x", value=value)
    change = delete(str(X)) if value is None else update(entry) if there else create(entry)
    return write(registry, change if there or value is not None else Changeset(()), merging=merging).commit


def go(registry: Registry, commit: str) -> None:
    git(registry.path, "update-ref", "refs/heads/main", commit)


def differing(registry: Registry, ours: str, theirs: str) -> list[Incoming]:
    return incoming(registry, registry.snapshot(ours), registry.snapshot(theirs))


def outcome(registry: Registry, ours: str, theirs: str) -> str:
    found = [each for each in differing(registry, ours, theirs) if each.subject == X]
    return "keep" if not found else "conflict" if found[0].conflict else "take"


TABLE: list[tuple[int | None, list[int | None], list[int | None], str, str]] = [
    # base, ours since, theirs since: what becomes of theirs here, and of ours there
    (None, [], [1], "take", "keep"),
    (None, [1], [1], "keep", "keep"),
    (None, [1], [2], "conflict", "conflict"),
    (0, [], [None], "take", "keep"),
    (0, [1], [], "keep", "take"),
    (0, [1], [2], "conflict", "conflict"),
    (0, [1], [None], "conflict", "conflict"),
    (0, [None], [None], "keep", "keep"),
    # one of them has had what the other is: it is the newer one
    (0, [1, 2], [1], "keep", "take"),
    (0, [1, 0], [1], "keep", "take"),
    (None, [1, None], [1], "keep", "take"),
    (0, [None, 3], [None], "keep", "take"),
    # both went on from something that both had
    (0, [1, 2], [1, 3], "conflict", "conflict"),
    (None, [1, None], [1, 3], "conflict", "conflict"),
    (0, [1, 2], [2, 1], "conflict", "conflict"),
    # what one did and took back, the other knows nothing of
    (0, [1, 0], [2], "take", "keep"),
]


@pytest.mark.parametrize(("base", "ours", "theirs", "here", "there"), TABLE)
def test_what_two_lines_did_to_one_entry(
    registry: Registry, base: int | None, ours: list[int | None], theirs: list[int | None], here: str, there: str
) -> None:
    start = put(registry, base) if base is not None else registry.head()
    tips = []
    for line in (ours, theirs):
        go(registry, start)
        write(registry, create(thing(f"app:other{len(tips)}")))
        tips.append([registry.head(), *(put(registry, value) for value in line)][-1])
    assert (outcome(registry, *tips), outcome(registry, *reversed(tips))) == (here, there)
    assert any(str(each.subject) == "app:other1" for each in differing(registry, *tips))


def test_what_stood_before_the_lines_met_does_not_count(registry: Registry) -> None:
    """A value that comes back after a merge is a new change, not an old state."""
    start = put(registry, 0)
    theirs = put(registry, 2)
    go(registry, start)
    put(registry, 1)
    merged = put(registry, 2, merging=theirs)  # decided for theirs
    ours = write(registry, create(thing("app:y"))).commit
    go(registry, theirs)
    again = put(registry, 1)
    found = [each for each in differing(registry, ours, again) if each.subject == X]
    assert [(each.conflict, each.theirs) for each in found] == [(False, (again,))]
    go(registry, merged)
    back = put(registry, 1)
    assert outcome(registry, theirs, back) == "take" and outcome(registry, back, theirs) == "keep"


def test_histories_with_nothing_in_common(registry: Registry) -> None:
    ours = write(registry, create(thing("app:a"), thing("app:both", value=1), thing("app:same"))).commit
    root = git(registry.path, "commit-tree", "main~1^{tree}", "-m", "another seed")
    go(registry, root)
    theirs = write(registry, create(thing("app:b"), thing("app:both", value=2), thing("app:same"))).commit
    found = differing(registry, ours, theirs)
    assert [(str(each.subject), each.conflict) for each in found] == [("app:b", False), ("app:both", True)]
    assert found[1].ours == ours and found[1].theirs == (theirs,)
    assert not is_ancestor(registry, ours, theirs) and is_ancestor(registry, root, theirs)
    assert line_since(registry, theirs, ours) == [theirs, root]


def test_where_an_entry_lies_and_how_it_is_written_is_no_change(registry: Registry) -> None:
    base = write(registry, create(tool("x"), tool("y"))).commit
    registry.shard("app.generated", CommitMessage("service:installer"), author=ANN, committer=ANN)
    ours = write(registry, update(tool("x", "return 2\n"))).commit
    go(registry, base)
    old = registry.snapshot().file("app/generated/x.yaml") or b""
    blob = git(registry.path, "hash-object", "-w", "--stdin", stdin=b"# by hand\n" + old)
    git(registry.path, "read-tree", "main")
    git(registry.path, "update-index", "--cacheinfo", f"100755,{blob},app/generated/x.yaml")
    go(registry, git(registry.path, "commit-tree", git(registry.path, "write-tree"), "-p", base, "-m", "by hand"))
    theirs = write(registry, update(tool("y", "return 3\n"))).commit
    assert [str(each.subject) for each in differing(registry, ours, theirs)] == ["app.generated:y"]
    assert [str(each.subject) for each in differing(registry, theirs, ours)] == ["app.generated:x"]


def test_files(registry: Registry) -> None:
    base = write(registry, Changeset((), (FileChange("docs/a.md", b"a"), FileChange("docs/b.md", b"b")))).commit
    ours = write(registry, Changeset((), (FileChange("docs/a.md", b"ours"),))).commit
    go(registry, base)
    change = Changeset((), (FileChange("docs/a.md", b"theirs"), FileChange("docs/b.md", None)))
    theirs = write(registry, change).commit
    content = registry.snapshot().file(FORMAT_FILE)
    write(registry, Changeset((), (FileChange(FORMAT_FILE, (content or b"") + b"# more\n"),)))
    found = differing(registry, ours, registry.head())
    assert [(each.subject, each.conflict, each.theirs) for each in found] == [
        ("docs/a.md", True, (theirs,)),
        ("docs/b.md", False, (theirs,)),
    ]
