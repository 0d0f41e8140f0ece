"""What a kill or a power cut left is found, is repaired from any copy there is, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from registry_kit import create, fsck, git, plant, rounds, tool, update, write

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry import Finding, Registry, audit, check_files
from micro_agi_kernel.registry.care.repair import repair
from micro_agi_kernel.registry.care.upkeep import pack
from micro_agi_kernel.registry.lock import FOLDER

X = EntryId.parse("app.generated:x")
LONG = "return 1 -- something longer than a few bytes, to be cut in the middle"
ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "garbage": lambda content: os.urandom(len(content)),
    "zeros": lambda content: bytes(len(content)),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry of a few commits; `copy.git` beside it has all of them too."""
    folder = tmp_path_factory.mktemp("sound")
    with Registry.create(folder / "registry.git") as registry:
        plant(registry, tool("kept"))
        write(registry, create(tool("x", LONG), tool("y")))
        write(registry, update(tool("y", "return 2")))
    git(folder, "clone", "-q", "--bare", "registry.git", "copy.git")
    return folder


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound / "registry.git", tmp_path / "registry.git")
    return tmp_path / "registry.git"


@pytest.fixture
def shared(path: Path, sound: Path) -> Path:
    """The same with a remote, which has everything."""
    git(path, "config", "remote.origin.url", os.fspath(sound / "copy.git"))
    return path


def damage(file: Path, how: str) -> None:
    file.chmod(0o644)
    file.write_bytes(DAMAGES[how](file.read_bytes()))


def loose(path: Path, spec: str) -> Path:
    id = git(path, "rev-parse", spec)
    return path / "objects" / id[:2] / id[2:]


def age(file: Path, seconds: float = 9_000) -> Path:
    os.utime(file, (time.time() - seconds, time.time() - seconds))
    return file


def old(file: Path) -> Path:
    """A file of somebody's that was written long ago."""
    file.write_text("mine")
    return age(file)


def faults(path: Path) -> list[Finding]:
    """What verify says of it, but for what is in order."""
    found = list(check_files(path, set()))
    try:
        with Registry.open(path) as registry:
            found += audit(registry)
    except RegistryError as error:
        found.append(Finding("fail", "registry", str(error)))
    assert not any("\n" in finding.message for finding in found)
    return [finding for finding in found if finding.status != "ok"]


def mend(path: Path, status: str = "ok") -> list[str]:
    """Repair; the lines, all of which have that status."""
    done = list(repair(path, ENVIRONMENT))
    assert {finding.status for finding in done} <= {status, "ok"} and all(f.check == "repair" for f in done)
    return [finding.message for finding in done]


def all_is_there(path: Path, sound: Path) -> None:
    assert faults(path) == []
    fsck(path)
    assert git(path, "rev-parse", "main") == git(sound / "registry.git", "rev-parse", "main")
    with Registry.open(path) as registry:
        assert {entry.id.name for entry in registry.snapshot().entries()} == {"kept", "x", "y"}
        write(registry, create(tool("next")))
    fsck(path)


def test_a_sound_registry_is_left_as_it_is(path: Path, sound: Path) -> None:
    assert faults(path) == []
    assert mend(path) == ["the index is made anew"]
    all_is_there(path, sound)
    assert list(repair(path / "nowhere", ENVIRONMENT)) == []


OBJECTS = ["main", "main^", "main:app/generated", "main:app/generated/x.lua"]
LOST = [(spec, how) for spec in OBJECTS for how in (*DAMAGES, "missing")]


@pytest.mark.parametrize(("spec", "how"), LOST[:: rounds(4, 1)])
def test_an_object_comes_back_from_the_remote(shared: Path, sound: Path, spec: str, how: str) -> None:
    file = loose(shared, spec)
    if how == "missing":
        file.unlink()
    else:
        damage(file, how)
    assert any(file.name in finding.message for finding in faults(shared) if finding.status == "fail")
    lines = mend(shared)
    assert any(line.startswith(f"took object {file.parent.name}{file.name} from the remote") for line in lines)
    all_is_there(shared, sound)
    aside = list((shared / FOLDER / "set-aside").rglob(file.name))
    assert len(aside) == (0 if how == "missing" else 1)


def test_much_that_is_gone_comes_back(shared: Path, sound: Path) -> None:
    for number, file in enumerate(sorted((shared / "objects").glob("??/*"))):
        if number % 2:
            file.unlink()
        else:
            damage(file, [*DAMAGES][number % len(DAMAGES)])
    mend(shared)
    all_is_there(shared, sound)


