"""`registry verify --repair`: mends what a kill or a power cut did to the files of a repository.

It removes what dead writers left, takes lost objects from wherever a copy of them lies, and sets files that cannot
be read aside, into `micro-agi/set-aside/<time>/`, deleting none. It never changes history: the branch is touched
only when it names nothing, and then only if there is one commit that it can have named.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.care.damage import Damage, find_damage, is_ours, shown
from micro_agi_kernel.registry.care.objects import Finding
from micro_agi_kernel.registry.care.upkeep import count_loose
from micro_agi_kernel.registry.commits import CommitObject
from micro_agi_kernel.registry.git_program import run_git
from micro_agi_kernel.registry.layout import BRANCH, ID
from micro_agi_kernel.registry.lock import FOLDER, WriteLock, ordinary_files
from micro_agi_kernel.registry.message import parse_message
from micro_agi_kernel.registry.objects import Objects
from micro_agi_kernel.registry.repository import CONFIG
from micro_agi_kernel.registry.sharing.address import address_of
from micro_agi_kernel.registry.sharing.remote import Remote
from micro_agi_kernel.registry.sidecar import FILE as INDEX
from micro_agi_kernel.registry.sidecar_file import remove
from micro_agi_kernel.registry.snapshot import Snapshot
from micro_agi_kernel.registry.store import Registry
from micro_agi_kernel.registry.storing import sync_folders
from micro_agi_kernel.values import short_commit

ROUNDS = 50
"""How often missing objects are looked for: one that came back may name others that are missing too."""

_FOLDERS = ("objects", "objects/pack", "refs", "refs/heads", FOLDER, f"{FOLDER}/set-aside")
"""Where files are removed, set aside or written by name."""

_MISSING = re.compile(rf"(?m)^(?:missing \w+|\s+to\s+\w+|error: \S+: invalid sha1 pointer) ({ID})$")


def repair(repository: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Mend what can be mended: a line for each thing done, and for what could not be.

    `environment` is the person's, for a git that asks the remote. Raises RegistryError when the lock cannot be had.
    """
    if not is_ours(repository):
        return
    if links := [place for place in _FOLDERS if (repository / place).is_symlink()]:
        said = f"{links[0]} is a link, which no repair follows: put the folder itself there"
        yield Finding("fail", "repair", said)
        return
    last = _last_indexed(repository)
    yield from _mend_files(repository)
    yield from _restore_objects(repository, environment)
    with WriteLock(repository):
        lost = [damage for damage in find_damage(repository) if damage.kind == "branch"]
        done = [_recover_branch(repository, damage, last) for damage in lost]
    yield from done
    yield from _drop_index(repository / FOLDER / INDEX)


def _last_indexed(repository: Path) -> str:
    """The newest commit that the sidecar knows: the branch has named it. "" where it does not say."""
    import sqlite3

    file = (repository / FOLDER / INDEX).absolute()
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT id FROM commits ORDER BY number DESC LIMIT 1").fetchone()
    except sqlite3.Error:
        return ""
    return str(row[0]) if row else ""


def _drop_index(file: Path) -> Iterator[Finding]:
    """Remove the sidecar, whether it is damaged or only says something wrong; the audit that follows makes it anew."""
    if not file.exists():
        return
    try:
        remove(file)
    except OSError:
        yield Finding("warn", "repair", "the index is not made anew while a kernel or command uses it: stop it first")
    else:
        yield Finding("ok", "repair", "the index is made anew")


def _mend_files(repository: Path) -> list[Finding]:
    with WriteLock(repository):
        mender = _Mender(repository)
        return [_mended(mender, damage) for damage in find_damage(repository) if damage.kind not in ("branch", "index")]


def _mended(mender: _Mender, damage: Damage) -> Finding:
    try:
        return Finding("ok", "repair", mender.mend(damage))
    except OSError as error:  # the next one may do better
        return Finding("fail", "repair", f"{mender.shown(damage.file)} stays as it is: {error.strerror}")


