"""Going back: what a revert and a restore write, what they refuse, and that later work is never lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from registry_kit import ANN, body, create, delete, fsck, git, push, thing, tool, update, write

from micro_agi_kernel.entries import Changeset, EntryId, FileChange
from micro_agi_kernel.errors import Conflict, EntryError, MicroAgiError, NoSuchRevision, Refused
from micro_agi_kernel.interfaces import CallContext, Published
from micro_agi_kernel.registry import CommitMessage, Registry, audit
from micro_agi_kernel.registry.layout import FORMAT_FILE
from micro_agi_kernel.rollback import RolledBack, restore, revert

ADA = CallContext("user:ada")


@dataclass
class Writer:
    """A publisher that checks nothing; `meanwhile` are other writers who come between, one for each commit."""

    registry: Registry
    meanwhile: list[Callable[[], object]] = field(default_factory=list)

    async def publish(
        self, changeset: Changeset, context: CallContext, *, base: str | None = None, body: str = ""
    ) -> Published:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        message = CommitMessage(context.actor, body=body)
        read = self.registry.snapshot(base)
        version = self.registry.commit(changeset, message, author=ANN, committer=ANN, base=read)
        return Published(version.commit, version.number)


def go_back(
    way: Callable[..., Awaitable[RolledBack]], registry: Registry, rev: str, id: str | None = None
) -> Awaitable[RolledBack]:
    return way(registry, Writer(registry), ADA, rev, EntryId.parse(id) if id else None)


def steps(done: RolledBack) -> list[str]:
    assert done.published is not None
    return [*(f"{o.action} {o.id}" for o in done.changeset.operations), *(f.path for f in done.changeset.files)]


def held(registry: Registry) -> dict[str, object]:
    """The versions of the entries and pages that the registry holds now."""
    now = registry.snapshot()
    pages = {path: now.file(path) for path in now.files("docs/")}
    return {**{str(entry.id): entry.data.get("v", entry.source) for entry in now.entries()}, **pages}


async def test_a_revert_undoes_one_commit_under_later_changes_to_others(registry: Registry) -> None:
    write(registry, create(thing("app:kept", v=1), thing("app:changed", v=1), thing("app:gone", v=1)))
    wanted = Changeset(
        (
            *create(thing("app:new", v=1)).operations,
            *update(thing("app:changed", v=2)).operations,
            *delete("app:gone").operations,
        ),
        (FileChange("docs/page.md", b"a page"),),
    )
    commit = write(registry, wanted).commit
    for number in range(20):
        write(registry, create(thing(f"app.others:n{number}", v=number)))
    write(registry, update(thing("app:kept", v=2)))
    before = registry.head()
    done = await go_back(revert, registry, commit[:8])
    assert steps(done) == ["update app:changed", "create app:gone", "delete app:new", "docs/page.md"]
    others = {f"app.others:n{number}": number for number in range(20)}
    assert held(registry) == {"app:kept": 2, "app:changed": 1, "app:gone": 1, **others}
    version = registry.version("main")
    assert version.parents == (before,) and version.actor == "user:ada"
    assert body(registry) == f"Reverts {commit[:12]}: Change 3 entries"
    assert next(done.lines) == f"commit {version.commit[:12]} (version 25): {body(registry)}"
    assert not [finding for finding in audit(registry) if finding.status != "ok"]
    fsck(registry.path)


async def test_what_was_undone_can_be_brought_back(registry: Registry) -> None:
    write(registry, create(tool("a", "return 1")))
    changed = write(registry, update(tool("a", "return 2"))).commit
    undone = await go_back(revert, registry, changed)
    assert held(registry) == {"app.generated:a": "return 1"}
    again = await go_back(revert, registry, undone.published.commit if undone.published else "")
    assert steps(again) == ["update app.generated:a"] and held(registry) == {"app.generated:a": "return 2"}


async def test_one_entry_of_a_commit(registry: Registry) -> None:
    commit = write(
        registry, Changeset(create(thing("app:a"), thing("app:b")).operations, (FileChange("docs/p.md", b"p"),))
    ).commit
    assert steps(await go_back(revert, registry, commit, "app:b")) == ["delete app:b"]
    rest = await go_back(revert, registry, commit)
    assert steps(rest) == ["delete app:a", "docs/p.md"], "what is undone already is left alone"
    nothing = await go_back(revert, registry, commit)
    assert nothing.published is None
    assert (
        nothing.summary == f"nothing to revert: all that {commit[:12]} (Change 2 entries) changed is as it was before"
    )


async def test_a_later_change_is_a_conflict_that_names_it(registry: Registry) -> None:
    first = write(registry, create(thing("app:a", v=1), thing("app:b", v=1), thing("app:c", v=1))).commit
    later = [write(registry, update(thing("app:a", v=2))).commit, write(registry, delete("app:b")).commit]
    head = registry.head()
    with pytest.raises(Conflict) as said:
        await go_back(revert, registry, first)
    assert str(said.value) == (
        f"cannot revert {first[:12]}: app:a was changed later by {later[0][:12]} (Update app:a) "
        "(revert the later commit first, or restore what you want back)"
    ), "app:b is as it was before: undone already"
    assert registry.head() == head
    assert steps(await go_back(revert, registry, first, "app:c")) == ["delete app:c"]
    assert steps(await go_back(revert, registry, later[0])) == ["update app:a"]
    assert steps(await go_back(revert, registry, first)) == ["delete app:a"]


async def test_a_conflict_is_one_line_however_much_came_later(registry: Registry) -> None:
    ids = [f"app:e{number}" for number in range(6)]
    pages = tuple(FileChange(f"docs/{number}.md", b"1") for number in range(2))
    first = write(registry, Changeset(create(*(thing(id, v=0) for id in ids)).operations, pages)).commit
    for round in range(1, 6):
        write(registry, update(*(thing(id, v=round) for id in ids)))
    page = write(registry, Changeset((), (FileChange("docs/1.md", b"2"),))).commit
    with pytest.raises(Conflict) as said:
        await go_back(revert, registry, first)
    line = str(said.value)
    assert line.count("was changed later by") == 3 and "; and 4 more (" in line and "and others;" in line
    assert "\n" not in line and len(line) < 800
    write(registry, delete(*ids))
    with pytest.raises(Conflict, match=rf"docs/1\.md was changed later by {page[:12]} \(Change docs/1\.md\) \("):
        await go_back(revert, registry, first)


async def test_a_change_that_came_back_is_none(registry: Registry, tmp_path: Path) -> None:
    commit = write(registry, create(thing("app:a", v=1))).commit
    write(registry, update(thing("app:a", v=2)))
    write(registry, update(thing("app:a", v=1)))
    third = write(registry, update(thing("app:a", v=3))).commit
    with pytest.raises(Conflict, match=rf"later by {third[:12]} \(Update app:a\) \("):
        await go_back(revert, registry, commit)
    # The same entry, written another way, is the same entry.
    push(registry, tmp_path, {"app/a.yaml": b'"kind": registry.entry\ndata: {v: 1}\n'})
    assert steps(await go_back(revert, registry, commit)) == ["delete app:a"]


async def test_a_restore_overrides_what_came_later(registry: Registry) -> None:
    write(registry, create(thing("app:a", v=1), thing("app:b", v=1)))
    write(registry, Changeset((), (FileChange("docs/p.md", b"old"),)))
    old, wanted = registry.head(), held(registry)
    write(registry, update(thing("app:a", v=2)))
    write(registry, Changeset(delete("app:b").operations, (FileChange("docs/p.md", None),)))
    write(registry, create(thing("app:c", v=1)))
    done = await go_back(restore, registry, "v3", "app:b")
    assert steps(done) == ["create app:b"]
    assert body(registry) == f"Restores the state of {old[:12]} (version 3)"
    assert steps(await go_back(restore, registry, "v3", "app:c")) == ["delete app:c"], "it was not there"
    assert steps(await go_back(restore, registry, old)) == ["update app:a", "docs/p.md"]
    assert held(registry) == wanted
    nothing = await go_back(restore, registry, old)
    assert nothing.published is None
    assert nothing.summary == f"nothing to restore: everything is as it was in {old[:12]} (version 3)"
    one = await go_back(restore, registry, old, "app:a")
    assert one.summary == f"nothing to restore: app:a is as it was in {old[:12]} (version 3)"


async def test_what_cannot_be_gone_back_to_is_one_line(registry: Registry) -> None:
    commit = write(registry, create(thing("app:a", v=1))).commit
    short = commit[:12]
    for way, rev, id, kind, line in (
        (revert, "v1", None, Refused, r"\(Change registry.yaml\) is the first commit: there is nothing before it"),
        (revert, "v9", None, NoSuchRevision, "no such revision: 'v9'"),
        (restore, "dead", None, NoSuchRevision, "no such revision: 'dead'"),
        (restore, "a\nb", None, NoSuchRevision, r"no such revision: 'a\\nb'"),
        (revert, commit, "app:b", Refused, rf"{short} \(Create app:a\) did not change app:b"),
        (restore, commit, "app:b", Refused, rf"not found: app:b, neither in {short} \(version 2\) nor now"),
    ):
        with pytest.raises(kind, match=f"^.*{line}") as said:  # type: ignore[call-overload]
            await go_back(way, registry, rev, id)
        assert isinstance(said.value, MicroAgiError) and "\n" not in str(said.value)
    assert registry.head() == commit


async def test_registry_yaml_is_never_brought_back(registry: Registry, tmp_path: Path) -> None:
    old = registry.snapshot().file(FORMAT_FILE)
    assert old is not None
    commit = push(registry, tmp_path, {FORMAT_FILE: b"# A remark\n" + old, "README.md": b"x"})
    done = await go_back(revert, registry, commit)
    assert steps(done) == ["README.md"]
    alone = push(registry, tmp_path, {FORMAT_FILE: b"# Another\n" + old})
    with pytest.raises(Refused, match="changed no entry and no page"):
        await go_back(revert, registry, alone)
    write(registry, create(thing("app:a")))
    assert steps(await go_back(restore, registry, "v1")) == ["delete app:a"]
    assert registry.snapshot().file(FORMAT_FILE) == b"# Another\n" + old


async def test_a_namespace_that_was_sharded_since_stays_sharded(registry: Registry) -> None:
    commit = write(registry, create(thing("app.many:a", v=1), thing("app.many:b", v=1))).commit
    write(registry, update(thing("app.many:b", v=2)))
    moved = registry.shard("app.many", CommitMessage("service:installer"), author=ANN, committer=ANN)
    assert moved is not None
    with pytest.raises(Refused, match="changed no entry and no page"):
        await go_back(revert, registry, moved.commit)
    assert steps(await go_back(revert, registry, commit, "app.many:a")) == ["delete app.many:a"]
    with pytest.raises(Conflict, match=r"app\.many:b was changed later by [0-9a-f]{12} \(Update app\.many:b\) \("):
        await go_back(revert, registry, commit)
    assert steps(await go_back(restore, registry, commit)) == ["create app.many:a", "update app.many:b"]
    assert held(registry) == {"app.many:a": 1, "app.many:b": 1}
    assert registry.snapshot().layout.sharded == {"app.many"}
    assert not [finding for finding in audit(registry) if finding.status != "ok"]


async def test_a_merge_is_undone_as_what_it_brought(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(thing("app:a", v=1)))
    base = registry.head()
    theirs = push(registry, tmp_path, {"app/b.yaml": b"kind: registry.entry\n", "app/a.yaml": b"kind: other\n"})
    git(registry.path, "update-ref", "refs/heads/main", base)
    write(registry, create(thing("app:mine", v=1)))
    brought = Changeset((*update(thing("app:a", "other")).operations, *create(thing("app:b")).operations))
    message = CommitMessage("user:ann", subject="Merge 2 entries from origin")
    head = registry.snapshot()
    registry.commit(brought, message, author=ANN, committer=ANN, base=head, merging=theirs)
    assert steps(await go_back(revert, registry, "main")) == ["update app:a", "delete app:b"]
    assert held(registry) == {"app:a": 1, "app:mine": 1}
    # A commit of the other line can be named too; what it did is undone already.
    assert (await go_back(revert, registry, theirs)).published is None
    done = await go_back(restore, registry, theirs, "app:b")
    assert steps(done) == ["create app:b"]
    assert body(registry) == f"Restores the state of {theirs[:12]}", "it has no number on this line"


async def test_what_cannot_be_read_is_not_brought_back(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(thing("app:a", v=1), thing("app:b", v=1)))
    broken = push(registry, tmp_path, {"app/a.yaml": b"kind: ["})
    mended = write(registry, update(thing("app:a", v=2), thing("app:b", v=2))).commit
    for way, rev in ((revert, mended), (restore, broken)):
        with pytest.raises(EntryError, match=rf"^app:a cannot be brought back as it was in {broken[:12]}: app/a\.yaml"):
            await go_back(way, registry, rev, "app:a")
    with pytest.raises(EntryError, match=r"^app:a cannot be brought back"):
        await go_back(revert, registry, mended)
    assert steps(await go_back(revert, registry, mended, "app:b")) == ["update app:b"]
    write(registry, update(thing("app:b", v=3)))
    done = await go_back(restore, registry, broken)
    assert steps(done) == ["update app:b"] and held(registry) == {"app:a": 2, "app:b": 1}
    assert list(done.lines)[2:] == [f"left as it is: app:a, which cannot be read in {broken[:12]}"]
    # What is broken now is mended by going back.
    worse = push(registry, tmp_path, {"app/b.yaml": b"kind: ["})
    assert steps(await go_back(revert, registry, worse)) == ["update app:b"]


async def test_true_is_not_one(registry: Registry) -> None:
    write(registry, create(thing("app:a", v=True)))
    commit = write(registry, update(thing("app:a", v=1))).commit
    assert steps(await go_back(revert, registry, commit)) == ["update app:a"]
    assert steps(await go_back(restore, registry, commit)) == ["update app:a"]


async def test_another_writer_in_between(registry: Registry) -> None:
    write(registry, create(thing("app:a", v=1), thing("app:b", v=1)))
    commit = write(registry, update(thing("app:a", v=2))).commit

    def meddle(value: int) -> Callable[[], object]:
        return lambda: write(registry, update(thing("app:a", v=value)))

    elsewhere = Writer(registry, [lambda: write(registry, update(thing("app:b", v=5)))])
    assert steps(await revert(registry, elsewhere, ADA, commit)) == ["update app:a"]
    assert held(registry) == {"app:a": 1, "app:b": 5}
    write(registry, update(thing("app:a", v=2)))
    with pytest.raises(Conflict, match=r"app:a was changed later by [0-9a-f]{12} \(Update app:a\)"):
        await revert(registry, Writer(registry, [meddle(3)]), ADA, commit)
    done = await restore(registry, Writer(registry, [meddle(4), meddle(5)]), ADA, "v2")
    assert held(registry) == {"app:a": 1, "app:b": 1} and steps(done) == ["update app:a", "update app:b"]
    with pytest.raises(Conflict, match="faster than it can be brought back"):
        await restore(registry, Writer(registry, [meddle(n) for n in range(10, 20)]), ADA, "v3")
