"""Layout: where an entry lies and what its files hold, to the byte; and what may not be a path."""

from __future__ import annotations

import pytest
from conformance_kit import vectors
from registry_kit import create, fsck, git, thing, tool, write

from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange, from_files, to_files
from micro_agi_kernel.errors import EntryError, Refused, RegistryError
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.layout import FLAT, FORMAT_CONTENT, check_file_path, read_format

CURRENT_TIME = Entry(
    EntryId.parse("app.generated:current_time"),
    "function.lua",
    {
        "type": "tool",
        "title": "Current time",
        "input_schema": {"type": "object", "properties": {}},
        "llm_alias": "current_time",
        "llm_description": "Returns the current UTC time.\nIn RFC 3339.",
    },
    {
        "source": 'local time = require("time")\nreturn { handler = function() return time.now() end }\n',
        "modules": ["time"],
    },
)
GOLDEN_YAML = b"""\
kind: function.lua
meta:
  type: tool
  title: Current time
  input_schema:
    type: object
    properties: {}
  llm_alias: current_time
  llm_description: |-
    Returns the current UTC time.
    In RFC 3339.
data:
  source: file://current_time.lua
  modules:
  - time
"""


def test_an_entry_is_written_to_the_byte_as_the_contract_says(registry: Registry) -> None:
    write(registry, create(CURRENT_TIME, thing("app:gpt-5.1", "registry.entry", context=128000, on=True)))
    assert git(registry.path, "ls-tree", "-r", "--name-only", "main").splitlines() == [
        "app/generated/current_time.lua",
        "app/generated/current_time.yaml",
        "app/gpt-5.1.yaml",
        "registry.yaml",
    ]
    snapshot = registry.snapshot()
    assert snapshot.file("app/generated/current_time.yaml") == GOLDEN_YAML
    assert snapshot.file("app/generated/current_time.lua") == CURRENT_TIME.source.encode()  # type: ignore[union-attr]
    assert snapshot.file("app/gpt-5.1.yaml") == b"kind: registry.entry\ndata:\n  context: 128000\n  on: true\n".replace(
        b"  on:", b"  'on':"
    )
    assert snapshot.get(CURRENT_TIME.id) == CURRENT_TIME
    fsck(registry.path)


@pytest.mark.parametrize(
    ("path", "id"),
    [
        ("app/dev_assistant.yaml", "app:dev_assistant"),
        ("app/tools/create_tool.lua", "app.tools:create_tool"),
        ("app/gpt-5.1.yaml", "app:gpt-5.1"),
        ("app/a.lua.yaml", "app:a.lua"),
        ("registry.yaml", None),
        ("docs/lua/core/time.md", None),
        ("docs/x.yaml", None),
        ("app/README.md", None),
        ("app/x.yml", None),
        ("App/x.yaml", None),
        ("app/a.b/x.yaml", None),
        ("app//x.yaml", None),
        ("app/../x.yaml", None),
        ("app/_07/x.yaml", None),
        ("app/.yaml", None),
        ("app/con.yaml", None),
    ],
)
def test_paths_and_ids(path: str, id: str | None) -> None:
    found = FLAT.entry_id(path)
    assert (str(found) if found else None) == id
    if found:
        assert path in (FLAT.entry_path(found), FLAT.source_path(found))


BAD_IDS = [
    *("", ":", "app", "app:", ":x", "a:b:c", "App:x", "app..b:x", ".app:x", "app.:x", "1a:x", "app:1", "app:-x"),
    *("app:.x", "app:x/y", "app/x:y", "app:..", "app:x\n", "app:x ", "app:é", "docs:x", "docs.a:x", "app:con"),
    *("app:NUL.x", "com1:x", "app:x.lock", "app:x.git", "app:.git", "app:x.", "app:x\x00"),
    *("app:" + "x" * 129, "a" * 65 + ":x", "a.b" * 80 + ":x"),
]


@pytest.mark.parametrize("id", BAD_IDS)
def test_hostile_ids_are_refused(id: str) -> None:
    with pytest.raises(EntryError):
        EntryId.parse(id)


def test_hostile_ids_are_refused_by_commit_too(registry: Registry) -> None:
    evil = Entry(EntryId("app.generated", "../../HEAD"), "function.lua", {}, {"source": "x"})
    with pytest.raises(EntryError):
        write(registry, create(evil))
    assert registry.snapshot().number == 1


