"""A running kernel beside another writer, who has a registry object (and so caches) of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from house_kit import GOOD, House, create, finished, talking, tool, update, words
from model_server import Reply, calls, text

from micro_agi_kernel.entries import Changeset, Operation
from micro_agi_kernel.events import ToolLoaded
from micro_agi_kernel.registry import CommitMessage, Person, Registry

ANN = Person("Ann", "ann@example.com")


def write_elsewhere(house: House, *operations: Operation) -> None:
    with Registry.open(house.registry.path) as registry:
        message = CommitMessage("user:ann")
        registry.commit(Changeset(operations), message, author=ANN, committer=ANN, base=registry.snapshot())


def script(house: House, *steps: Reply | Operation) -> Callable[[dict[str, Any]], Reply]:
    """Replies in order; the operations before a reply are written by the other writer just before it is given."""
    left = list(steps)

    def answer(body: dict[str, Any]) -> Reply:
        while isinstance(left[0], Operation):
            write_elsewhere(house, left.pop(0))  # type: ignore[arg-type]
        reply = left.pop(0)
        assert isinstance(reply, Reply)
        return reply

    return answer


async def test_a_tool_of_another_writer_is_there_at_the_next_step(house: House) -> None:
    (new,), (newer,) = create(tool("made_elsewhere", GOOD)), update(tool("made_elsewhere", GOOD.replace("1", "2")))
    (built_in,) = create(tool("app.tools:shipped_later", GOOD.replace("1", "3")))
    steps = script(
        house,
        calls(("registry_list", {"namespace": "app.generated"})),
        new,
        calls(("registry_list", {"namespace": "app.generated"})),
        calls(("load_tool", {"id": "app.generated:made_elsewhere"})),
        calls(("made_elsewhere", {})),
        newer,
        built_in,
        calls(("made_elsewhere", {})),
        calls(("shipped_later", {})),
        text("ok"),
    )
    async with talking(house, steps) as talk:
        events = await talk.say("go")
        assert words(events) == "ok" and {status for _, status in finished(events)} == {"ok"}
        assert [str(event.id) for event in events if isinstance(event, ToolLoaded)] == ["app.generated:made_elsewhere"]
        before, after, _, first, second, third = talk.results()
        assert [found["total"] for found in (before, after)] == [0, 1]
        assert (first, second, third) == (1, 2, 3)
        offered = [{t["function"]["name"] for t in request.body["tools"]} for request in talk.requests]
        assert ["shipped_later" in names for names in offered] == [False] * 5 + [True] * 2