@pytest.mark.parametrize("how", [*DAMAGES][: rounds(2, 4)])
def test_a_copy_in_a_pack_takes_the_place_of_a_damaged_object(path: Path, sound: Path, how: str) -> None:
    git(path, "repack", "-a", "-q")
    damage(loose(path, "main:app/generated/x.lua"), how)
    assert any(finding.check == "files" for finding in faults(path))
    assert [line.split(" (")[0].split("/")[0] for line in mend(path)] == ["set aside objects", "the index is made anew"]
    all_is_there(path, sound)


def test_an_object_that_is_gone_for_good_costs_only_its_entry(path: Path) -> None:
    damage(loose(path, "main:app/generated/x.lua"), "empty")
    assert "one object is gone, and there is no remote to ask" in mend(path, "warn")
    commit = git(path, "rev-parse", "main^")
    lost = [finding for finding in faults(path) if finding.id == X]
    assert {(finding.status, finding.check, finding.commit) for finding in lost} == {
        ("fail", "objects", commit),
        ("fail", "entries", None),
    }
    assert f"{commit[:12]} brought app/generated/x.lua, which is lost" in [finding.message for finding in lost]
    with Registry.open(path) as registry:
        assert [entry.id.name for entry in registry.snapshot().entries()] == ["kept", "y"]
        write(registry, update(tool("x", "return 'written again'")))
        assert len(registry.snapshot().entries()) == 3


def test_a_remote_that_does_not_help_is_one_line(path: Path, tmp_path: Path) -> None:
    git(path, "config", "remote.origin.url", os.fspath(tmp_path / "gone.git"))
    damage(loose(path, "main:app/generated/x.lua"), "zeros")
    assert any(line.startswith("one object is gone, and the remote does not help: ") for line in mend(path, "warn"))
    other = tmp_path / "other.git"
    with Registry.create(other) as registry:
        plant(registry, tool("z"))
    git(path, "config", "remote.origin.url", os.fspath(other))
    assert "one object is gone, and the remote does not have them" in mend(path, "warn")


LOCKS = ["refs/heads/main.lock", "packed-refs.lock", "HEAD.lock", "config.lock", "objects/ab/lock.lock"]
TEMPORARY = ["objects/tmp_obj_x_0", "objects/pack/tmp_pack_abc", "objects/ab/tmp_obj_abc", "objects/pack/.tmp-1-pack-x"]


def test_what_dead_writers_left_is_removed(path: Path, sound: Path) -> None:
    left = [path / name for name in (*LOCKS, *TEMPORARY)]
    for file in left:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"half")
    young = faults(path)
    assert young == [] and mend(path) == ["the index is made anew"] and all(file.exists() for file in left)
    for file in left:
        age(file)
    old = faults(path)
    assert {finding.status for finding in old} == {"warn"} and len(old) == len(left)
    assert len([line for line in mend(path) if line.startswith("removed ")]) == len(left)
    assert not any(file.exists() for file in left)
    all_is_there(path, sound)


def test_no_link_is_followed_out_of_the_repository(path: Path, sound: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "heads").mkdir(parents=True)
    names = ("Cargo.lock", "tmp_notes", "heads/yarn.lock", "pack-1.idx", "tmp_obj_notes", "tmp_pack_")
    kept = [old(project / name) for name in names]
    shutil.rmtree(path / "objects" / "info")
    free = next(name for n in range(256) if not (path / "objects" / (name := f"{n:02x}")).exists())
    for place in (f"objects/{free}", "objects/info", "refs/remotes"):
        (path / place).symlink_to(project)
    for place in ("HEAD.lock", "objects/tmp_link", f"objects/pack/pack-{'2' * 40}.idx"):
        (path / place).symlink_to(project / "Cargo.lock")
    (path / FOLDER / "lock").write_text("1")  # a writer died, so the next one clears up
    mend(path)
    pack(path)
    assert [file.read_text() for file in kept] == ["mine"] * len(kept)


@pytest.mark.parametrize("place", ["objects", "objects/pack", "refs", "refs/heads", FOLDER, f"{FOLDER}/set-aside"])
def test_a_folder_that_is_a_link_is_not_repaired(path: Path, tmp_path: Path, place: str) -> None:
    project = tmp_path / "project"
    (path / place).mkdir(exist_ok=True)
    (path / place).rename(project)
    (path / place).symlink_to(project)
    for name in ("index.sqlite", "tmp_notes", "yarn.lock", "pack-1.idx"):
        old(project / name)
    before = sorted(file for file in project.rglob("*"))
    assert mend(path, "fail") == [f"{place} is a link, which no repair follows: put the folder itself there"]
    assert sorted(file for file in project.rglob("*")) == before


