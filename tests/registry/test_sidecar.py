"""The sidecar answers as a walk through Git's objects would, at every commit, and only from rows of that commit."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from registry_kit import ANN, create, delete, git, plant, push, thing, tool, update, write
from sidecar_kit import agree, asked, index_file, is_made, lose, walked

from micro_agi_kernel import entries, yaml_files
from micro_agi_kernel.entries import Changeset, EntryId, FileChange
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.registry import CommitMessage, Registry, sidecar_update, tree_entries

X = EntryId.parse("app.generated:x")


@pytest.fixture
def busy(registry: Registry, tmp_path: Path) -> Registry:
    """A registry with a history: entries, pages, and all that a person may get wrong."""
    write(registry, create(tool("x", title="The clock"), tool("y"), thing("app:a"), thing("lib.deep:b")))
    write(registry, update(tool("x", "return 2\n", title="A watch", comment="Tells the time")))
    write(registry, Changeset(delete("app:a").operations, (FileChange("docs/p.md", b"page"),)))
    push(
        registry,
        tmp_path,
        {
            "README.md": b"hello",
            "app/Weird/x.yaml": b"kind: x\n",
            "app/generated/orphan.lua": b"return 1",
            "app/generated/broken.yaml": b"kind: [\n",
            "app/generated/y.lua": None,
            "app/generated/Bad Name.yaml": b"kind: x\n",
            "app/odd.yaml": b"kind: function.lua\ndata: {source: return 1}\n",
            "app/odd.lua": b"return 2",
            "app/deny.yml": b"kind: security.policy\n",
            "lib/deep/b.yaml": None,
        },
    )
    (tmp_path / "clone" / "docs" / "link.md").symlink_to("/etc/passwd")
    push(registry, tmp_path, {"app/generated/orphan.yaml": b"kind: function.lua\n", "app/odd.lua": None})
    push(registry, tmp_path, {"app/generated/orphan.yaml": None, "app/Weird/x.yaml": None, "docs/link.md": None})
    write(registry, update(tool("y", "return 3\n")))
    return registry


def test_every_commit_has_its_own_rows(busy: Registry) -> None:
    for number in range(1, 9):
        agree(busy, busy.snapshot(f"v{number}"))
    assert is_made(busy, busy.head())
    lose(busy)
    with Registry.open(busy.path) as again:
        for number in range(8, 0, -1):
            agree(again, again.snapshot(f"v{number}"))


def test_what_policies_are_read_from_needs_no_sidecar(busy: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy.history.sidecar, "ask", None)
    snapshot = busy.snapshot()
    assert snapshot.get(X) == tool("x", "return 2\n", title="A watch", comment="Tells the time") and snapshot.has(X)
    assert [str(entry.id) for entry in snapshot.entries("app")] == ["app:odd"]
    assert [problem.path for problem in snapshot.problems("app")] == ["app/deny.yml"]
    assert snapshot.number == 8


def test_a_commit_adds_its_own_rows_and_parses_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tree_entries, entries, yaml_files):
        monkeypatch.setattr(module, "load_yaml", None)
    for number in range(3):
        version = write(registry, create(tool(f"x{number}"), thing(f"app:t{number}", source="inline")))
        assert is_made(registry, version.commit)
    snapshot = registry.snapshot()
    assert len(snapshot.find({"meta.type": "tool"})) == 3
    assert snapshot.find({".id": "app:t1"}) == [thing("app:t1", source="inline")]


def test_a_state_that_comes_back_is_not_parsed_again(busy: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    busy.snapshot().ids()
    busy.close()
    with Registry.open(busy.path) as again:
        monkeypatch.setattr("micro_agi_kernel.registry.sidecar_file.FORMAT", 99)  # a newer version of this package
        known = {row[0] for row in again.history.sidecar._file().execute("SELECT blob FROM parses")}
        parsed: set[str] = set()
        load = tree_entries.load_yaml
        monkeypatch.setattr(tree_entries, "load_yaml", lambda *a: parsed.add(a[1]) or load(*a))
        said = asked(again, again.snapshot())
        assert len(known) > 5 and parsed == {"broken.yaml", "Bad Name.yaml", "deny.yml"}  # no entries
        assert said == walked(again, again.snapshot())


def test_commits_of_others_are_seen_when_they_are_asked_for(registry: Registry) -> None:
    with Registry.open(registry.path) as other:
        old = registry.snapshot()
        assert old.ids() == []
        other.history.sidecar.follow = lambda *a: None  # type: ignore[method-assign]  # killed before it came to that
        commit = write(other, create(tool("x"))).commit
        assert not is_made(registry, commit)
        assert old.ids() == [] and not is_made(registry, commit)
        assert registry.snapshot().ids() == [X] and is_made(registry, commit) and old.ids() == []
        write(registry, create(tool("y")))
        agree(other)


def test_rows_of_another_line_are_cut_off(busy: Registry) -> None:
    old = busy.snapshot()
    before = asked(busy, old)
    git(busy.path, "branch", "kept")
    git(busy.path, "update-ref", "refs/heads/main", "main~4")  # a backup was brought back
    version = write(busy, create(tool("other")))
    assert version.number == 5 and busy.resolve("v5") == version.commit
    for number in range(1, 6):
        agree(busy, busy.snapshot(f"v{number}"))
    assert not is_made(busy, old.commit)
    assert asked(busy, old) == before == walked(busy, old)  # a commit off the line, from its trees
    git(busy.path, "update-ref", "refs/heads/main", "kept")
    agree(busy)
    assert is_made(busy, old.commit) and busy.snapshot().number == 8


def test_a_history_that_a_merge_brings(busy: Registry) -> None:
    git(busy.path, "branch", "theirs", "main~3")
    merged = write(busy, create(tool("merged")), merging=git(busy.path, "rev-parse", "theirs"))
    agree(busy)
    assert merged.number == 9 and next(busy.versions(id=EntryId.parse("app.generated:merged"))).commit == merged.commit


def test_many_commits_are_made_in_several_transactions(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar_update, "ROWS", 3)
    for number in range(8):
        write(registry, create(tool(f"x{number}"), tool(f"y{number}")))
    lose(registry)
    with Registry.open(registry.path) as again:
        steps: list[tuple[int, int]] = []
        seen: list[int] = []

        def watch(done: int, total: int) -> None:
            steps.append((done, total))
            with Registry.open(registry.path) as other:  # each sees whole commits, whatever is there already
                rows = other.history.sidecar._file().execute("SELECT count(*) FROM commits").fetchone()[0]
            seen.append(rows)

        again.watch(watch)
        agree(again)
    assert steps[-1][0] == steps[-1][1] == 9 + 16 and steps == sorted(steps)
    assert seen == sorted(seen) and len(set(seen)) > 4


def test_a_writer_leaves_a_long_way_to_whoever_asks(registry: Registry) -> None:
    for number in range(3):
        write(registry, create(tool(f"x{number}")))
    lose(registry)
    with Registry.open(registry.path) as again:
        commit = write(again, create(tool("y"))).commit
        assert not is_made(again, commit) and again.snapshot().number == 5
        agree(again)
        assert is_made(again, commit)


def test_the_files_are_for_their_owner_only(registry: Registry) -> None:
    registry.snapshot().ids()
    for file in index_file(registry).parent.glob("index*"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    assert stat.S_IMODE(os.stat(index_file(registry).parent).st_mode) == 0o700


def test_threads_share_one_registry(registry: Registry) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(8):
                snapshot = registry.snapshot()
                names = {id.name for id in snapshot.ids()}
                assert {entry.id.name for entry in snapshot.entries()} == names
                if step % 4 == 0:
                    write_again(registry, f"t{number}_{step}")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    agree(registry)


def write_again(registry: Registry, name: str) -> None:
    registry.commit(
        create(tool(name)), CommitMessage("service:agent"), author=ANN, committer=ANN, base=registry.snapshot()
    )


def test_an_entry_beneath_a_name_that_ends_in_yaml(registry: Registry) -> None:
    blob = git(registry.path, "hash-object", "-w", "--stdin", stdin="kind: x\n")
    inner = git(registry.path, "mktree", stdin=f"100644 blob {blob}\ta.md\n")
    for lines in (f"040000 tree {inner}\tx.yaml\n", f"100644 blob {blob}\tx.yaml\n", f"040000 tree {inner}\tx.yaml\n"):
        app = git(registry.path, "mktree", stdin=lines)
        form = git(registry.path, "rev-parse", "main:registry.yaml")
        root = git(registry.path, "mktree", stdin=f"040000 tree {app}\tapp\n100644 blob {form}\tregistry.yaml\n")
        git(registry.path, "update-ref", "refs/heads/main", git(registry.path, "commit-tree", root, "-p", "main"))
        agree(registry, but=("last", "histories"))  # Git does not see it: no file of its changed
    for number in range(1, 5):
        agree(registry, registry.snapshot(f"v{number}"), but=("last", "histories"))


@pytest.mark.parametrize("folder", ["docs", "app"])
def test_strays_whose_paths_begin_alike_are_told_apart(registry: Registry, folder: str) -> None:
    blob = git(registry.path, "hash-object", "-w", "--stdin", stdin="/etc/passwd")
    names = [f"{'a' * 240}{end}.md".encode() for end in "123"] + [b"\xff.md", b"\xfe.md"]
    form = git(registry.path, "rev-parse", "main:registry.yaml")
    for count in (2, 5, 1, 0, 3):
        lines = b"".join(b"120000 blob %s\t%s\0" % (blob.encode(), name) for name in names[:count])
        lines += f"100644 blob {blob}\tz.md\0".encode()
        for part in ("a" * 200, "a" * 100)[: 2 if folder == "docs" else 0]:
            below = git(registry.path, "mktree", "-z", stdin=lines)
            lines = f"040000 tree {below}\t{part}\0".encode()
        tree = git(registry.path, "mktree", "-z", stdin=lines)
        root = git(registry.path, "mktree", stdin=f"040000 tree {tree}\t{folder}\n100644 blob {form}\tregistry.yaml\n")
        git(registry.path, "update-ref", "refs/heads/main", git(registry.path, "commit-tree", root, "-p", "main"))
        problems = registry.snapshot().problems()
        assert len(problems) == count, [problem.path for problem in problems]
        agree(registry)


def test_an_empty_registry(empty: Registry) -> None:
    snapshot = empty.snapshot()
    assert snapshot.ids() == snapshot.entries() == snapshot.problems() == [] and snapshot.search("x", {}) == ([], 0)
    plant(empty, tool("x"))
    agree(empty)
    assert snapshot.ids() == []
    with pytest.raises(Refused):
        snapshot.search("", {".nope": 1})
