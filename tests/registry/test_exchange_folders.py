"""A registry as a folder of files: what is exported can be read back as it was, and nothing lands elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_kit import AGENT, ANN, create, git, plant, push, rounds, thing, tool, write

from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry import CommitMessage, Registry, Snapshot
from micro_agi_kernel.registry.files.folders import Contents, files_below, read_folder, write_folder
from micro_agi_kernel.registry.layout import FORMAT_CONTENT
from micro_agi_kernel.values import Json

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["a\r\nb\n", "yes", "1:30", "file://x", "~"]
)
SCALARS: st.SearchStrategy[Json] = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=6)
IDS = st.sampled_from(["app:x", "app:gpt-5.1", "app.generated:x", "app.x.y:_a", "other:B"])
ENTRIES = st.dictionaries(
    IDS, st.tuples(st.sampled_from(["registry.entry", "function.lua", "x"]), VALUES, TEXTS | st.none()), min_size=1
)


def pages(contents: Contents) -> dict[str, bytes]:
    return {path: content for path, content in contents.files.items() if path != "registry.yaml"}


def of(snapshot: Snapshot) -> tuple[list[Entry], dict[str, bytes | None]]:
    return snapshot.entries(), {path: snapshot.file(path) for path in snapshot.files("docs/")}


@settings(max_examples=rounds(25, 500), deadline=None)
@given(ENTRIES, st.dictionaries(st.sampled_from(["docs/a.md", "docs/b/c.md"]), st.binary()))
def test_an_export_reads_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, made: dict[str, tuple[str, Json, str | None]], docs: dict[str, bytes]
) -> None:
    tmp_path = tmp_path_factory.mktemp("export")
    entries = []
    for id, (kind, value, source) in made.items():
        is_code = source is not None and kind.endswith(".lua")
        entries.append(
            Entry(EntryId.parse(id), kind, {"m": value}, {"v": value, **({"source": source} if is_code else {})})
        )
    files = tuple(FileChange(path, content) for path, content in docs.items())
    with Registry.create(tmp_path / "registry.git") as registry:
        plant(registry)
        write(registry, Changeset(create(*entries).operations, files))
        count, left_out = write_folder(registry.snapshot(), tmp_path / "out")
        found = read_folder(tmp_path / "out")
        assert left_out == [] and count == len(list(files_below(tmp_path / "out")))
        assert (list(found.entries), pages(found)) == of(registry.snapshot())
        assert found.files["registry.yaml"] == FORMAT_CONTENT


def test_a_sharded_registry_is_exported_flat_and_a_clone_of_it_is_read(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(*(tool(f"t{n}") for n in range(5))))
    registry.shard("app.generated", CommitMessage("service:installer"), author=AGENT, committer=ANN)
    write_folder(registry.snapshot(), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out/app/generated").iterdir())[:3] == [
        "t0.lua",
        "t0.yaml",
        "t1.lua",
    ]
    assert (tmp_path / "out/registry.yaml").read_bytes() == FORMAT_CONTENT
    git(tmp_path, "clone", "-q", "registry.git", "clone")
    clone = read_folder(tmp_path / "clone")
    assert clone.entries == read_folder(tmp_path / "out").entries == tuple(registry.snapshot().entries())
    (tmp_path / "clone/registry.yaml").unlink()
    with pytest.raises(EntryError, match="the entry belongs into app/generated"):
        read_folder(tmp_path / "clone")


def test_what_cannot_be_read_is_left_out_and_named(registry: Registry, tmp_path: Path) -> None:
    broken = {"app/generated/bad.yaml": b"kind: [", "x.yml": b"x", "docs/con:.md": b"x", "docs/fine.md": b"y"}
    write(registry, create(tool("good")))
    own = {"README": b"x", "app/logo.png": b"\0", ".gitignore": b"x", "Pictures/1.png": b"\1"}
    push(registry, tmp_path, {**broken, **own, "Pictures/x.yaml": b"x"})
    count, left_out = write_folder(registry.snapshot(), tmp_path / "out")
    assert count == 8
    assert sorted(problem.path for problem in left_out) == [
        *("Pictures/x.yaml", "app/generated/bad.yaml", "docs/con:.md", "x.yml")
    ]
    assert all((tmp_path / "out" / path).read_bytes() == content for path, content in own.items())
    assert sorted(files_below(tmp_path / "out")) == [
        "Pictures/1.png",
        "README",
        "app/generated/good.lua",
        "app/generated/good.yaml",
        "app/logo.png",
        "docs/fine.md",
        "registry.yaml",
    ]
    (tmp_path / "out" / ".env").write_text("a password")
    del own[".gitignore"]  # what begins with a dot is read from nobody's folder
    assert pages(read_folder(tmp_path / "out")) == {**own, "docs/fine.md": b"y"}


def test_a_tree_that_git_would_not_make_writes_nothing_outside(registry: Registry, tmp_path: Path) -> None:
    blob = git(registry.path, "hash-object", "-w", "--stdin", stdin="hostile")
    outside = git(registry.path, "mktree", stdin=f"100644 blob {blob}\tescaped\n")
    rows = (f"040000 tree {outside}\t..", f"040000 tree {outside}\t.git", f"120000 blob {blob}\tlink")
    docs = git(registry.path, "mktree", stdin="\n".join(rows))
    root = git(registry.path, "mktree", stdin=f"040000 tree {outside}\t..\n040000 tree {docs}\tdocs\n")
    hostile = Snapshot(registry.tree_entries, registry.history, "", root)
    count, left_out = write_folder(hostile, tmp_path / "in" / "out")
    assert count == 1 and {problem.path for problem in left_out} >= {
        "docs/../escaped",
        "docs/.git/escaped",
        "docs/link",
    }
    assert [path.name for path in (tmp_path / "in").rglob("*")] == ["out", "registry.yaml"]
    assert not list(tmp_path.rglob("escaped"))


def test_a_folder_that_holds_something_is_left_as_it_is(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / ".hidden").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, line in (
        ("full", "full is not empty: choose another folder"),
        ("file", "cannot write to .*file: File exists"),
        ("file/below", "cannot write to .*below: Not a directory"),
        ("x" * 300, "File name too long"),
        ("nul\0", "embedded null"),
    ):
        with pytest.raises(RegistryError, match=line):
            write_folder(registry.snapshot(), tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full", "registry.git"]
    assert os.listdir(tmp_path / "full") == [".hidden"]


def test_reading_follows_no_link_out_of_the_folder(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(thing("app:x")))
    write_folder(registry.snapshot(), tmp_path / "out")
    (tmp_path / "secret").write_text("a password")
    (tmp_path / "out" / "docs").mkdir()
    (tmp_path / "out" / "docs" / "page.md").symlink_to(tmp_path / "secret")
    with pytest.raises(EntryError, match="page.md: lies outside of"):  # noqa: RUF043
        read_folder(tmp_path / "out")
    (tmp_path / "out" / "docs" / "page.md").unlink()
    (tmp_path / "out" / "docs" / "folder").symlink_to(tmp_path)
    assert pages(read_folder(tmp_path / "out")) == {}


def test_a_file_of_another_version_is_refused(registry: Registry, tmp_path: Path) -> None:
    write_folder(registry.snapshot(), tmp_path / "out")
    (tmp_path / "out" / "registry.yaml").write_text("format: 2\n")
    with pytest.raises(RegistryError, match="a format that this version cannot read"):
        read_folder(tmp_path / "out")


def test_a_source_that_the_entry_does_not_name_is_no_source(tmp_path: Path) -> None:
    for name, content in (("x.yaml", "kind: function.lua\ndata: {source: return 1}\n"), ("x.lua", "return 2")):
        (tmp_path / "app").mkdir(exist_ok=True)
        (tmp_path / "app" / name).write_text(content)
    with pytest.raises(EntryError, match=r"x\.lua: the entry beside it does not name it"):
        read_folder(tmp_path)
