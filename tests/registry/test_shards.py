"""Sharded namespaces: where their entries lie, how they get there, and that nothing else changes by it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from registry_kit import AGENT, ANN, create, delete, fsck, git, plant, push, tool, update, write

from micro_agi_kernel.entries import INSTALLER, Changeset, EntryId, FileChange
from micro_agi_kernel.errors import EntryError, Refused, RegistryError
from micro_agi_kernel.registry import CommitMessage, Registry, Version, audit, changeset_between
from micro_agi_kernel.registry.layout import (
    FLAT,
    FORMAT_CONTENT,
    FORMAT_FILE,
    SHARDS,
    Layout,
    check_file_path,
    format_content,
    read_format,
)

GENERATED = "app.generated"
SHARDED = Layout(frozenset({GENERATED}))
NAMES = [f"tool_{n}" for n in range(30)]


def shard(registry: Registry, namespace: str = GENERATED) -> Version | None:
    return registry.shard(namespace, CommitMessage(INSTALLER), author=AGENT, committer=ANN)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 tools, flat, then sharded: v1 the format, v2 the tools, v3 the shards."""
    path = tmp_path_factory.mktemp("shards") / "registry.git"
    with Registry.create(path) as registry:
        plant(registry)
        write(registry, create(*(tool(name) for name in NAMES), tool("app.tools:x"), tool("app.generated.deep:y")))
        shard(registry)
    return path


@pytest.fixture
def spread(prepared: Path, tmp_path: Path) -> Iterator[Registry]:
    shutil.copytree(prepared, tmp_path / "registry.git")
    with Registry.open(tmp_path / "registry.git") as registry:
        yield registry


def test_the_shard_of_a_name_never_changes() -> None:
    """To the byte: what is written today is read by every later version."""
    paths = [SHARDED.entry_path(EntryId(GENERATED, name)) for name in ("current_time", "Current_Time", "a", "gpt-5.1")]
    assert paths == [
        "app/generated/_35/current_time.yaml",
        "app/generated/_35/Current_Time.yaml",
        "app/generated/_03/a.yaml",
        "app/generated/_21/gpt-5.1.yaml",
    ]
    assert SHARDED.source_path(EntryId(GENERATED, "a")) == "app/generated/_03/a.lua"
    assert SHARDED.entry_path(EntryId("app.tools", "a")) == "app/tools/a.yaml"
    assert len({SHARDED.folder(EntryId(GENERATED, f"t{n}")) for n in range(2_000)}) == SHARDS


@pytest.mark.parametrize(
    ("path", "flat", "sharded"),
    [
        ("app/generated/_03/a.yaml", False, True),
        ("app/generated/_03/a.lua", False, True),
        ("app/generated/a.yaml", True, False),
        ("app/generated/_04/a.yaml", False, False),
        ("app/generated/_64/a.yaml", False, False),
        ("app/generated/_3/a.yaml", False, False),
        ("app/generated/_03/_03/a.yaml", False, False),
        ("app/tools/_03/a.yaml", False, False),
        ("app/tools/a.yaml", True, True),
        ("app/generated/deep/a.yaml", True, True),
        ("_03/a.yaml", False, False),
        ("docs/_03/a.yaml", False, False),
    ],
)
def test_only_the_one_right_path_is_that_of_an_entry(path: str, flat: bool, sharded: bool) -> None:
    assert ((FLAT.entry_id(path) is not None), (SHARDED.entry_id(path) is not None)) == (flat, sharded)


@pytest.mark.parametrize("path", ["app/generated/_03/a.yaml", "app/generated/_04/a.lua", "app/tools/_03/a.yaml"])
def test_no_file_is_written_where_a_shard_would_make_it_an_entry(path: str) -> None:
    with pytest.raises(EntryError, match="path of an entry"):
        check_file_path(path)


def test_the_rule_is_kept_in_registry_yaml() -> None:
    assert format_content(SHARDED) == FORMAT_CONTENT + b"sharded:\n- app.generated\n"
    assert read_format(format_content(SHARDED)) == SHARDED and format_content(FLAT) == FORMAT_CONTENT
    for rule in (b"[]", b"app.generated", b"[b, a]", b"[a, a]", b"[a.B]", b"[docs]", b"[1]", b"[a/b]", b"{a: 1}"):
        with pytest.raises(RegistryError, match="sorted list of namespaces"):
            read_format(FORMAT_CONTENT + b"sharded: " + rule + b"\n")


