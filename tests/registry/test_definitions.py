"""Definition files: the reference's form becomes entries, and whatever is wrong with one is a line that names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.registry.files import definitions
from micro_agi_kernel.registry.files.definitions import read_definitions, read_tree

INDEX = b"""\
version: "1.0"
namespace: shop.api
meta: {team: sales, rank: 1}
entries:
  - name: get_user
    kind: function.lua
    meta: {comment: Fetches a user, rank: 2}
    source: file://lua/get_user.lua
    method: handler
    modules: [time]
  - name: get_user.endpoint
    kind: http.endpoint
    path: /users/{id}
    func: get_user
  - {name: mail, kind: template.jet, source: file://mail.jet, pages: {GUIDE.md: file://./guide.md}}
  - {name: wrapped, kind: registry.entry, meta: null, data: {kind: x, name: y}}
"""
FILES = {
    "_index.yaml": INDEX,
    "lua/get_user.lua": b"return {}\r\n",
    "mail.jet": b"Dear {{ name }}",
    "guide.md": "Für dich".encode(),
}


def plant(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def entry(id: str, kind: str, meta: dict[str, object], data: dict[str, object]) -> Entry:
    return Entry(EntryId.parse(id), kind, meta, data)  # type: ignore[arg-type]


def test_an_index_file(tmp_path: Path) -> None:
    found = read_definitions(plant(tmp_path, FILES) / "_index.yaml")
    assert found == [
        entry(
            "shop.api:get_user",
            "function.lua",
            {"team": "sales", "rank": 2, "comment": "Fetches a user"},
            {"source": "return {}\r\n", "method": "handler", "modules": ["time"]},
        ),
        entry(
            "shop.api:get_user.endpoint",
            "http.endpoint",
            {"team": "sales", "rank": 1},
            {"path": "/users/{id}", "func": "get_user"},
        ),
        entry(
            "shop.api:mail",
            "template.jet",
            {"team": "sales", "rank": 1},
            {"source": "Dear {{ name }}", "pages": {"GUIDE.md": "Für dich"}},
        ),
        entry("shop.api:wrapped", "registry.entry", {"team": "sales", "rank": 1}, {"kind": "x", "name": "y"}),
    ]


def test_the_example_of_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/registry.md").read_text()
    index = page.partition("```yaml\n")[2].partition("```")[0].encode()
    (found,) = read_definitions(plant(tmp_path, {"_index.yaml": index, "greet.lua": b"return 1"}) / "_index.yaml")
    assert str(found.id) == "app.mine:greet" and found.is_tool and found.modules == ("time",)


@pytest.mark.parametrize(
    "content",
    [
        b"{id: app:x, kind: registry.entry, meta: {a: 1}, data: {b: [2]}}",
        b"{id: app:x, kind: registry.entry, meta: {a: 1}, b: [2]}",
        b'{"id": "app:x", "kind": "registry.entry", "meta": {"a": 1}, "data": {"b": [2]}, "commit": "0123"}',
        b"{version: '1.0', namespace: app, name: x, kind: registry.entry, meta: {a: 1}, b: [2]}",
        b"{namespace: app, entries: [{name: x, kind: registry.entry, meta: {a: 1}, b: [2]}]}",
    ],
)
def test_the_spellings_of_one_entry(tmp_path: Path, content: bytes) -> None:
    file = plant(tmp_path, {"x.yaml": content}) / "x.yaml"
    assert read_definitions(file) == [entry("app:x", "registry.entry", {"a": 1}, {"b": [2]})]


def test_a_project_is_every_index_file_below(tmp_path: Path) -> None:
    nested = {f"src/api/{path}": content for path, content in FILES.items()}
    other = b"namespace: shop\nentries: []\n"
    plant(tmp_path, {**nested, "_index.yaml": other, ".git/_index.yaml": b"{", "node_modules/_index.yaml": b"{"})
    (tmp_path / "linked").symlink_to(tmp_path / "src")
    assert [str(found.id) for found in read_tree(tmp_path)][:2] == ["shop.api:get_user", "shop.api:get_user.endpoint"]
    assert len(read_tree(tmp_path)) == 4
    with pytest.raises(EntryError, match="holds neither an _index"):
        read_tree(plant(tmp_path / "other", {"x.yaml": b"id: app:x"}))
    with pytest.raises(EntryError, match="nowhere: cannot be read: No such file"):
        read_tree(tmp_path / "nowhere")


def one(fields: str) -> bytes:
    return f"namespace: app\nentries: [{{name: x, kind: registry.entry, {fields}}}]".encode()


WRONG = [
    (b"- a", "an index file has namespace and entries, the file of one entry has id and kind"),
    (b"kind: registry.entry", "an index file has namespace and entries"),
    (b"namespace: app", "entries must be a list"),
    (b"namespace: app\nentries: {x: 1}", "entries must be a list"),
    (b"namespace: app\nentries: [x]", "entry 1 must be a mapping"),
    (b"namespace: app\nmeta: [1]\nentries: []", "meta must be a mapping"),
    (b"namespace: app\nentries: [{kind: x}]", "entry 1: bad name in 'app:'"),
    (b"namespace: docs\nentries: [{name: x, kind: x}]", "entry 1: 'docs' is no namespace"),
    (b"namespace: App\nentries: [{name: x, kind: x}]", "entry 1: bad namespace"),
    (b"namespace: [app]\nentries: [{name: x, kind: x}]", "entry 1: bad namespace"),
    (b"namespace: app\nentries: [{name: ../../x, kind: x}]", "entry 1: bad name"),
    (b"namespace: app\nentries: [{name: x}]", "app:x: kind is missing"),
    (b"id: app:x\nkind: 5", "app:x: kind is missing"),
    (b"id: nothing\nkind: x", "not an entry id"),
    (one("meta: 5"), "entry 1: meta must be a mapping"),
    (one("data: 5"), "app:x: data must be a mapping"),
    (one("data: {a: 1}, b: 2"), "app:x: 'b' stands beside data, where it would be lost"),
    (one("a: file://none.lua"), "none.lua: there is no such file"),
    (one("a: file://"), "not an ordinary file"),
    (one("a: file://folder"), "folder: not an ordinary file"),
    (one("a: file://pipe"), "pipe: not an ordinary file"),
    (one("a: file://../secret"), "secret: lies outside of"),
    (one("a: file://folder/../../secret"), "secret: lies outside of"),
    (one("a: file:///etc/passwd"), "/etc/passwd: lies outside of"),
    (one("a: file://link"), "link: lies outside of"),
    (one("meta: {deep: [{a: file://link}]}"), "link: lies outside of"),
    (one("a: file://circle"), "circle: "),
    (one('a: "file://nul\\0"'), "embedded null"),
    (one(f"a: file://{'x' * 300}"), "File name too long"),
    (one("a: file://latin"), "latin: not UTF-8 text"),
    (one("a: file://large"), "large: larger than"),
    (b"namespace: app\nentries: [", "broken YAML at line 3"),
    (b"a: &a [x]\nnamespace: app\nentries: [*a, *a]", "aliases"),
    (b"namespace: app\nnamespace: b", "a key stands twice"),
    (b"[" * 30_000, "nested deeper than"),
    (b"namespace: app\n#" + b"x" * definitions.MAX_DEFINITIONS, "larger than"),
]


@pytest.mark.parametrize(("content", "line"), WRONG, ids=[line for _, line in WRONG])
def test_what_is_wrong_is_one_line_that_names_the_file(tmp_path: Path, content: bytes, line: str) -> None:
    folder = plant(tmp_path / "project", {"_index.yaml": content, "folder/x": b"", "latin": b"\xff"})
    (tmp_path / "secret").write_text("a password")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "circle").symlink_to(folder / "circle")
    os.mkfifo(folder / "pipe")
    with (folder / "large").open("wb") as large:
        large.truncate((16 << 20) + 1)
    with pytest.raises(EntryError) as error:
        read_definitions(folder / "_index.yaml")
    said = str(error.value)
    assert line in said and str(tmp_path) in said and "\n" not in said and "a password" not in said


def test_a_link_inside_of_the_folder_is_followed(tmp_path: Path) -> None:
    folder = plant(tmp_path / "project", {"_index.yaml": one("a: file://link"), "folder/x": b"here"})
    (folder / "link").symlink_to("folder/x")
    assert read_definitions(folder / "_index.yaml")[0].data == {"a": "here"}
    (tmp_path / "same").symlink_to(folder)
    assert read_definitions(tmp_path / "same" / "_index.yaml")[0].data == {"a": "here"}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "_index.yaml").symlink_to(folder / "_index.yaml")
    with pytest.raises(EntryError, match="lies outside of"):
        read_tree(tmp_path / "out")


def test_all_files_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micro_agi_kernel.registry.files.folders.MAX_BYTES", 1_000)
    files = {"_index.yaml": one("a: [file://x, file://x, file://x]"), "x": b"x" * 400}
    with pytest.raises(EntryError, match="more than 1000 bytes are to be read at once"):
        read_definitions(plant(tmp_path, files) / "_index.yaml")
    monkeypatch.setattr("micro_agi_kernel.registry.files.folders.MAX_FILES", 1)
    with pytest.raises(EntryError, match="more than 1 files"):
        read_tree(tmp_path)
