"""The store as it is read: at one version, one entry, by what is asked for, and when files are broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from registry_kit import create, delete, push, thing, tool, update, write

from micro_agi_kernel import entries
from micro_agi_kernel.entries import Changeset, EntryId, FileChange
from micro_agi_kernel.errors import EntryError, Refused
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.values import Json


def test_a_snapshot_is_pinned(registry: Registry) -> None:
    write(registry, create(tool("x", "return 1"), tool("y")))
    old = registry.snapshot()
    write(registry, update(tool("x", "return 2")))
    write(registry, delete("app.generated:y"))
    assert old.get(EntryId.parse("app.generated:x")).source == "return 1"  # type: ignore[union-attr]
    assert len(old.ids()) == 2 and len(registry.snapshot().ids()) == 1
    with Registry.open(registry.path) as other:
        assert other.snapshot(old.commit).entries() == old.entries()
        assert other.snapshot("main").entries() == registry.snapshot().entries()


def test_get_reads_no_more_than_the_entry(registry: Registry) -> None:
    write(registry, create(*(thing(f"app.n{n}:x", n=n) for n in range(30))))
    with Registry.open(registry.path) as other:
        read: list[str] = []
        store = other.objects._store
        original = store.get_raw
        store.get_raw = lambda name: read.append(name.decode()) or original(name)  # type: ignore[method-assign,func-returns-value,assignment,return-value,union-attr]
        snapshot = other.snapshot()
        read.clear()
        assert snapshot.get(EntryId.parse("app.n7:x")) is not None
        assert len(read) <= 4  # the folders app and app/n7, and the YAML
        snapshot.entries()
        read.clear()
        snapshot.entries()
        write(other, update(thing("app.n7:x", n=-1)))
        read.clear()
        assert len(other.snapshot().entries()) == 30
        assert len(read) <= 5  # commit, three trees, the one new blob
        store.get_raw = original  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({}, "a b c d"),
        ({".kind": "function.lua"}, "a b"),
        ({".ns": "app"}, "c d"),
        ({".ns": "app.*"}, "a b"),
        ({".ns": "app*"}, "a b c d"),
        ({".ns": "app.generated", ".name": "a"}, "a"),
        ({".ns": "../x"}, ""),
        ({".ns": 3}, ""),
        ({".id": "app:c"}, "c"),
        ({"meta.type": "tool"}, "a b"),
        ({"type": "tool", "title": "B"}, "b"),
        ({"meta.tags": "y"}, "c d"),
        ({"meta.tags": ["x", "y"]}, "c"),
        ({"meta.tags": []}, "c d"),
        ({"meta.n": 1}, "c"),
        ({"meta.n": 1.0}, "c"),
        ({"meta.n": True}, "d"),
        ({"meta.none": None}, "c"),
        ({"meta.missing": None}, ""),
        ({".kind": ["function.lua"]}, ""),
    ],
)
def test_find(registry: Registry, filter: dict[str, Json], found: str) -> None:
    c, d = thing("app:c"), thing("app:d")
    c.meta.update({"tags": ["x", "y"], "n": 1, "none": None})  # type: ignore[attr-defined]
    d.meta.update({"tags": ["y"], "n": True})  # type: ignore[attr-defined]
    write(registry, create(tool("a"), tool("b", title="B"), c, d))
    assert {entry.id.name for entry in registry.snapshot().find(filter)} == set(found.split())


def test_find_refuses_what_it_does_not_know(registry: Registry) -> None:
    for key in (".nope", "", "~meta.x", "."):
        with pytest.raises(Refused, match="unknown filter"):
            registry.snapshot().find({key: "x"})


def test_broken_files_are_reported_and_stop_nothing(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(tool("good"), tool("nolua"), thing("app:odd")))
    push(
        registry,
        tmp_path,
        {
            "README.md": b"hello",
            "app/generated/broken.yaml": b"kind: [\n",
            "app/generated/typed.yaml": b"kind: security.policy\nextra: 1\n",
            "app/generated/nolua.lua": None,
            "app/generated/orphan.lua": b"return 1",
            "app/generated/Bad Name.yaml": b"kind: x\n",
            "app/deny.yml": b"kind: security.policy\n",
            "app/odd.lua": b"return 1",
            "app/Weird/x.yaml": b"kind: x\n",
            "app/generated/bomb.yaml": b"a: &a [x]\nb: [*a, *a]\n",
            "app/generated/bin.yaml": b"\x00\xff",
            "app/generated/huge.yaml": b"#" * (1 << 20) + b"#",
        },
    )
    (tmp_path / "clone" / "app" / "link.yaml").symlink_to("/etc/passwd")
    push(registry, tmp_path, {"docs/page.md": b"# Page"})
    snapshot = registry.snapshot()
    assert [str(entry.id) for entry in snapshot.entries()] == ["app:odd", "app.generated:good"]
    problems = {p.path: (str(p.id) if p.id else None, p.namespace, p.kind) for p in snapshot.problems()}
    assert problems == {
        "app/Weird": (None, "app", None),
        "app/deny.yml": (None, "app", "security.policy"),
        "app/generated/Bad Name.yaml": (None, "app.generated", "x"),
        "app/generated/bin.yaml": ("app.generated:bin", "app.generated", None),
        "app/generated/bomb.yaml": ("app.generated:bomb", "app.generated", None),
        "app/generated/broken.yaml": ("app.generated:broken", "app.generated", None),
        "app/generated/huge.yaml": ("app.generated:huge", "app.generated", None),
        "app/generated/nolua.yaml": ("app.generated:nolua", "app.generated", "function.lua"),
        "app/generated/orphan.lua": (None, "app.generated", None),
        "app/generated/typed.yaml": ("app.generated:typed", "app.generated", "security.policy"),
        "app/link.yaml": ("app:link", "app", None),
        "app/odd.lua": (None, "app", None),
    }
    with pytest.raises(EntryError, match=r"app/generated/broken.yaml: broken YAML at line 2"):
        snapshot.get(EntryId.parse("app.generated:broken"))
    assert snapshot.has(EntryId.parse("app.generated:broken"))
    write(registry, create(tool("still")))
    with pytest.raises(Refused, match="already exists"):
        write(registry, create(tool("broken")))
    write(registry, update(tool("broken")))
    write(registry, delete("app.generated:bomb", "app:link"))
    assert snapshot.files("docs/") == ["docs/page.md"] and snapshot.file("docs/page.md") == b"# Page"
    assert registry.snapshot().get(EntryId.parse("app.generated:broken")) == tool("broken")


def test_a_lua_file_that_is_not_the_source_is_told_from_one_that_is(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline = b"kind: function.lua\ndata: {source: return 1}\n"
    write(registry, create(tool("good")))
    push(registry, tmp_path, {"app/generated/odd.yaml": inline, "app/generated/odd.lua": b"return 2", "app/x.yml": b""})
    monkeypatch.setattr(entries, "dump_yaml", None)  # to read is not to write
    snapshot = registry.snapshot()
    assert [problem.path for problem in snapshot.problems()] == ["app/generated/odd.lua", "app/x.yml"]


def test_a_namespace_has_problems_of_its_own(registry: Registry, tmp_path: Path) -> None:
    files = ("x.yml", "app/x.yml", "app/a.yaml", "app/generated/b.yaml", "lib/c.yaml")
    push(registry, tmp_path, dict.fromkeys(files, b"["))
    (tmp_path / "clone" / "docs").mkdir()
    (tmp_path / "clone" / "docs" / "link.md").symlink_to("/etc/passwd")
    push(registry, tmp_path, {})
    snapshot = registry.snapshot()
    assert {problem.path for problem in snapshot.problems()} == {*files, "docs/link.md"}
    assert [problem.path for problem in snapshot.problems("app")] == ["app/a.yaml", "app/x.yml"]
    assert [problem.path for problem in snapshot.problems("app.generated")] == ["app/generated/b.yaml"]
    for namespace in ("", "docs", "app*", "nowhere", "a:b", "app.x.yml"):
        assert snapshot.problems(namespace) == []


def test_files_below_a_folder_are_found_without_reading_the_others(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = tuple(FileChange(path, b"x") for path in ("docs/a.md", "docs/b/c.md", "docs.md"))
    write(registry, Changeset(create(tool("x")).operations, pages))
    snapshot = registry.snapshot()
    other = {snapshot.folder("app"), snapshot.folder("app/generated")}
    read: list[str] = []
    tree = registry.objects.tree
    monkeypatch.setattr(registry.objects, "tree", lambda id: read.append(id) or tree(id))
    assert snapshot.files("docs/") == ["docs/a.md", "docs/b/c.md"] and snapshot.files("docs/b") == ["docs/b/c.md"]
    assert snapshot.files("docs/a.md/") == snapshot.files("nowhere/") == []
    assert read and other.isdisjoint(read)
    assert snapshot.files("/") == snapshot.files("//") == []
    assert snapshot.files("docs") == ["docs.md", "docs/a.md", "docs/b/c.md"]
    assert snapshot.folder("docs/a.md") == snapshot.folder("nowhere/x") == "" and snapshot.folder("") == snapshot.tree