def test_naughty_strings_are_no_ids_and_no_paths() -> None:
    for text in vectors("naughty_strings.json"):
        try:
            EntryId.generated(text)
        except EntryError:
            continue
        assert text.isascii() and text.isidentifier()


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "/",
            "/etc/passwd",
            "a/../b",
            "a//b",
            "./a",
            "a/",
            ".git/config",
            "docs/.GIT/x",
            "docs/git~1/x",
            "docs/a\\b",
            "docs/a:b",
        ),
        *(
            "docs/a\nb",
            "docs/\u202eb",
            "docs/x.",
            "docs/ x",
            "docs/x ",
            "docs/" + "x" * 600,
            "docs/\x00",
            "docs/\ud800",
        ),
        *("app/x.yaml", "app/generated/x.lua", ".gitattributes", "docs/a  b"),
    ],
)
def test_hostile_file_paths_are_refused(path: str, registry: Registry) -> None:
    with pytest.raises(EntryError):
        check_file_path(path)
    with pytest.raises(EntryError):
        write(registry, Changeset((), (FileChange(path, b"x"),)))


def test_the_format_is_checked() -> None:
    assert read_format(FORMAT_CONTENT) == FLAT
    for content in (b"format: 2\nlayout: folders\n", b"format: 3\n", b"format: 2\nlayout: {by: hash}\n"):
        with pytest.raises(RegistryError, match=r"^registry\.yaml names a format .*: upgrade micro-agi-kernel$"):
            read_format(content)


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b"[",
            b"- 1",
            b"garbage",
            b"\0\0",
            b"format: 1\n",
            b"format: 0\nlayout: folders\n",
            b"layout: folders\n",
        ),
        *(b"format: 1\nlayout: folders\nshards: 64\n", b"format: two\nlayout: folders\n", b"format: 1\nlayout: hash\n"),
    ],
)
def test_garbage_is_not_taken_for_a_newer_format(content: bytes) -> None:
    with pytest.raises(RegistryError, match=r"^registry\.yaml: .*; put it back as an earlier commit of that") as error:
        read_format(content)
    assert "upgrade" not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "path", ["README.md", "LICENSE", ".gitignore", "app/README", "app/tools/logo.png", "x/y/z.json"]
)
def test_somebodys_own_files_are_no_problem(path: str, registry: Registry) -> None:
    assert FLAT.why_stray(path) == ""
    write(registry, Changeset((), (FileChange(path, b"x"),)))
    snapshot = registry.snapshot()
    assert snapshot.problems() == [] and path in snapshot.files()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        *(
            (path, "not a file of an entry, nor of docs/")
            for path in ("x.yaml", "notes.yml", "app/x.yml", "a/B/x.yaml")
        ),
        *((path, "reserves") for path in (".gitattributes", "app/.gitmodules", "x/../y", "app/dot.")),
        ("app/a:b.png", "a character that not every file system can hold"),
    ],
)
def test_what_can_stand_nowhere_is_a_stray(path: str, why: str) -> None:
    assert why in FLAT.why_stray(path)


def test_the_format_file_cannot_be_removed_or_replaced(registry: Registry) -> None:
    for content in (None, b"format: 9\n"):
        with pytest.raises(RegistryError):
            write(registry, Changeset((), (FileChange("registry.yaml", content),)))


@pytest.mark.parametrize("first, second", [("app:Foo", "app:foo"), ("app:gpt-5.1", "app:GPT-5.1")])
def test_twins_in_case_only_are_refused(registry: Registry, first: str, second: str) -> None:
    with pytest.raises(Refused, match="cannot stand beside"):
        write(registry, create(thing(first), thing(second)))
    write(registry, create(thing(first)))
    with pytest.raises(Refused, match="cannot stand beside"):
        write(registry, create(thing(second)))


def test_a_file_cannot_stand_where_a_folder_is(registry: Registry) -> None:
    write(registry, Changeset((), (FileChange("docs/a/b.md", b"x"),)))
    for path in ("docs/a", "docs/a/b.md/c", "docs/A/c.md", "docs/a/B.md", "DOCS/x.md"):
        with pytest.raises(Refused, match="cannot stand beside"):
            write(registry, Changeset((), (FileChange(path, b"x"),)))
    with pytest.raises(Refused, match="cannot stand beside"):
        write(registry, Changeset((), (FileChange("docs/n", b"x"), FileChange("docs/n/m", b"x"))))


def test_what_is_written_can_be_read_back() -> None:
    link = thing("app:link", "registry.entry", source="file://elsewhere.lua")
    files = to_files(link)
    assert from_files(link.id, files) == link
    with pytest.raises(EntryError):
        to_files(thing("app:x", ""))
    shadowed = tool("x", "file://y.lua")
    assert from_files(shadowed.id, to_files(shadowed)) == shadowed