def test_sharding_moves_files_and_changes_no_entry(spread: Registry) -> None:
    before, after = spread.snapshot("v2"), spread.snapshot()
    assert before.layout == FLAT and after.layout == SHARDED
    assert after.entries() == before.entries() and after.ids() == before.ids() and after.problems() == []
    assert before.changes_to(after) == ((), (FORMAT_FILE,))
    assert after.files() == [FORMAT_FILE]
    version = spread.version("main")
    assert (version.subject, version.actor, version.files) == (f"Change {FORMAT_FILE}", INSTALLER, (FORMAT_FILE,))
    paths = git(spread.path, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert sum(path.startswith("app/generated/_") for path in paths) == 2 * len(NAMES)
    assert {"app/generated/deep/y.lua", "app/tools/x.yaml"} < set(paths)
    assert shard(spread) is None and spread.head() == after.commit
    assert {finding.status for finding in audit(spread)} == {"ok"}
    fsck(spread.path)


def test_what_comes_later_lies_in_the_shards(spread: Registry) -> None:
    new, changed = tool("new"), tool("tool_3", "return 3")
    write(spread, create(new))
    write(spread, update(changed))
    write(spread, delete("app.generated:tool_4"))
    snapshot = spread.snapshot()
    assert snapshot.get(new.id) == new and snapshot.get(changed.id) == changed
    assert snapshot.file(SHARDED.source_path(changed.id)) == b"return 3"
    assert [str(id) for _, id in spread.snapshot("v3").changes_to(snapshot)[0]] == [
        "app.generated:new",
        "app.generated:tool_3",
        "app.generated:tool_4",
    ]
    assert [v.number for v in spread.versions(id=changed.id)] == [5, 2]
    assert snapshot.last_commit(EntryId(GENERATED, "tool_5")) == spread.resolve("v2")
    assert {finding.status for finding in audit(spread)} == {"ok"}


def test_twins_meet_in_one_shard(spread: Registry) -> None:
    with pytest.raises(Refused, match="cannot stand beside"):
        write(spread, create(tool("Tool_3")))


def test_a_state_from_before_is_restored_into_the_shards(spread: Registry) -> None:
    write(spread, delete(*(f"app.generated:{name}" for name in NAMES[:10])))
    write(spread, update(tool("tool_20", "return 20")))
    old = spread.snapshot("v2")
    back = changeset_between(spread.snapshot(), old)
    assert len(back.operations) == 11 and back.files == ()
    write(spread, back)
    assert spread.snapshot().entries() == old.entries() and spread.snapshot().layout == SHARDED
    assert spread.snapshot().tree == spread.snapshot("v3").tree
    assert not changeset_between(spread.snapshot(), old).operations


def test_a_writer_who_prepared_before_the_shards_writes_into_them(registry: Registry) -> None:
    base = registry.snapshot()
    with Registry.open(registry.path) as other:
        write(other, create(tool("first")))
        shard(other)
    write(registry, create(tool("a")), base=base)
    assert registry.snapshot().file("app/generated/_03/a.lua") == b"return 1\n"
    write(registry, Changeset((), (FileChange("docs/x.md", b"x"),)))
    assert [str(id) for id in registry.snapshot().ids()] == ["app.generated:a", "app.generated:first"]


def test_strays_say_what_is_wrong(spread: Registry, tmp_path: Path) -> None:
    yaml = b"kind: registry.entry\n"
    push(
        spread,
        tmp_path,
        {
            "app/generated/flat.yaml": yaml,
            "app/generated/_00/a.yaml": yaml,
            "app/generated/_99/a.yaml": yaml,
            "app/tools/_03/a.yaml": yaml,
            "app/generated/_03/sub/a.yaml": yaml,
        },
    )
    snapshot = spread.snapshot()
    assert {(p.path, p.reason, p.namespace) for p in snapshot.problems()} == {
        (
            "app/generated/flat.yaml",
            f"the namespace is sharded: the entry belongs into {SHARDED.folder(EntryId(GENERATED, 'flat'))}",
            GENERATED,
        ),
        ("app/generated/_00/a.yaml", "the namespace is sharded: the entry belongs into app/generated/_03", GENERATED),
        ("app/generated/_99", "the folder's name cannot be part of a namespace", GENERATED),
        ("app/tools/_03", "a shard's folder, but registry.yaml does not list app.tools as sharded", "app.tools"),
        ("app/generated/_03/sub", "the folder's name cannot be part of a namespace", GENERATED),
    }
    assert snapshot.problems(GENERATED) == [p for p in snapshot.problems() if p.namespace == GENERATED]
    assert len(snapshot.entries(GENERATED)) == len(NAMES)
    assert snapshot.get(EntryId(GENERATED, "a")) is None and spread.version("main").operations == ()


def test_what_lies_where_a_shard_belongs_never_becomes_an_entry(registry: Registry, tmp_path: Path) -> None:
    """Pushed as a stray, it would else be an entry that nobody checked as soon as the namespace is sharded."""
    push(registry, tmp_path, {"app/generated/_03/a.yaml": b"kind: registry.entry\n"})
    with pytest.raises(RegistryError, match="app/generated/_03 lies where a shard belongs"):
        shard(registry)
    assert registry.snapshot().layout == FLAT


def test_a_pushed_rule_that_makes_entries_of_strays_is_seen_as_what_it_does(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(tool("b")))
    push(registry, tmp_path, {"app/generated/_03/a.yaml": b"kind: registry.entry\n"})
    push(registry, tmp_path, {FORMAT_FILE: format_content(SHARDED)})
    a, b = EntryId(GENERATED, "a"), EntryId(GENERATED, "b")
    version = registry.version("main")
    assert version.operations == (("create", a), ("delete", b)) and version.files == (FORMAT_FILE,)


def test_the_rule_changes_only_with_the_files(spread: Registry) -> None:
    for layout in (FLAT, Layout(frozenset({GENERATED, "app"}))):
        with pytest.raises(RegistryError, match="says where the entries lie"):
            write(spread, Changeset((), (FileChange(FORMAT_FILE, format_content(layout)),)))
    with_comment = b"# mine\n" + format_content(SHARDED)
    write(spread, Changeset((), (FileChange(FORMAT_FILE, with_comment),)))
    assert spread.snapshot().file(FORMAT_FILE) == with_comment