def test_folders_where_files_belong_do_not_end_a_repair(path: Path, sound: Path) -> None:
    for place in ("HEAD.lock", "refs/heads/x.lock", "objects/tmp_x", f"objects/ab/{'0' * 38}", "objects/pack/tmp_x"):
        (path / place / "inside").mkdir(parents=True)
        age(path / place)
    old(path / "packed-refs.lock")
    assert mend(path) == ["removed packed-refs.lock (left by a writer that died)", "the index is made anew"]
    assert (path / "HEAD.lock" / "inside").is_dir()


def test_what_cannot_be_mended_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.lock", "b.lock"):
        old(path / name)

    remove = Path.unlink

    def unlink(file: Path, missing_ok: bool = False) -> None:
        if file.name == "a.lock":
            raise PermissionError(13, "Permission denied")
        remove(file, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        done = mend(path, "fail")
    assert done[:2] == ["a.lock stays as it is: Permission denied", "removed b.lock (left by a writer that died)"]


@pytest.fixture
def packed(path: Path) -> Path:
    """The same, everything in one pack."""
    git(path, "repack", "-a", "-d", "-q")
    assert not list((path / "objects").glob("??/*"))
    return path


def of_pack(path: Path, suffix: str) -> Path:
    [file] = (path / "objects" / "pack").glob(f"*.{suffix}")
    return age(file)


@pytest.mark.parametrize("how", [*DAMAGES, "missing", "flipped"])
def test_an_index_of_a_pack_is_made_anew(packed: Path, sound: Path, how: str) -> None:
    index = of_pack(packed, "idx")
    of_pack(packed, "pack")
    if how == "missing":
        index.unlink()
    elif how == "flipped":
        content = bytearray(index.read_bytes())
        content[len(content) // 2] ^= 1
        index.chmod(0o644)
        index.write_bytes(content)
    else:
        damage(index, how)
    assert any(finding.status == "fail" for finding in faults(packed))
    assert any(line.startswith("made objects/pack/") and line.endswith("anew") for line in mend(packed))
    all_is_there(packed, sound)


def test_an_index_without_its_pack(path: Path, sound: Path) -> None:
    index = path / "objects" / "pack" / f"pack-{'a' * 40}.idx"
    index.write_bytes(b"whatever")
    age(index)
    assert any("there is no pack beside it" in finding.message for finding in faults(path))
    mend(path)
    assert not index.exists()
    all_is_there(path, sound)


@pytest.mark.parametrize("how", [*DAMAGES, "flipped"])
def test_a_broken_pack_is_taken_apart_and_the_rest_comes_from_the_remote(packed: Path, sound: Path, how: str) -> None:
    git(packed, "config", "remote.origin.url", os.fspath(sound / "copy.git"))
    pack = of_pack(packed, "pack")
    if how == "flipped":
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 1
        pack.chmod(0o644)
        pack.write_bytes(content)
    else:
        damage(pack, how)
    assert any("objects/pack/" in finding.message for finding in faults(packed) if finding.status == "fail")
    assert any(line.startswith("set aside objects/pack/") and " objects out of it" in line for line in mend(packed))
    all_is_there(packed, sound)


def test_a_pack_that_was_cut_gives_what_it_still_holds(packed: Path) -> None:
    damage(of_pack(packed, "pack"), "truncated")
    [line] = [line for line in mend(packed, "warn") if "out of it" in line]
    assert " took 0 objects" not in line


BROKEN_REFS = {
    "empty": b"",
    "zeros": bytes(41),
    "no commit": b"0" * 40 + b"\n",
    "garbage": b"\xff" * 41,
    "missing": None,
}


def break_branch(path: Path, how: str) -> None:
    content = BROKEN_REFS[how]
    file = path / "refs" / "heads" / "main"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)


@pytest.mark.parametrize(("how", "with_index"), [(how, n % 2 == 0) for n, how in enumerate(BROKEN_REFS)])
def test_a_branch_that_names_nothing_names_its_newest_commit_again(
    path: Path, sound: Path, how: str, with_index: bool
) -> None:
    break_branch(path, how)
    if not with_index:
        (path / FOLDER / "index.sqlite").unlink()
    assert any("refs/heads/main" in finding.message for finding in faults(path) if finding.status == "fail")
    assert any("made it name its newest commit again" in line for line in mend(path))
    all_is_there(path, sound)


def test_what_a_remote_brought_is_not_taken_by_a_repair(path: Path, sound: Path) -> None:
    tree = git(path, "rev-parse", "main^{tree}")
    foreign = git(path, "commit-tree", tree, "-p", "main", "-m", "Believe me")
    git(path, "update-ref", "refs/micro-agi/remote/main", foreign)
    break_branch(path, "empty")
    mend(path)
    all_is_there(path, sound)
    with Registry.open(path) as registry:  # and the same when it was taken, or was made here and pushed
        mine = write(registry, create(tool("mine"))).commit
        registry.snapshot().ids()
    git(path, "update-ref", "refs/micro-agi/remote/main", mine)
    break_branch(path, "zeros")
    mend(path)
    assert git(path, "rev-parse", "main") == mine


def test_two_commits_that_it_can_have_named_are_for_the_person(path: Path) -> None:
    tree = git(path, "rev-parse", "main^{tree}")
    both = [git(path, "commit-tree", tree, "-p", "main", "-m", f"Way {n}") for n in (1, 2)]
    break_branch(path, "empty")
    [line] = [line for line in mend(path, "fail") if "not clear" in line]
    assert all(f"{commit[:12]} Way" in line for commit in both) and "update-ref refs/heads/main COMMIT" in line
    assert (path / "refs/heads/main").read_bytes() == b""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((name, content) for name in ("HEAD", "config") for content in (b"", bytes(20), b"garbage\n")),
        *(("packed-refs", content) for content in (bytes(20), b"garbage\n")),
    ],
)
def test_files_of_the_repository(path: Path, sound: Path, name: str, content: bytes) -> None:
    if name == "packed-refs":
        git(path, "pack-refs", "--all")
    (path / name).write_bytes(content)
    assert any(finding.message.startswith(name) for finding in faults(path) if finding.status == "fail")
    assert any(f"set aside {name}" in line for line in mend(path))
    assert next((path / FOLDER / "set-aside").rglob(name)).read_bytes() == content
    all_is_there(path, sound)
    git(path.parent, "clone", "-q", "registry.git", "clone")
    assert (path.parent / "clone" / "app" / "generated" / "x.lua").read_text() == LONG


