"""Property tests: the registry against a plain dict, and entries against their files."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from registry_kit import create, delete, fsck, git, plant, rounds, thing, update, write
from sidecar_kit import index_file, lose

from micro_agi_kernel.entries import Changeset, Entry, EntryId, Operation, from_files, to_files
from micro_agi_kernel.errors import Conflict, ErrorKind, Refused
from micro_agi_kernel.registry import Registry, Snapshot, changeset_between
from micro_agi_kernel.registry.sidecar import Sidecar

ids = st.sampled_from(
    [f"{ns}:{name}" for ns in ("app", "app.generated", "app.generated.deep") for name in ("a", "b-1", "C.x")]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8)


@settings(max_examples=rounds(50, 1_500), deadline=None)
@given(
    st.sampled_from(["function.lua", "library.lua", "registry.entry", "security.policy"]),
    st.dictionaries(texts, json_values, max_size=4),
    st.dictionaries(texts, json_values, max_size=4),
    texts | st.none(),
)
def test_an_entry_survives_its_files(kind: str, meta: dict, data: dict, source: str | None) -> None:  # type: ignore[type-arg]
    if source is not None:
        data = {**data, "source": source}
    entry = Entry(EntryId.parse("app.generated:x"), kind, meta, data)
    files = to_files(entry)
    assert from_files(entry.id, files) == entry
    assert to_files(from_files(entry.id, files)) == files


class AgainstADict(RuleBasedStateMachine):
    """Two writers with one repository; the model is a dict per version."""

    states = Bundle("states")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "r.git"
        self.writers = [Registry.create(self.path) for _ in range(2)]
        self.now: dict[str, Entry] = {}
        self.history: list[dict[str, Entry]] = []

    def wrote(self, after: dict[str, Entry]) -> None:
        self.now = after
        self.history.append(dict(after))

    @initialize()
    def first(self) -> None:
        plant(self.writers[0])
        self.wrote({})

    @rule(target=states, who=st.integers(0, 1))
    def look(self, who: int) -> tuple[Snapshot, dict[str, Entry]]:
        return self.writers[who].snapshot(), dict(self.now)

    @rule(
        who=st.integers(0, 1),
        seen=states,
        steps=st.dictionaries(
            ids, st.tuples(st.sampled_from(["create", "update", "delete"]), st.integers(0, 3)), min_size=1, max_size=3
        ),
        lua=st.booleans(),
    )
    def change(
        self, who: int, seen: tuple[Snapshot, dict[str, Entry]], steps: dict[str, tuple[str, int]], lua: bool
    ) -> None:
        base, known = seen
        operations, after = [], dict(self.now)
        for id, (action, number) in steps.items():
            entry = thing(id, "function.lua" if lua else "registry.entry", source=f"return {number}")
            operations.append(Operation(action, entry.id, None if action == "delete" else entry))  # type: ignore[arg-type]
            after[id] = entry
            if action == "delete":
                del after[id]
        wrong = {
            ErrorKind.ALREADY_EXISTS: any(action == "create" and id in self.now for id, (action, _) in steps.items()),
            ErrorKind.NOT_FOUND: any(action != "create" and id not in self.now for id, (action, _) in steps.items()),
        }
        stale = any(known.get(id) != self.now.get(id) for id in steps)
        try:
            write(self.writers[who], Changeset(tuple(operations)), base=base)
        except Conflict:
            assert stale
        except Refused as refused:
            assert not stale and (wrong.get(refused.kind) or after == self.now)
        else:
            assert not stale and not any(wrong.values()) and after != self.now
            self.wrote(after)

    @rule(who=st.integers(0, 1), back=st.integers(0, 5))
    def restore(self, who: int, back: int) -> None:
        number = max(1, len(self.history) - back)
        registry = self.writers[who]
        changeset = changeset_between(registry.snapshot(), registry.snapshot(f"v{number}"))
        if changeset.operations:
            write(registry, changeset)
            self.wrote(dict(self.history[number - 1]))
        else:
            assert self.now == self.history[number - 1]

    @rule(who=st.integers(0, 1))
    def reopen(self, who: int) -> None:
        self.writers[who].close()
        self.writers[who] = Registry.open(self.path)

    @rule(who=st.integers(0, 1), name=st.sampled_from(["c1", "c2"]))
    def die_before_the_index_is_told(self, who: int, name: str) -> None:
        """A commit whose writer is killed once the branch has moved."""
        registry, entry = self.writers[who], thing(f"app:{name}", n=len(self.history))
        with patch.object(Sidecar, "follow"):
            write(registry, (update if str(entry.id) in self.now else create)(entry))
        self.wrote({**self.now, str(entry.id): entry})

    @rule()
    def lose_the_index(self) -> None:
        lose(self.writers[0])

    @rule(start=st.integers(0, 30_000), content=st.sampled_from([b"\0", b"\xff", b"no index "]))
    def damage_the_index(self, start: int, content: bytes) -> None:
        """Something else wrote over a part of the file; nobody had it open."""
        for writer in self.writers:
            writer.history.sidecar.close()
        if (file := index_file(self.writers[0])).is_file():
            start = min(start, file.stat().st_size) & ~0xFFF
            with file.open("r+b") as opened:
                opened.seek(start)
                opened.write(content * 2_000)

    @rule()
    def repack(self) -> None:
        git(self.path, "gc", "-q")

    @invariant()
    def same(self) -> None:
        for registry in self.writers:
            snapshot = registry.snapshot()
            if not snapshot.commit:
                continue
            assert {str(entry.id): entry for entry in snapshot.entries()} == self.now
            assert [str(id) for id in snapshot.ids()] == [str(id) for id in sorted(map(EntryId.parse, self.now))]
            assert snapshot.number == len(self.history) and snapshot.problems() == []
            for id in ("app:a", "app.generated:C.x"):
                assert snapshot.get(EntryId.parse(id)) == self.now.get(id)
                steps = enumerate(pairwise([{}, *self.history]), 1)
                changing = [number for number, (was, now) in steps if was.get(id) != now.get(id)]
                assert [version.number for version in registry.versions(id=EntryId.parse(id))] == changing[::-1]
            tools = sorted(id for id, entry in self.now.items() if entry.kind == "function.lua")
            assert sorted(str(entry.id) for entry in snapshot.find({".kind": "function.lua"})) == tools
            assert snapshot.search("app", {})[1] == len(self.now)

    @rule(who=st.integers(0, 1), seen=states)
    def look_back(self, who: int, seen: tuple[Snapshot, dict[str, Entry]]) -> None:
        snapshot = self.writers[who].snapshot(seen[0].commit) if seen[0].commit else seen[0]
        assert {str(entry.id): entry for entry in snapshot.entries()} == seen[1]

    def teardown(self) -> None:
        if self.history:
            fsck(self.path)
            for version in self.writers[1].versions():
                commit, history = self.writers[1].objects.commit(version.commit), self.writers[1].history
                changed, _ = history.changes(history.before(commit), commit.tree)
                assert changed == tuple(sorted(version.operations, key=lambda pair: pair[1]))
        for registry in self.writers:
            registry.close()
        self.folder.cleanup()


AgainstADict.TestCase.settings = settings(max_examples=rounds(8, 150), stateful_step_count=15, deadline=None)
TestAgainstADict = AgainstADict.TestCase


def test_deleting_the_last_entry_of_a_namespace_removes_its_folder(registry: Registry) -> None:
    write(registry, Changeset((Operation("create", (e := thing("a.b.c:x")).id, e),)))
    assert registry.snapshot().namespaces() == ["a.b.c"]
    write(registry, delete("a.b.c:x"))
    assert (
        registry.snapshot().namespaces() == []
        and git(registry.path, "ls-tree", "--name-only", "main") == "registry.yaml"
    )
