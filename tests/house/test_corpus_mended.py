"""A model that knows the refusal only, not what is wrong: its second try, mended by that text alone, is committed."""

from __future__ import annotations

from pathlib import Path

import pytest
from house_kit import House
from test_corpus import FAULTY, hasty_house, name_of, read

__all__ = ["hasty_house"]


async def test_the_second_try_is_committed(hasty_house: House) -> None:
    """`mended` holds the arguments that the refusal names, by its text in `refused`; all others stay as they were."""
    house = hasty_house
    for path in FAULTY:
        case = read(path)
        tool = {**case["tool"], **case["mended"]}
        made = await house.make(**tool, intent="new")  # some of them are alike
        assert made == {"created": True, "id": f"app.generated:{path.stem}", "commit": house.head}, (path.stem, made)
        assert house.registry.version("main").trailers["Tests"] == f"{len(tool['tests'])} passed"


@pytest.mark.parametrize("path", FAULTY, ids=name_of)
def test_it_is_the_same_tool(path: Path) -> None:
    """Mended, not written anew: the name stays, and the tests unless the fault lies in them or in what they ask for."""
    case = read(path)
    assert case["mended"].keys() <= {"description", "source", "input_schema", "modules", "tests"}
    asks_otherwise = {"metadata_of_the_cloud", "schema_of_a_list", "sleeps_too_long"}
    assert ("tests" in case["mended"]) == (path.stem in asks_otherwise)
    assert all(case["mended"][key] != case["tool"].get(key) for key in case["mended"])
