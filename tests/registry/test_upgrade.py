"""A newer package brings its seed: what nobody touched follows it, what somebody changed stays and is named."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from registry_kit import ANN, body, create, delete, fsck, thing, tool, update, write

from micro_agi_kernel import __version__
from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.layout import FORMAT_CONTENT
from micro_agi_kernel.resources import resource
from micro_agi_kernel.seeding import install_seed
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.workspace import open_registry

SEED = resource("registry_repo")
OLDER = {
    "app/dev_assistant.yaml": b"kind: registry.entry\nmeta:\n  type: agent.gen1\n",  # another one then
    "app/gpt-5.1.yaml": b"kind: registry.entry\nmeta:\n  name: older\n",
    "app/gpt-4.1-nano.yaml": b"kind: registry.entry\nmeta:\n  name: older\n",
    "app/tools/gone_since.yaml": b"kind: registry.entry\n",
    "app/tools/registry_list.yaml": None,  # not there yet
    "app/tools/registry_list.lua": None,
    "docs/gone_since.md": b"# Gone since\n",
    "docs/lua/core/time.md": b"# An older page\n",
}


def id(text: str) -> EntryId:
    return EntryId.parse(text)


def state(registry: Registry, text: str) -> Entry | None:
    return registry.snapshot().get(id(text))


@pytest.fixture(scope="module")
def older_seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shutil.copytree(SEED, tmp_path_factory.mktemp("older") / "seed")
    for path, content in OLDER.items():
        if content is None:
            (folder / path).unlink()
        else:
            (folder / path).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def older(older_seed: Path) -> Path:
    """A registry that the older package made."""
    path = older_seed.parent / "registry.git"
    with Registry.create(path) as registry:
        assert install_seed(registry, ANN, older_seed) == ""
    return path


@pytest.fixture
def registry(older: Path, tmp_path: Path) -> Iterator[Registry]:
    path = shutil.copytree(older, tmp_path / "registry.git")
    with Registry.open(path) as registry:
        yield registry


def upgrade(registry: Registry, folder: Path = SEED) -> str:
    return install_seed(registry, ANN, folder)


def change(registry: Registry, text: str) -> Entry:
    """What a person does to an entry."""
    entry = state(registry, text)
    assert entry is not None
    entry = replace(entry, meta={**entry.meta, "mine": True})
    write(registry, update(entry), actor="user:Ann")
    return entry


def test_untouched_entries_follow_the_seed(registry: Registry) -> None:
    first = registry.snapshot()
    own = tool("app.tools:mine")
    write(registry, create(own), actor="user:Ann")
    notice = upgrade(registry)
    assert notice == f"the registry was brought to Micro AGI {__version__}: 4 entries and 1 page are new, 2 gone"
    version = registry.version("main")
    assert (version.actor, version.author.name) == ("service:installer", "service:installer")
    assert body(registry) == f"The entries and pages that come with Micro AGI {__version__}."
    assert version.trailers["Source-SHA256"]
    assert state(registry, "app.tools:registry_list") is not None and state(registry, "app.tools:gone_since") is None
    assert state(registry, "app.tools:mine") == own
    after = registry.snapshot()
    for path in ("app/dev_assistant.yaml", "docs/lua/core/time.md"):
        assert after.file(path) == (SEED / path).read_bytes() != first.file(path)
    assert after.file("docs/gone_since.md") is None and after.file("registry.yaml") == first.file("registry.yaml")
    fsck(registry.path)


def test_what_a_person_changed_stays_and_is_named(registry: Registry) -> None:
    ours = change(registry, "app:gpt-5.1")
    write(registry, delete("app:gpt-4.1-nano"), actor="user:Ann")
    unchanged_since = change(registry, "app:demo")  # the seed has nothing new for it: not worth a word
    page = FileChange("docs/lua/core/time.md", b"# Mine\n")
    write(registry, Changeset((), (page,)), actor="user:Ann")
    kept = "app:gpt-4.1-nano, app:gpt-5.1, docs/lua/core/time.md"
    notice = upgrade(registry)
    assert notice.startswith(f"the registry was brought to Micro AGI {__version__}: 2 entries are new, 2 gone; ")
    assert notice.endswith(f"; kept as you changed them: {kept}")
    assert f"Kept as they were changed here: {kept}." in body(registry)
    assert state(registry, "app:gpt-5.1") == ours and state(registry, "app:demo") == unchanged_since
    assert state(registry, "app:gpt-4.1-nano") is None and registry.snapshot().file(page.path) == page.content


def test_nothing_but_kept_entries_makes_no_commit(registry: Registry, older_seed: Path, tmp_path: Path) -> None:
    change(registry, "app:gpt-5.1")
    newer = shutil.copytree(older_seed, tmp_path / "newer")
    (newer / "app/gpt-5.1.yaml").write_bytes(b"kind: registry.entry\nmeta:\n  name: newer\n")
    before = registry.head()
    said = f"Micro AGI {__version__} comes with other versions; kept as you changed it: app:gpt-5.1"
    assert upgrade(registry, newer) == said
    assert registry.head() == before and upgrade(registry, newer) == ""


def test_a_seed_is_brought_once_whatever_is_forgotten(registry: Registry, older_seed: Path) -> None:
    assert upgrade(registry) != ""
    head = registry.head()
    for seed in (SEED, older_seed, SEED):  # an older package beside the newer one takes nothing back
        (registry.path / "micro-agi/seed").unlink()
        assert upgrade(registry, seed) == "" and registry.head() == head
    change(registry, "app:dev_assistant")
    assert upgrade(registry) == ""


def test_an_upgrade_after_an_upgrade_compares_with_the_last(registry: Registry, tmp_path: Path) -> None:
    upgrade(registry)
    change(registry, "app:gpt-5.1")
    third = shutil.copytree(SEED, tmp_path / "third")
    (third / "app/dev_assistant.yaml").write_bytes(OLDER["app/dev_assistant.yaml"] or b"")
    (third / "app/gpt-5.1.yaml").write_bytes(OLDER["app/gpt-5.1.yaml"] or b"")
    (third / "app/tools/gone_since.yaml").write_bytes(b"kind: registry.entry\n")  # it is back
    notice = upgrade(registry, third)
    assert notice.endswith("2 entries are new; kept as you changed it: app:gpt-5.1")
    assert state(registry, "app.tools:gone_since") is not None


def test_a_registry_that_no_installer_made_is_left_alone(tmp_path: Path) -> None:
    with Registry.create(tmp_path / "own.git") as registry:
        first = Changeset(create(thing("app:demo")).operations, (FileChange("registry.yaml", FORMAT_CONTENT),))
        write(registry, first, actor="user:Ann")
        head = registry.head()
        assert upgrade(registry) == "" and registry.head() == head


def test_several_processes_bring_it_once(registry: Registry) -> None:
    said: list[str] = []

    def work() -> None:
        with Registry.open(registry.path) as mine:
            said.append(upgrade(mine))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.snapshot().number == 2 and len([line for line in said if line]) == 1
    fsck(registry.path)


def test_a_change_while_it_is_being_brought_is_kept(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = registry.commit
    ours = replace(state(registry, "app:gpt-5.1") or thing("app:x"), meta={"mine": True})

    def slow(*arguments: object, **rest: object) -> object:
        monkeypatch.undo()
        write(registry, update(ours), actor="user:Ann")
        return commit(*arguments, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(registry, "commit", slow)
    assert upgrade(registry).endswith("kept as you changed it: app:gpt-5.1")
    assert state(registry, "app:gpt-5.1") == ours


def test_opening_upgrades_and_says_so(older: Path, tmp_path: Path) -> None:
    shutil.copytree(older, tmp_path / "registry.git")
    said: list[str] = []
    for _ in range(2):
        open_registry(Settings(home=tmp_path), said.append).close()
    assert len(said) == 1 and said[0].startswith("the registry was brought to Micro AGI")


def test_a_registry_that_cannot_be_written_opens(older: Path, tmp_path: Path) -> None:
    path = shutil.copytree(older, tmp_path / "registry.git")
    (path / "micro-agi/lock").unlink()
    (path / "micro-agi/lock").mkdir()
    said: list[str] = []
    with open_registry(Settings(home=tmp_path), said.append) as registry:
        assert registry.snapshot().number == 1
    assert len(said) == 1 and said[0].startswith("the registry could not be brought to Micro AGI")


def test_an_entry_in_the_way_is_one_line(older: Path, tmp_path: Path) -> None:
    path = shutil.copytree(older, tmp_path / "registry.git")
    with Registry.open(path) as registry:
        write(registry, create(thing("app.tools:Registry_List")), actor="user:Ann")
    said: list[str] = []
    open_registry(Settings(home=tmp_path), said.append).close()
    assert len(said) == 1 and "cannot stand beside" in said[0]