class _Mender:
    """Mends one damaged file after the other, in the order in which `find_damage` gives them."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._aside = repository / FOLDER / "set-aside" / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")

    def shown(self, file: Path) -> str:
        return shown(self._repository, file)

    def mend(self, damage: Damage) -> str:
        """Mend it; the line that says what was done."""
        name = f"{self.shown(damage.file)} ({damage.what})"
        match damage.kind:
            case "lock" | "abandoned":
                damage.file.unlink(missing_ok=True)
                return f"removed {name}"
            case "config":
                self._replace(damage.file, CONFIG)
                return f"set aside {name} and wrote that of a new registry: a remote has to be set again"
            case "HEAD":
                self._replace(damage.file, f"ref: {BRANCH}\n")
                return f"set aside {name} and made it name {BRANCH} again"
            case "pack index":
                return self._index_pack(damage.file, name)
            case "pack":
                return self._unpack(damage.file, name)
        self.set_aside(damage.file)
        return f"set aside {name}"

    def set_aside(self, file: Path) -> Path:
        """Move a file away, if it is there; where it lies then. A link is moved as such."""
        place = self._aside / file.relative_to(self._repository)
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(file):
            file.replace(place)
        return place

    def _replace(self, file: Path, content: str) -> None:
        self.set_aside(file)
        with file.open("x") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        sync_folders([file.parent])

    def _index_pack(self, index: Path, name: str) -> str:
        pack = index.with_suffix(".pack")
        self.set_aside(index)
        if not pack.exists():
            return f"set aside {name}"
        if run_git(self._repository, "index-pack", os.fspath(pack.absolute())).returncode == 0:
            return f"made {name} anew"
        return self._unpack(pack, f"{self.shown(pack)} (it cannot be indexed)")

    def _unpack(self, pack: Path, name: str) -> str:
        """Set a pack aside, and put those of its objects that can be read back as loose ones."""
        aside = self.set_aside(pack)
        for other in ordinary_files(pack.parent, f"{pack.stem}.*"):
            self.set_aside(other)
        before = count_loose(self._repository / "objects")
        with aside.open("rb") as content:
            run_git(self._repository, "unpack-objects", "-r", "-q", stdin=content)
        return f"set aside {name} and took {count_loose(self._repository / 'objects') - before} objects out of it"


def _restore_objects(repository: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Take the objects that something names and that are gone from the remote, if there is one."""
    missing = _missing(repository)
    if not missing:
        return
    try:
        address = address_of(repository)
        if address is None:
            yield Finding("warn", "repair", f"{_gone(missing)}, and there is no remote to ask")
            return
        with tempfile.TemporaryDirectory(prefix="copy-", dir=repository / FOLDER) as folder:
            copy = Path(folder) / "copy.git"
            run_git(repository, "init", "--bare", "--quiet", "--template=", os.fspath(copy.absolute()))
            remote = Remote(copy, environment)
            remote.set(address)
            remote.fetch()
            restored, missing = _copy_objects(copy, repository, missing)
    except RegistryError as error:
        yield Finding("warn", "repair", f"{_gone(missing)}, and the remote does not help: {error}")
        return
    for id in restored:
        yield Finding("ok", "repair", f"took object {id} from the remote")
    if missing:
        yield Finding("warn", "repair", f"{_gone(missing)}, and the remote does not have them")


def _gone(missing: set[str]) -> str:
    return "one object is gone" if len(missing) == 1 else f"{len(missing)} objects are gone"


def _copy_objects(copy: Path, repository: Path, missing: set[str]) -> tuple[list[str], set[str]]:
    """Copy what is missing, and what turns out to be missing then; what was restored, and what is still missing."""
    restored: list[str] = []
    source, target = Objects(copy), Objects(repository)
    try:
        for _ in range(ROUNDS):
            found = []
            for id in sorted(missing):
                try:
                    found.append(source.stored(id))
                except RegistryError:
                    continue
            if not found:
                break
            with WriteLock(repository):
                for each in found:
                    target.write([each])
            restored += [each.id for each in found]
            missing = _missing(repository)
    finally:
        source.close()
        target.close()
    return restored, missing


