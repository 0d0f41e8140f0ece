"""The seed: a folder becomes the first commit, unchanged to the byte, or an error that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from registry_kit import fsck, write

from micro_agi_kernel.entries import to_files
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.registry import Registry, seed_changeset
from micro_agi_kernel.registry.layout import FORMAT_CONTENT

FILES = {
    "app/dev_assistant.yaml": b"kind: registry.entry\nmeta:\n  type: agent.gen1\n",
    "app/tools/create_tool.yaml": b"kind: function.lua\nmeta:\n  type: tool\ndata:\n  source: file://create_tool.lua\n",
    "app/tools/create_tool.lua": b"return {}\n",
    "docs/lua/core/time.md": b"# time\n",
    "docs/.DS_Store": b"\x00",
}


def plant_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def test_a_folder_becomes_the_first_commit(empty: Registry, tmp_path: Path) -> None:
    folder = plant_folder(tmp_path / "seed", FILES)
    version = write(empty, seed_changeset(folder), actor="service:installer")
    assert version.number == 1 and version.actor == "service:installer" and version.subject == "Change 2 entries"
    assert version.files == ("docs/lua/core/time.md", "registry.yaml")
    snapshot = empty.snapshot()
    for path, content in FILES.items():
        assert snapshot.file(path) == (None if path == "docs/.DS_Store" else content)
    assert snapshot.file("registry.yaml") == FORMAT_CONTENT and snapshot.problems() == []
    for entry in snapshot.entries():  # written again, it would be the same bytes: a later edit is a small diff
        assert all(content in FILES.values() for content in to_files(entry).values())
    fsck(empty.path)


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("app/bad.yaml", b"kind: [", "app/bad.yaml: broken YAML"),
        ("app/orphan.lua", b"x", "app/orphan.lua: a Lua source without"),
        ("app/dev_assistant.lua", b"x", "app/dev_assistant.lua: the entry beside it does not name it"),
        ("stray.yml", b"x", "stray.yml: not a file of an entry, nor of docs/"),
        ("app/Bad Name.yaml", b"kind: x\n", "Bad Name.yaml: the file's name cannot be the name of an entry"),
        ("docs/con:.md", b"x", "bad file path 'docs/con:.md'"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, path: str, content: bytes, message: str) -> None:
    folder = plant_folder(tmp_path / "seed", {**FILES, path: content})
    with pytest.raises(EntryError) as error:
        seed_changeset(folder)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_no_seed(tmp_path: Path) -> None:
    with pytest.raises(EntryError, match="no seed at"):
        seed_changeset(tmp_path / "nowhere")
