"""Trust: what is used only after the person said so, and the file that remembers it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import ModelError, RegistryError, SettingsError
from micro_agi_kernel.models.catalog import ModelSpec, read_spec
from micro_agi_kernel.models.endpoint import endpoint_of
from micro_agi_kernel.registry.commits import CommitObject
from micro_agi_kernel.registry.objects import Objects
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.trust import (
    Trust,
    TrustedKey,
    TrustedModel,
    TrustedRegistry,
    change_trust,
    choose_registry,
    pairs,
    project_place,
    project_registry,
    read_trust,
    with_trust,
)
from micro_agi_kernel.workspace import open_registry

KEY = "sk-secret"
URL = "https://models.example/v1"
ITEMS = (
    TrustedRegistry('/a "b"\\\x7f\n\U0001f600/.micro-agi/registry.git', "0" * 40),
    TrustedModel("/r.git", "app:m", URL, "M_KEY"),
    TrustedKey("SHA256:x", "ssh-ed25519 AAAA ann"),
)


def trust(home: Path, *items: Any) -> None:
    change_trust(home, lambda old: old.with_items(items))


# The file


def test_the_file_keeps_what_it_is_given(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert read_trust(home) == Trust()
    trust(home, *ITEMS)
    trust(home, *ITEMS)
    assert read_trust(home).items == ITEMS and read_trust(home).of(TrustedModel) == ITEMS[1:2]
    assert stat.S_IMODE((home / "trust.toml").stat().st_mode) == 0o600
    assert [file.name for file in home.iterdir()] == ["trust.toml"]


def test_another_registry_at_a_path_takes_its_place(tmp_path: Path) -> None:
    other = TrustedRegistry(ITEMS[0].path, "1" * 40)
    trust(tmp_path, ITEMS[0])
    trust(tmp_path, other)
    assert read_trust(tmp_path).items == (other,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[registries]]\n", "unknown key 'registries'"),
        ("registry = 1\n", "unknown key 'registry'"),
        ('[[key]]\nfingerprint = "x"\n', r"\[\[key\]\] has exactly the keys fingerprint, line"),
        ('[[key]]\nfingerprint = "x"\nline = "y"\nmore = "z"\n', "has exactly the keys"),
        ('[[key]]\nfingerprint = 1\nline = "y"\n', "is a text"),
        ("[[", "cannot read"),
        ("\udcff", "cannot read"),
    ],
)
def test_a_file_that_is_wrong_trusts_nothing(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "trust.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    file.chmod(0o600)
    for act in (read_trust, lambda home: trust(home, ITEMS[1])):
        with pytest.raises(SettingsError, match=said) as error:
            act(tmp_path)
        assert "\n" not in str(error.value) and "trust.toml" in str(error.value)
    assert [item.name for item in tmp_path.iterdir()] == ["trust.toml"]


def test_a_file_that_others_can_write_is_not_believed(tmp_path: Path) -> None:
    trust(tmp_path, ITEMS[1])
    (tmp_path / "trust.toml").chmod(0o620)
    with pytest.raises(SettingsError, match="others can write"):
        read_trust(tmp_path)


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    items = [TrustedKey(f"SHA256:{n}", "x y") for n in range(8)]
    threads = [threading.Thread(target=trust, args=(tmp_path, item)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key.fingerprint for key in read_trust(tmp_path).of(TrustedKey)) == [k.fingerprint for k in items]


def test_a_left_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micro_agi_kernel.trust.WAIT_SECONDS", 0.0)
    (tmp_path / "trust.toml.lock").touch()
    with pytest.raises(SettingsError, match=r"remove that file"):
        trust(tmp_path, ITEMS[1])


def test_a_path_that_is_no_text_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot write"):
        trust(tmp_path, TrustedRegistry("/\udcff", ""))
    assert list(tmp_path.iterdir()) == []


# A project's registry


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "registry.git"
    open_registry(Settings(registry=str(path))).close()
    return path


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a registry of its own; the working folder is one inside it."""
    folder = tmp_path / "project"
    shutil.copytree(made, folder / ".micro-agi/registry.git")
    (folder / "notebooks").mkdir()
    monkeypatch.chdir(folder / "notebooks")
    return folder


def settings(project: Path, **arguments: object) -> Settings:
    return load_settings({"MICRO_AGI_HOME": str(project.parent / "home"), "HOME": str(project.parent)}, **arguments)