def _missing(repository: Path) -> set[str]:
    """The objects that others name, and that are not there. Empty where there is no git to find them."""
    try:
        done = run_git(repository, "fsck", "--full", "--no-dangling", "--no-progress")
    except RegistryError:
        return set()
    ids = _MISSING.findall((done.stdout + done.stderr).decode(errors="replace"))
    # A branch that names nothing is said to name the commit of zeros.
    return {id for id in ids if id.strip("0") and not _is_there(repository, id)}


def _is_there(repository: Path, id: str) -> bool:
    return run_git(repository, "cat-file", "-e", id).returncode == 0


def _recover_branch(repository: Path, damage: Damage, last: str) -> Finding:
    """Let the branch name its newest commit again, if there is only one that it can be."""
    why = f"{BRANCH} names nothing ({damage.what})"
    registry = Registry(repository)
    try:
        ours, others = _candidates(registry, _named(repository), last)
        if len(ours) != 1:
            listed = "; ".join(_line(commit) for commit in ours or others) or "no commit is left"
            return Finding(
                "fail",
                "repair",
                f"{why}, and it is not clear which commit it named ({listed}): choose one, "
                f"and run `git --git-dir={repository} update-ref {BRANCH} COMMIT`",
            )
        _Mender(repository).set_aside(damage.file)
        registry.objects.swap_head(None, ours[0].id)
    finally:
        registry.close()
    return Finding("ok", "repair", f"{why}: made it name its newest commit again, {_line(ours[0])}", ours[0].id)


def _named(repository: Path) -> set[str]:
    """The commits that other refs name: those of a remote, above all."""
    refs = run_git(repository, "for-each-ref", "--format=%(refname) %(objectname)").stdout.decode(errors="replace")
    return {line.split(" ")[1] for line in refs.splitlines() if not line.startswith(f"{BRANCH} ")}


def _candidates(registry: Registry, named: set[str], last: str) -> tuple[list[CommitObject], list[CommitObject]]:
    """The commits that the branch can have named, and others that no commit follows.

    What came from a remote and was not taken must not become the newest state by way of a repair: a commit to which
    another ref leads counts only if it is `last`, which the branch has named.
    """
    commits = {commit.id: commit for commit in registry.objects.commits()}
    foreign = _with_ancestors(named, commits)
    followed = {parent for commit in commits.values() for parent in commit.parents}
    tips = [commit for id, commit in commits.items() if id not in followed and _is_whole(registry, commit)]
    ours = [tip for tip in tips if tip.id not in foreign]
    if last in commits:
        ours = [tip for tip in ours if last in _with_ancestors({tip.id}, commits)] or [commits[last]]
    return ours, [tip for tip in tips if tip not in ours]


def _with_ancestors(ids: set[str], commits: Mapping[str, CommitObject]) -> set[str]:
    found: set[str] = set()
    todo = list(ids)
    while todo:
        id = todo.pop()
        if id in commits and id not in found:
            found.add(id)
            todo += commits[id].parents
    return found


def _is_whole(registry: Registry, commit: CommitObject) -> bool:
    """Whether a commit is one of a registry, and all that it brought is there."""
    try:
        Snapshot(registry.tree_entries, registry.history, commit.id, commit.tree).check_format_once(set())
        for _, _, node in registry.objects.changed(registry.history.before(commit), commit.tree):
            if node is not None and node.is_file:
                registry.objects.check(node.id)
    except RegistryError:
        return False
    return True


def _line(commit: CommitObject) -> str:
    return f"{short_commit(commit.id)} {parse_message(commit.message).subject}".strip()
