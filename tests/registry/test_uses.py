"""How often entries were called: counted in memory, kept in a file that anything may happen to."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from registry_kit import rounds

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.registry.cost import Cost
from micro_agi_kernel.registry.sidecar_file import Lease
from micro_agi_kernel.registry.uses import FILE, UNWRITTEN, UseCounter, Uses

A, B, C = (EntryId("app.generated", name) for name in "abc")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "registry.git"


@pytest.fixture(autouse=True)
def repository(folder: Path) -> None:
    folder.mkdir()


def file(folder: Path) -> Path:
    return folder / "micro-agi" / FILE


def counted(folder: Path, *calls: tuple[EntryId, bool]) -> None:
    uses = UseCounter(folder)
    for id, ok in calls:
        uses.count(id, "v1", ok=ok)
    uses.close()


def known(folder: Path) -> dict[EntryId, Uses]:
    uses = UseCounter(folder)
    try:
        return {id: found for id in (A, B, C) if (found := uses.of(id)).calls}
    finally:
        uses.close()


def test_calls_and_failures_are_known_at_once_and_to_the_next_session(folder: Path) -> None:
    uses = UseCounter(folder)
    for ok in (True, False, True):
        uses.count(A, "v1", ok=ok)
    assert (uses.of(A), uses.of(B)) == (Uses(3, 1), Uses())
    uses.save()
    uses.count(A, "v1", ok=True)
    assert uses.of(A) == Uses(4, 1), "between memory and file nothing is lost, and nothing is counted twice"
    uses.close()
    uses.close()
    counted(folder, (B, False), (A, False))
    assert known(folder) == {A: Uses(5, 2), B: Uses(1, 1)}
    assert file(folder).stat().st_mode & 0o777 == 0o600


def test_the_last_called_come_first(folder: Path) -> None:
    other = EntryId("app.tools", "z")
    counted(folder, (A, True), (other, True), (B, True), (C, True), (A, True))
    uses = UseCounter(folder)
    assert uses.latest("app.generated", 9) == [A, C, B]
    uses.count(other, "v1", ok=True)
    uses.count(B, "v1", ok=True)
    uses.count(C, "v1", ok=True)
    uses.count(B, "v1", ok=True)
    assert uses.latest("app.generated", 2) == [B, C]
    uses.close()


def test_versions_are_counted_apart(folder: Path) -> None:
    uses = UseCounter(folder)
    for version, ok in (("v1", True), ("v2", False), ("v1", True)):
        uses.count(A, version, ok=ok)
    assert list(uses.versions(A).items()) == [("v2", Uses(1, 1)), ("v1", Uses(2))]
    uses.save()
    uses.count(A, "v2", ok=True)
    assert list(uses.versions(A).items()) == [("v1", Uses(2)), ("v2", Uses(2, 1))], "the last called is the last"
    uses.close()
    counted(folder, (B, True))
    assert known(folder) == {A: Uses(4, 1), B: Uses(1)}


def test_much_that_is_not_written_yet_is_written(folder: Path) -> None:
    uses = UseCounter(folder)
    for number in range(UNWRITTEN + 1):
        uses.count(EntryId("app.generated", f"t{number}"), "v1", ok=True)
    uses._writer.shutdown()
    assert uses._pending == {}
    assert known(folder) == {}


def test_counters_at_once_lose_nothing(folder: Path) -> None:
    each = rounds(50, 500)

    def work() -> None:
        for _ in range(each):
            counted(folder, (A, True), (B, False))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    uses = known(folder)
    assert uses == {A: Uses(3 * each), B: Uses(3 * each, 3 * each)}


@pytest.mark.parametrize(
    "damage",
    [
        b"no database at all",
        b"",
        b"SQLite format 3\0" + b"\xff" * 4_096,
        "UPDATE uses SET calls = 'many'",
        "UPDATE uses SET failed = 99",
        "UPDATE uses SET calls = -1",
        "UPDATE uses SET id = 'app.generated:no id'",
        "DROP TABLE uses; CREATE TABLE uses (other)",
        "DROP TABLE uses; CREATE VIEW uses AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT 'app.generated:a' AS id, '' AS version, i AS calls, 0 AS failed, i AS last FROM n",
        "CREATE TRIGGER t BEFORE INSERT ON uses BEGIN SELECT 1; END",
    ],
)
def test_a_damaged_file_is_made_anew(folder: Path, damage: bytes | str) -> None:
    counted(folder, (A, True))
    if isinstance(damage, bytes):
        file(folder).write_bytes(damage)
    else:
        database = sqlite3.connect(file(folder))
        database.executescript(damage)
        database.close()
    uses = UseCounter(folder)
    assert (uses.of(A), uses.latest("app.generated", 9)) == (Uses(), [])
    uses.count(B, "v1", ok=True)
    uses.close()
    assert known(folder) == {B: Uses(1)}


def test_what_cannot_be_written_now_is_kept_for_later(folder: Path) -> None:
    counted(folder, (A, True))
    kept = file(folder).read_bytes()
    file(folder).unlink()
    file(folder).mkdir()
    uses = UseCounter(folder)
    uses.count(A, "v1", ok=False)
    uses._write()
    assert uses.of(A) == Uses(1, 1)
    file(folder).rmdir()
    file(folder).write_bytes(kept)
    uses.count(A, "v1", ok=True)
    uses.close()
    assert known(folder) == {A: Uses(3, 1)}


def test_a_damaged_file_that_another_process_has_open_stays(folder: Path) -> None:
    counted(folder, (A, True))
    file(folder).write_bytes(b"no database at all")
    lease = Lease(file(folder))
    counted(folder, (B, True))
    assert file(folder).read_bytes() == b"no database at all"
    lease.release()
    counted(folder, (B, True))
    assert known(folder) == {B: Uses(1)}


def test_a_cost_comes_back_from_its_trailer() -> None:
    for cost, text in (
        (Cost(0.012345, 8_120, 4), "$0.012345, 8120 tokens, 4 steps"),
        (Cost(0, 5, 1), "$0, 5 tokens, 1 step"),
        (Cost(1_200.5, 10**9, 25), "$1200.5, 1000000000 tokens, 25 steps"),
        (Cost(100, 1, 2), "$100, 1 tokens, 2 steps"),
    ):
        assert str(cost) == text
        assert Cost.parse(text) == cost
    for text in (
        "",
        "free",
        "$-1, 5 tokens, 1 step",
        "$1e9, 5 tokens, 1 step",
        "$1, 5 tokens, 1 step, x",
        f"${'9' * 99}",
    ):
        assert Cost.parse(text) is None