LIES = {
    "another title": "UPDATE entries SET title = 'another' WHERE name = 'x'",
    "a later change": "UPDATE entries SET since = 3 WHERE name = 'x'",
    "an earlier change": "UPDATE entries SET since = 1 WHERE name = 'x'",
    "a change that was not": "INSERT INTO entries SELECT NULL, namespace, 'x', kind, type, title, comment, modules, "
    "code, yaml, lua, problem, damaged, unused, 1, 2 FROM entries WHERE name = 'kept'",
    "a change less": "UPDATE entries SET name = 'x', since = 2, until = 2 WHERE name = 'y' AND until = 3",
}


@pytest.mark.parametrize("how", [*DAMAGES, *LIES])
def test_a_sidecar_that_is_broken_or_lies(path: Path, sound: Path, how: str) -> None:
    import sqlite3

    file = path / FOLDER / "index.sqlite"
    if how in LIES:
        with sqlite3.connect(file) as connection:
            assert connection.execute(LIES[how]).rowcount == 1
        connection.close()
        wrong = EntryId.parse("app.generated:y") if how == "a change less" else X
        assert [(finding.status, finding.check, finding.id) for finding in faults(path)] == [("fail", "index", wrong)]
    else:
        damage(file, how)
        if how != "empty":  # which SQLite takes for a new file
            assert any("index.sqlite" in line.message for line in check_files(path, set()) if line.status == "fail")
    assert "the index is made anew" in mend(path)
    all_is_there(path, sound)


def test_a_sidecar_in_use_is_said_to_be(path: Path) -> None:
    with Registry.open(path) as registry:
        registry.snapshot().ids()
        assert any("while a kernel or command uses it" in line for line in mend(path, "warn"))


def test_without_git_the_files_are_mended_all_the_same(
    path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = path / "refs/heads/main.lock"
    lock.write_bytes(b"")
    age(lock)
    (path / "HEAD").write_bytes(b"")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda *args, **kwargs: None)
        assert len(mend(path)) == 3
    all_is_there(path, sound)


def test_another_repository_is_left_alone(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "work")
    lock = tmp_path / "work" / ".git" / "index.lock"
    lock.write_bytes(b"")
    age(lock)
    for folder in (tmp_path / "work", tmp_path / "work" / ".git", tmp_path):
        assert list(repair(folder, ENVIRONMENT)) == []
    assert lock.exists()
