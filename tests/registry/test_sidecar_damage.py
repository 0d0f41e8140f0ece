"""A sidecar that is broken, old, foreign or out of reach: the answers stay those of Git, and the file is made anew."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from registry_kit import create, delete, git, plant, rounds, tool, update, write
from sidecar_kit import agree, index_file, is_made, lose

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry import Registry, sidecar, sidecar_file, sidecar_update

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a history whose sidecar is made."""
    path = tmp_path_factory.mktemp("prepared") / "registry.git"
    with Registry.create(path) as registry:
        plant(registry)
        for number in range(30):
            write(registry, create(tool(f"x{number}", f"return {number}\n", title="T" * 50, comment=f"the {number}.")))
        write(registry, update(tool("x3")))
        write(registry, delete("app.generated:x4"))
        agree(registry)
    return path


@pytest.fixture
def registry(prepared: Path, tmp_path: Path) -> Iterator[Registry]:
    """A copy of it, in which nobody has the sidecar open."""
    with Registry.open(shutil.copytree(prepared, tmp_path / "registry.git")) as registry:
        yield registry


def cut(size: int) -> Callable[[Path], None]:
    return lambda file: os.truncate(file, size)


def fill(start: int, length: int, content: bytes) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        with file.open("r+b") as opened:
            opened.seek(start)
            opened.write((content * length)[:length])

    return write


def statement(text: str) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        connection = sqlite3.connect(file)
        connection.executescript(text)
        connection.close()

    return write


def foreign(file: Path) -> None:
    file.unlink()
    statement("PRAGMA application_id = 7; PRAGMA user_version = 1; CREATE TABLE commits (x)")(file)