def test_a_projects_registry_is_used_once_it_is_trusted(project: Path) -> None:
    found, place = settings(project), project_place(project)
    assert found.project == place == project / ".micro-agi/registry.git"
    path, line = choose_registry(found)
    assert path == found.home / "registry.git"
    assert line == (
        f"using the default registry, not this project's {place}: you have not trusted it: "
        f"`micro-agi registry trust {place}`"
    )
    trust(found.home, project_registry(place))
    assert choose_registry(found) == (place, "")
    said: list[str] = []
    with open_registry(found, said.append) as registry:
        assert registry.path == place and not said


def test_what_a_person_names_needs_no_trust(project: Path) -> None:
    for named in (settings(project, registry="/x.git"), settings(project, registry=str(project_place(project)))):
        assert choose_registry(named) == (Path(named.registry), "")


def test_another_registry_at_the_trusted_place_is_asked_again(project: Path) -> None:
    found, place = settings(project), project_place(project)
    trust(found.home, project_registry(place))
    shutil.rmtree(place)
    open_registry(Settings(registry=str(place))).close()
    (first,) = read_trust(found.home).of(TrustedRegistry)
    if project_registry(place) == first:  # the same second, hence the same commit
        trust(found.home, TrustedRegistry(first.path, "0" * 40))
    path, line = choose_registry(found)
    assert path == found.home / "registry.git" and "another one than you trusted lies there" in line


