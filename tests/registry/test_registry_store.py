"""The store: committing, its versions, and what each refusal says."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC
from pathlib import Path

import pytest
from registry_kit import AGENT, ANN, body, create, delete, fsck, git, push, thing, tool, update, write

from micro_agi_kernel.entries import Changeset, EntryId, FileChange, Operation
from micro_agi_kernel.errors import Conflict, EntryError, ErrorKind, NoSuchRevision, Refused, RegistryError
from micro_agi_kernel.registry import CommitMessage, Registry, Snapshot, changeset_between
from micro_agi_kernel.registry.layout import FORMAT_CONTENT, FORMAT_FILE


@pytest.mark.parametrize("rev", ["e", "e5", "abc", "12", "e5~2", "fff^"])
def test_a_commit_is_named_by_four_digits_at_least(registry: Registry, rev: str) -> None:
    with pytest.raises(NoSuchRevision, match="at least four digits of a commit are needed"):
        registry.resolve(rev)


def test_a_version_says_what_was_committed(registry: Registry) -> None:
    message = CommitMessage("service:agent", "For tests.", model="demo", cell=3)
    base = registry.snapshot()
    version = registry.commit(create(tool("x")), message, author=AGENT, committer=ANN, base=base)
    assert version == next(registry.versions()) == registry.version("main")
    assert version.number == 2 and version.commit == registry.head() and version.parents == (base.commit,)
    assert (version.subject, body(registry)) == ("Create app.generated:x", "For tests.")
    assert version.actor == "service:agent" and version.author == AGENT and version.time.tzinfo is not None
    assert version.operations == (("create", EntryId.parse("app.generated:x")),)
    assert version.trailers == {"Actor": "service:agent", "Model": "demo", "Cell": "3"}
    shown = git(registry.path, "log", "-1", "--format=%an <%ae>%n%cn <%ce>%n%ct", "main").splitlines()
    assert shown == ["agent <agent@micro-agi>", "Ann Example <ann@example.com>", str(int(version.time.timestamp()))]
    assert version.time.astimezone(UTC).year >= 2024


def test_one_change_writes_only_the_folders_on_its_path(registry: Registry) -> None:
    write(registry, create(*(thing(f"app.n{n}:x") for n in range(20))))
    before = {path for path in (registry.path / "objects").rglob("*") if path.is_file()}
    write(registry, update(thing("app.n3:x", value=1)))
    after = {path for path in (registry.path / "objects").rglob("*") if path.is_file()}
    assert len(after - before) == 5  # a blob, three trees, a commit


def test_create_update_delete(registry: Registry) -> None:
    write(registry, create(tool("x", "return 1"), thing("app:y", a=1)))
    write(registry, update(tool("x", "return 2"), thing("app:y", "function.lua", source="return 3")))
    snapshot = registry.snapshot()
    assert snapshot.get(EntryId.parse("app.generated:x")).source == "return 2"  # type: ignore[union-attr]
    assert snapshot.file("app/y.lua") == b"return 3"
    write(registry, update(thing("app:y")))
    assert registry.snapshot().file("app/y.lua") is None  # a source does not outlive its entry's need of it
    write(registry, delete("app.generated:x", "app:y"))
    assert registry.snapshot().ids() == [] and registry.snapshot().files() == [FORMAT_FILE]
    assert git(registry.path, "ls-tree", "-r", "--name-only", "main") == FORMAT_FILE
    fsck(registry.path)


def test_refusals(registry: Registry) -> None:
    write(registry, create(tool("x")))
    head = registry.head()
    twice = Changeset((*create(tool("n")).operations, *delete("app.generated:n").operations))
    malformed = Changeset((Operation("create", EntryId.parse("app:a"), tool("b")),))
    cases = [
        (create(tool("x")), ErrorKind.ALREADY_EXISTS, "already exists: app.generated:x"),
        (update(tool("no")), ErrorKind.NOT_FOUND, "not found: app.generated:no"),
        (delete("app:no"), ErrorKind.NOT_FOUND, "not found: app:no"),
        (update(tool("x")), ErrorKind.INVALID, "nothing to change"),
        (Changeset(()), ErrorKind.INVALID, "nothing to change"),
        (Changeset((), (FileChange("docs/no.md", None),)), ErrorKind.INVALID, "nothing to change"),
        (twice, ErrorKind.INVALID, "app.generated:n stands twice in one changeset"),
        (malformed, ErrorKind.INVALID, "malformed operation: create of app:a"),
    ]
    for changeset, kind, message in cases:
        with pytest.raises(Refused) as refused:
            write(registry, changeset)
        assert (refused.value.kind, str(refused.value)) == (kind, message)
    with pytest.raises(EntryError):
        write(registry, create(thing("app:big", text="x" * (1 << 20))))
    assert registry.head() == head


def test_conflicts_are_per_entry(registry: Registry) -> None:
    write(registry, create(tool("x"), tool("y")))
    base = registry.snapshot()
    write(registry, update(tool("x", "return 'theirs'")))
    for mine in (update(tool("x", "return 'mine'")), delete("app.generated:x")):
        with pytest.raises(Conflict, match=r"app.generated:x was changed by another writer"):
            write(registry, mine, base=base)
    write(registry, update(tool("y", "return 'mine'")), base=base)
    write(registry, create(tool("z")), base=base)
    with pytest.raises(Conflict, match=r"app.generated:z"):
        write(registry, create(tool("z")), base=base)
    write(registry, Changeset((), (FileChange("docs/p.md", b"theirs"),)), base=base)
    with pytest.raises(Conflict, match=r"docs/p.md"):
        write(registry, Changeset((), (FileChange("docs/p.md", b"mine"),)), base=base)
    sources = [entry.source for entry in registry.snapshot().entries()]
    assert sources == ["return 'theirs'", "return 'mine'", "return 1\n"]


def test_recheck_sees_what_is_there_before_anything_is_written(registry: Registry) -> None:
    seen: list[Snapshot] = []
    base = registry.snapshot()
    write(registry, create(tool("a")), base=base, recheck=seen.append)
    write(registry, create(tool("b")), base=base, recheck=seen.append)
    assert [snapshot.number for snapshot in seen] == [1, 2]

    class PrepareAgain(Exception):
        pass

    def refuse(snapshot: Snapshot) -> None:
        raise PrepareAgain

    with pytest.raises(PrepareAgain):
        write(registry, create(tool("c")), base=base, recheck=refuse)
    assert registry.snapshot().number == 3
    write(registry, create(tool("c")))  # the lock was given back


def test_a_commit_of_a_person_needs_no_trailers(registry: Registry, tmp_path: Path) -> None:
    commit = push(registry, tmp_path, {"app/x.yaml": b"kind: registry.entry\n", "docs/a.md": b"a"}, "Hello\n\nThere.")
    version = next(registry.versions())
    assert version.commit == commit and version.actor == "user:Bob" and version.subject == "Hello"
    assert version.operations == (("create", EntryId.parse("app:x")),) and version.files == ("docs/a.md",)


def test_versions_and_history_of_one_entry(registry: Registry) -> None:
    made = [write(registry, create(tool("x"), tool("y")))]
    for n in range(3):
        made.append(write(registry, update(tool("x", f"return {n}x"))))
        made.append(write(registry, update(tool("y", f"return {n}y"))))
    made.append(write(registry, delete("app.generated:x")))
    assert [v.number for v in registry.versions()] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert [v.number for v in registry.versions(2)] == [9, 8]
    x = EntryId.parse("app.generated:x")
    assert [v.number for v in registry.versions(id=x)] == [9, 7, 5, 3, 2]
    assert [v.number for v in registry.versions(1, id=x, start="main~3")] == [5]
    y = EntryId.parse("app.generated:y")
    head = registry.snapshot()
    assert head.last_commit(y) == made[6].commit and head.last_commits() == {y: made[6].commit}
    assert registry.snapshot("v3").last_commit(x) == made[1].commit
    with Registry.open(registry.path) as other:
        assert next(other.versions()) == made[-1]


def test_revisions(registry: Registry) -> None:
    for n in range(4):
        write(registry, create(tool(f"t{n}")))
    line = git(registry.path, "rev-list", "main").split()
    for rev, back in {
        "main": 0,
        "HEAD": 0,
        "main~2": 2,
        "HEAD~": 1,
        "main^": 1,
        "main^~2": 3,
        "v5": 0,
        "v1": 4,
        "v4~1": 2,
    }.items():
        assert registry.resolve(rev) == line[back], rev
    for digits in (40, 12, 7):
        assert registry.resolve(line[2][:digits]) == line[2]
    assert registry.resolve(f"{line[1][:10]}^") == line[2]
    tree = registry.snapshot().tree
    for rev in (
        "",
        "v0",
        "v6",
        "v",
        "main~9",
        "nope",
        "0000000",
        "abc",
        tree,
        "main:x",
        "main~x",
        "--help",
        "../main",
        "v99999999999",
    ):
        with pytest.raises(RegistryError, match="no such revision"):
            registry.resolve(rev)


def test_restoring_an_old_state(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(tool("a", "return 1"), tool("b"), thing("app:c", "function.lua", source="x")))
    write(registry, Changeset((), (FileChange("docs/p.md", b"old"),)))
    old = registry.snapshot()
    changes = Changeset(
        (*update(tool("a", "return 2"), thing("app:c")).operations, *delete("app.generated:b").operations),
        (FileChange("docs/p.md", None), FileChange("docs/q.md", b"new")),
    )
    write(registry, changes)
    push(registry, tmp_path, {"app/generated/b.yaml": b"broken: [", "app/bad.yaml": b"]", "README.md": b"x"})
    now = registry.snapshot()
    back = changeset_between(now, old)
    assert {(o.action, str(o.id)) for o in back.operations} == {
        ("update", "app.generated:a"),
        ("update", "app.generated:b"),
        ("update", "app:c"),
        ("delete", "app:bad"),
    }
    write(registry, back, actor="user:ann")
    assert registry.snapshot().tree == old.tree
    assert changeset_between(registry.snapshot(), old) == Changeset(())
    forward = changeset_between(old, now)  # what is broken there is left as it is
    assert {str(o.id) for o in forward.operations} == {"app.generated:a", "app:c"}


def test_another_process_is_seen_at_the_next_snapshot(registry: Registry) -> None:
    with Registry.open(registry.path) as other:
        write(other, create(tool("x")))
        assert [entry.id.name for entry in registry.snapshot().entries()] == ["x"]
        git(registry.path, "gc", "-q")
        write(other, create(tool("y")))
        assert [entry.id.name for entry in registry.snapshot().entries()] == ["x", "y"]


def test_a_format_of_the_future_is_not_misread(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(tool("x")))
    push(registry, tmp_path, {FORMAT_FILE: FORMAT_CONTENT.replace(b"format: 1", b"format: 2")})
    for read in (registry.snapshot, lambda: Registry.open(registry.path)):
        with pytest.raises(RegistryError, match="upgrade"):
            read()  # type: ignore[operator]
    assert len(registry.snapshot("main~1").entries()) == 1


def test_importing_loads_no_dulwich() -> None:
    script = (
        "import sys, micro_agi_kernel.registry, micro_agi_kernel.policy; print({'dulwich', 'yaml'} & {*sys.modules})"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "set()"
