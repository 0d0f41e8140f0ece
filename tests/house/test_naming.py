"""What a person calls an entry: its id, or a name or alias that only one has; else the nearest are named."""

from __future__ import annotations

import html

import pytest
from house_kit import House, create, delete, id_of, talking, tool
from model_server import text
from test_bounds import command

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import EntryError, Refused
from micro_agi_kernel.naming import NEAREST, named, nearest
from micro_agi_kernel.registry.sidecar_query import CommitRows

GREETER = tool("app.mine:welcome", llm_alias="greet")
LIBRARY = Entry(id_of("app.lib:words"), "library.lua", {}, {})


def test_a_name_or_an_alias_that_only_one_has(house: House) -> None:
    house.write(*create(tool("x_y"), GREETER, LIBRARY))
    for said, id in {
        "x_y": "app.generated:x_y",
        "welcome": "app.mine:welcome",
        "greet": "app.mine:welcome",
        "words": "app.lib:words",
        "create_tool": "app.tools:create_tool",
        "app.none:at_all": "app.none:at_all",
    }.items():
        assert named(house.registry, said) == id_of(id)


@pytest.mark.parametrize("said", ["X_Y", "x", "x y", "y", "*", "", "gree", '"', "a:b:c", "x\udc00"])
def test_what_is_no_name_of_anything(house: House, said: str) -> None:
    house.write(*create(tool("x_y"), GREETER))
    with pytest.raises((Refused, EntryError)) as refused:
        named(house.registry, said)
    assert "\n" not in str(refused.value)


def test_a_name_of_several_is_not_guessed(house: House) -> None:
    house.write(*create(GREETER, tool("greet"), Entry(id_of("app.lib:greet"), "library.lua", {}, {})))
    line = "greet may be app.generated:greet, app.lib:greet, app.mine:welcome: write the id"
    with pytest.raises(Refused, match=f"^{line}$"):
        named(house.registry, "greet")
    with pytest.raises(Refused, match=r"^greet may be app.generated:greet, app.mine:welcome: write the id$"):
        named(house.registry, "greet", tools=True)
    house.write(*create(tool("app.one:greet"), tool("app.two:greet")))
    with pytest.raises(Refused, match=r"app.mine:welcome or 2 more: write the id$"):
        named(house.registry, "greet")


def test_a_generated_entry_that_is_gone_keeps_its_name(house: House) -> None:
    house.write(*create(tool("gone")))
    house.write(*delete("app.generated:gone"))
    assert named(house.registry, "gone") == id_of("app.generated:gone")


def test_the_nearest_are_ids_of_entries_that_are_there(house: House) -> None:
    house.write(*create(tool("current_time"), tool("app.mine:current_time"), tool("curent_time"), LIBRARY))
    house.write(*delete("app.generated:curent_time"))
    snapshot = house.registry.snapshot()
    assert nearest(snapshot, "curren_time") == "the nearest: app.generated:current_time, app.mine:current_time"
    assert nearest(snapshot, "wrds") == "" and nearest(snapshot, "wods") == "the nearest: app.lib:words"
    assert nearest(snapshot, "wods", tools=True) == ""
    assert nearest(snapshot, '*" OR id:') == ""


def test_of_many_entries_a_bounded_number_is_compared(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micro_agi_kernel.registry.sidecar_query.MAX_NEAR", 7)
    seen: list[int] = []
    near = CommitRows.near

    def counted(self: CommitRows, name: str) -> object:
        found = near(self, name)
        seen.append(len(found))
        return found

    monkeypatch.setattr(CommitRows, "near", counted)
    house.write(*create(*(tool(f"many_{number}") for number in range(20))))
    assert nearest(house.registry.snapshot(), "many").count("app.generated:many_") == NEAREST
    assert seen == [7]


async def test_the_commands_understand_it(house: House) -> None:
    made = house.write(*create(GREETER))
    async with talking(house, [text("Hm.")]) as talk:
        assert (await command(talk.session, "%tool greet")).startswith("**`app.mine:welcome`**")
        answer = await command(talk.session, f"%revert {made.commit} greet")
        assert "Create app.mine:welcome" in html.unescape(answer)