def git(place: Path, *arguments: str) -> str:
    """Run real git there, without anyone's configuration; its output, stripped."""
    who = {f"GIT_{role}_{what}": "ann@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {"PATH": os.environ["PATH"], "HOME": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **who}
    return subprocess.run(
        ["git", *arguments], cwd=place, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


def commits(place: Path, count: int, parent: str = "main", *more: str) -> str:
    """So many commits more, from `parent` on; `main` names the last of them."""
    tree = git(place, "rev-parse", "main^{tree}")
    for number in range(count):
        parents = [word for each in (parent, *more) if each for word in ("-p", each)]
        parent, more = git(place, "commit-tree", tree, *parents, "-m", f"number {number}"), ()
    git(place, "update-ref", "refs/heads/main", parent)
    return parent


@pytest.mark.parametrize("way", ["beside", "second parent"])
def test_a_registry_that_only_holds_the_first_commit_is_another_one(project: Path, way: str) -> None:
    found, place = settings(project), project_place(project)
    trusted = commits(place, 1)
    trust(found.home, project_registry(place))
    other = commits(place, 1, "")
    commits(place, 2, other, *([trusted] if way == "second parent" else []))
    path, line = choose_registry(found)
    assert path == found.home / "registry.git" and "another one than you trusted lies there" in line


def test_a_long_history_is_walked_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micro_agi_kernel.trust.STEPS", 3)
    found, place = settings(project), project_place(project)
    first = git(place, "rev-list", "--max-parents=0", "main")
    trust(found.home, TrustedRegistry(str(place), first))
    read: list[str] = []
    one = Objects._commit

    def commit(objects: Objects, id: str) -> CommitObject:
        read.append(id)
        return one(objects, id)

    monkeypatch.setattr(Objects, "_commit", commit)
    for more, steps in ((10, 10), (0, 0), (2, 2), (0, 2), (3, 5), (0, 0)):
        commits(place, more) if more else None
        read.clear()
        assert (choose_registry(found), len(read)) == ((place, ""), steps)
    (kept,) = read_trust(found.home).of(TrustedRegistry)
    assert (kept.first_commit, kept.checked) == (first, git(place, "rev-parse", "main"))
    git(place, "update-ref", "refs/heads/main", "main~12")
    assert choose_registry(found) == (place, ""), "what is known no longer lies on the line"
    trust(found.home, TrustedRegistry(str(place), first))
    monkeypatch.setattr("micro_agi_kernel.trust.change_trust", refuse)
    assert choose_registry(found) == (place, ""), "where nothing can be written it is walked each time"


def refuse(home: Path, change: object) -> Trust:
    raise SettingsError("cannot write")


def test_a_damaged_registry_is_said_to_be(project: Path) -> None:
    found, place = settings(project), project_place(project)
    trust(found.home, project_registry(place))
    (place / "refs/heads/main").write_text("nonsense")
    path, line = choose_registry(found)
    assert path == found.home / "registry.git" and "\n" not in line
    assert "does not name a commit: run `micro-agi registry verify --repair`" in line
    assert line.endswith(f"and name {place} by --registry")


def test_no_trust_opens_what_is_not_the_projects_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, place = settings(project), project_place(project)
    trust(found.home, project_registry(place))
    kept = place.rename(project / "elsewhere.git")
    for spoil, why in (
        (lambda: place.symlink_to(kept), "registry.git is a symbolic link"),
        (lambda: place.touch(), "it is no Git repository"),
        (lambda: place.mkdir(), "it is no Git repository"),
    ):
        spoil()
        path, line = choose_registry(found)
        assert path == found.home / "registry.git" and line.endswith(why)
        with pytest.raises(RegistryError, match=why):
            project_registry(place)
        place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
    kept.rename(place)
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    assert choose_registry(found)[1].endswith(".micro-agi belongs to another user")


def test_a_folder_of_links_is_no_projects_own(project: Path) -> None:
    found = settings(project)
    (project / ".micro-agi").rename(project / "real")
    (project / ".micro-agi").symlink_to("real")
    assert choose_registry(found)[1].endswith(".micro-agi is a symbolic link")


def test_only_a_projects_registry_can_be_trusted(made: Path) -> None:
    with pytest.raises(RegistryError, match="only a project's registry"):
        project_registry(made)


def test_a_hostile_name_stays_one_line(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a\n`id`; \x1b[2J"
    shutil.copytree(made, folder / ".micro-agi/registry.git")
    monkeypatch.chdir(folder)
    line = choose_registry(load_settings({"MICRO_AGI_HOME": str(tmp_path), "HOME": str(tmp_path)}))[1]
    assert line.isprintable()


def test_a_working_folder_that_is_gone_has_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert load_settings({"MICRO_AGI_HOME": str(tmp_path), "HOME": str(tmp_path)}).project == Path()


# A key for a server that an entry names


def model(url: str | None = URL, key: str | None = "M_KEY") -> ModelSpec:
    named = {name: value for name, value in (("base_url", url), ("api_key_env", key)) if value}
    provider: Any = {"id": "wippy.llm.openai:provider", "options": named}
    meta: Any = {"type": "llm.model", "name": "m"}
    return read_spec(Entry(EntryId("app", "m"), "registry.entry", meta, {"max_tokens": 10, "providers": [provider]}))


def endpoint(spec: ModelSpec, **known: str) -> Any:
    return endpoint_of(spec, spec.providers[0], {"M_KEY": KEY, "OPENAI_API_KEY": "other", **known}.get)


def test_a_key_goes_to_an_entrys_server_once_that_is_trusted(tmp_path: Path) -> None:
    registry = tmp_path / "registry.git"
    with pytest.raises(ModelError, match=f"M_KEY may go to {URL}, run `micro-agi registry trust app:m`"):
        endpoint(*with_trust([model()], registry, tmp_path))
    trust(tmp_path, *pairs(model(), registry))
    (spec,) = with_trust([model()], registry, tmp_path)
    found = endpoint(spec)
    assert (found.url, found.key, found.of_entry) == (URL, KEY, True) and KEY not in repr(found)
    with pytest.raises(ModelError, match="m needs a key: set M_KEY"):
        endpoint(spec, M_KEY="")


@pytest.mark.parametrize(
    "other",
    [model(URL + "x"), model(URL.upper()), model(key=None), model(key="OTHER"), model("http://models.example/v1")],
)
def test_another_server_or_key_is_asked_again(tmp_path: Path, other: ModelSpec) -> None:
    trust(tmp_path, *pairs(model(), tmp_path / "registry.git"))
    with pytest.raises(ModelError, match="no key goes to a server that an entry names"):
        endpoint(*with_trust([other], tmp_path / "registry.git", tmp_path))


def test_trust_is_for_one_registry(tmp_path: Path) -> None:
    trust(tmp_path, *pairs(model(), tmp_path / "registry.git"))
    with pytest.raises(ModelError):
        endpoint(*with_trust([model()], tmp_path / "other.git", tmp_path))


def test_without_a_pair_nothing_is_read(tmp_path: Path) -> None:
    (tmp_path / "trust.toml").write_text("broken")
    specs = (model(url=None), model(key="none"))
    assert with_trust(specs, tmp_path, tmp_path) == specs and not any(pairs(spec, tmp_path) for spec in specs)
    with pytest.raises(SettingsError):
        with_trust([model()], tmp_path, tmp_path)