DAMAGES = {
    "empty": cut(0),
    "a few bytes": cut(50),
    "one page": cut(4_096),
    "a page and a half": cut(6_000),
    "half": lambda file: os.truncate(file, file.stat().st_size // 2),
    "garbage": fill(0, 100_000, b"nonsense"),
    "garbage in the header": fill(16, 16, b"\xff"),
    "pages of zeros": fill(8_192, 120_000, b"\0"),
    "pages of garbage": fill(4_096, 120_000, b"\xa5\x11"),
    "foreign": foreign,
    "another version": statement("PRAGMA user_version = 77; DROP TABLE strays; CREATE TABLE strays (x)"),
    "a table is missing": statement("DROP TABLE meta"),
    "a column is missing": statement("ALTER TABLE entries DROP COLUMN modules"),
    "no words": statement("DROP TABLE words"),
    "documents are no JSON": statement("UPDATE parses SET document = '{'"),
    "documents are no entries": statement("UPDATE parses SET document = '[]'"),
    "not UTF-8": statement("UPDATE entries SET kind = CAST(x'ff' AS TEXT)"),
    "a query instead of a table": statement(
        "DROP TABLE parses; CREATE VIEW parses AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i AS blob, '{}' AS document FROM n"
    ),
    "a trigger": statement("CREATE TRIGGER t BEFORE INSERT ON commits BEGIN DELETE FROM entries; END"),
    "a commit twice": statement("DELETE FROM commits WHERE number > 5; DELETE FROM sqlite_sequence"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_anew(registry: Registry, damage: str) -> None:
    DAMAGES[damage](index_file(registry))
    with Registry.open(registry.path) as again:
        assert again.snapshot().number == 33
        again.snapshot().search("the", {"meta.type": "tool"})
        agree(again)
        commit = write(again, create(tool("new"))).commit
        assert is_made(again, commit)
    with Registry.open(registry.path) as again:
        assert is_made(again, commit)
        agree(again)


def test_a_writer_meets_a_damaged_file(registry: Registry) -> None:
    fill(0, 50_000, b"nonsense")(index_file(registry))
    with Registry.open(registry.path) as again:
        assert write(again, create(tool("new"))).number == 34
        agree(again)
        assert is_made(again, again.head())


def test_a_file_that_another_has_open_is_left_to_it(registry: Registry) -> None:
    with Registry.open(registry.path) as one, Registry.open(registry.path) as other:
        assert len(one.snapshot().ids()) == 29
        fill(4_096, 120_000, b"\xa5\x11")(index_file(registry))
        agree(other)  # from memory
        assert index_file(registry).read_bytes()[4_096:4_098] == b"\xa5\x11"
    with Registry.open(registry.path) as again:
        agree(again)
        assert is_made(again, again.head())


def test_the_sidecar_of_another_registry(registry: Registry, tmp_path: Path) -> None:
    with Registry.create(tmp_path / "other.git") as other:
        plant(other, tool("one"), tool("x7"))
        other.history.sidecar.close()
        index_file(other).write_bytes(index_file(registry).read_bytes())
        agree(other)
        assert is_made(other, other.head()) and not is_made(other, registry.head())


def test_a_file_that_was_deleted_while_it_was_open(registry: Registry) -> None:
    with Registry.open(registry.path) as one, Registry.open(registry.path) as other:
        one.snapshot().ids()
        lose(registry)
        write(other, create(tool("new")))
        for each in (one, other, one):
            agree(each)


def test_a_place_where_nothing_can_be_written(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    lose(registry)
    index_file(registry).mkdir()
    with Registry.open(registry.path) as again:
        agree(again)
        write(again, create(tool("new")))
        agree(again)
    index_file(registry).rmdir()

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sidecar, "open_file", refused)
    with Registry.open(registry.path) as again:
        agree(again)
        agree(again, again.snapshot("v5"))


def test_a_file_that_may_only_be_read(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    open_file = sidecar_file.open_file

    def read_only(file: Path) -> sqlite3.Connection:
        connection = open_file(file)
        connection.execute("PRAGMA query_only = ON")
        return connection

    monkeypatch.setattr(sidecar, "open_file", read_only)
    with Registry.open(registry.path) as again:
        agree(again)
        write(again, create(tool("new")))
        agree(again)
        assert not is_made(again, again.head())


def test_a_file_that_is_kept_busy(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(sidecar, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(sidecar_file, "BUSY_SECONDS", 0.01)
    with Registry.open(registry.path) as again:
        again.snapshot().ids()
        holder = sqlite3.connect(index_file(registry), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        commit = write(again, create(tool("new"))).commit
        agree(again)
        assert not is_made(again, commit)
        holder.execute("ROLLBACK")
        holder.close()
        agree(again)
        assert is_made(again, commit)


def test_a_damaged_object_is_read_again_once_it_is_back(registry: Registry) -> None:
    blob = git(registry.path, "rev-parse", "main:app/generated/x9.yaml")
    file = registry.path / "objects" / blob[:2] / blob[2:]
    content = file.read_bytes()
    lose(registry)
    file.unlink()
    with Registry.open(registry.path) as again:
        for _ in range(2):
            problems = again.snapshot().problems()
            assert [str(problem.id) for problem in problems] == ["app.generated:x9"] and "missing" in problems[0].reason
            assert len(again.snapshot().find({"meta.type": "tool"})) == 28
        write(again, create(tool("new")))
        file.write_bytes(content)
        agree(again)
        assert len(again.snapshot().find({"meta.type": "tool"})) == 30
        agree(again, again.snapshot("main~1"))


@pytest.mark.parametrize("rows", [1, 2_000])
def test_a_history_that_cannot_be_read_keeps_nobody_from_the_newest_state(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(sidecar_update, "ROWS", rows)
    for rev in ("main~5^{tree}", "main~9"):
        lost = git(registry.path, "rev-parse", rev)
        (registry.path / "objects" / lost[:2] / lost[2:]).unlink()
        lose(registry)
        with Registry.open(registry.path) as again:
            snapshot = again.snapshot()
            assert len(snapshot.ids()) == len(snapshot.entries()) == 29 and snapshot.problems() == []
            if rev.endswith("}"):
                write(again, update(tool("x5", "return 'new'\n")))
                assert again.snapshot().find({".name": "x5"})[0].source == "return 'new'\n"
                assert again.snapshot().number == 34 and is_made(again, again.head())
                with pytest.raises(RegistryError, match="missing"):
                    again.snapshot("main~6").ids()


WRITER = """
import sys
from pathlib import Path
import registry_kit as kit
from micro_agi_kernel.registry import Registry, lock
lock.STALE_SECONDS = 0.2
with Registry.open(Path(sys.argv[1])) as registry:
    registry.snapshot().ids()
    print("ready", flush=True)
    for n in range(10_000):
        kit.write(registry, kit.create(kit.tool(f"{sys.argv[2]}_{n}")))
        registry.snapshot().find({"meta.type": "tool"})
"""


def test_kills_at_any_point_leave_a_sidecar_that_can_be_trusted(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("micro_agi_kernel.registry.lock.STALE_SECONDS", 0.2)
    for turn in range(rounds(2, 40)):
        arguments = [sys.executable, "-c", WRITER, str(registry.path)]
        writers = [
            subprocess.Popen([*arguments, f"k{turn}_{n}"], cwd=HERE, stdout=subprocess.PIPE, text=True)
            for n in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        time.sleep(0.05 + 0.01 * turn)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
        with Registry.open(registry.path) as again:
            write(again, update(tool("x5", f"return {turn + 100}\n")))
            agree(again)
            assert is_made(again, again.head())
