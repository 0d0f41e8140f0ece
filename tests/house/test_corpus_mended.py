"""A model whose faulty tool was refused: its second try, of which the refusal names what changes, is committed."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest
from house_kit import House, delete
from test_corpus import FAULTY, hasty_house, name_of, read

__all__ = ["hasty_house"]

NAMED = {"input_schema": ("input_schema",), "modules": ("module",), "calls": ("calls",)}
"""What names an argument in a refusal; of the source and the tests it is a line, or the test that failed."""

ELSEWHERE = {"continue_without_label": "no visible label 'continue'", "missing_end": "'end' expected"}
"""What Lua says of something that is missing: it names it, and a line from which it is missed."""


async def test_the_second_try_is_committed(hasty_house: House) -> None:
    """`mended` holds the arguments that follow from the refusal; all others, and the session, stay as they were."""
    house = hasty_house
    for path in FAULTY:
        case, head = read(path), house.head
        refused = await make(house, case["tool"])
        assert set(refused) == {"error"} and house.head == head, path.stem
        check_named(case, refused["error"])
        tool = {**case["tool"], **case["mended"]}
        made = await make(house, tool)
        assert made == {"created": True, "id": f"app.generated:{path.stem}", "commit": house.head}, (path.stem, made)
        assert house.registry.version("main").trailers["Tests"] == f"{len(tool['tests'])} passed"
        house.write(*delete(f"app.generated:{path.stem}"))  # some of them are alike


async def make(house: House, tool: Any) -> Any:
    outcome = await house.run("app.tools:create_tool", tool, session="s1", cell=1)
    return outcome.value if outcome.error is None else {"error": outcome.error.message}


def check_named(case: Any, said: str) -> None:
    """The refusal names each argument that is mended, and of the source a line that is, where it names one."""
    tool, mended = case["tool"], case["mended"]
    name = tool["name"]
    if (
        name == "metadata_of_the_cloud"
    ):  # what it is for is forbidden, by a policy and an address: it becomes another tool
        assert "policy denied: http_client.private_ip on 169.254.169.254" in said
        return
    for argument in mended.keys() & NAMED.keys():
        assert any(word in said for word in NAMED[argument]), (name, argument, said)
    if "source" in mended and "modules" not in mended:
        lines = {int(line) for line in re.findall(rf"\b{name}:(\d+):", said)}
        changed = lines_changed(tool["source"], mended["source"])
        told = "source" in said or any(f"'{test['name']}'" in said for test in tool["tests"])
        if name in ELSEWHERE:
            assert ELSEWHERE[name] in said
            return
        assert lines & changed if lines else told or mended.keys() & NAMED.keys() or "tests" in mended, (name, said)
    if "tests" in mended:
        places = [f"tests[{n}]" for n in range(1, len(tool["tests"]) + 1)] + [test["name"] for test in tool["tests"]]
        assert any(place in said for place in places) or "input_schema" in said, (name, said)


def lines_changed(before: str, after: str) -> set[int]:
    """Numbers of the lines that differ, with those around them: Lua may see the fault one line late."""
    steps = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False).get_opcodes()
    return {line for tag, first, last, *_ in steps if tag != "equal" for line in range(first, last + 2)}


@pytest.mark.parametrize("path", FAULTY, ids=name_of)
def test_it_is_the_same_tool(path: Path) -> None:
    """Mended, not written anew: the name stays, and the tests unless the fault lies in them or in what they ask for."""
    case = read(path)
    assert case["mended"].keys() <= {"description", "source", "input_schema", "modules", "calls", "tests"}
    asks_otherwise = {"metadata_of_the_cloud", "schema_of_a_list", "sleeps_too_long"}
    asks_otherwise |= {"checked_by_the_schema", "null_in_a_list", "space_in_a_url"}
    assert ("tests" in case["mended"]) == (path.stem in asks_otherwise)
    assert all(case["mended"][key] != case["tool"].get(key) for key in case["mended"])
