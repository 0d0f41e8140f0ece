"""YAML of strangers: what is no JSON value, or none that Lua can have, is one line."""

from __future__ import annotations

import pytest

from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.values import check_json
from micro_agi_kernel.yaml_files import dump_yaml, load_yaml

LEAST, MOST = -(1 << 63), (1 << 63) - 1

TOO_MUCH = {
    "hexadecimal": "0x" + "f" * 6_000,
    "decimal": "9" * 6_000,
    "below the limit of Python": "9" * 4_300,
    "octal": "0" + "7" * 6_000,
    "binary": "0b" + "1" * 20_000,
    "base 60": "1" + ":59" * 40_000,
    "a fraction in base 60": "1" + ":59" * 500 + ":59.5",
    "one too many": str(MOST + 2),
    "one too few": str(LEAST - 1),
    "no digit": "0x_",
    "a float beyond a double": "9" * 290 + "." + "9" * 5 + "e+99",
}


@pytest.mark.parametrize("number", TOO_MUCH.values(), ids=TOO_MUCH)
@pytest.mark.parametrize("form", ["a: {}", "{}: a", "a: [{{b: -{}}}]"])
def test_a_number_that_nothing_else_could_have_is_one_short_line(number: str, form: str) -> None:
    with pytest.raises(EntryError) as caught:
        load_yaml(form.format(number).replace("--", "-").encode(), "x.yaml")
    said = str(caught.value)
    assert said.startswith("x.yaml: ") and "\n" not in said and len(said) < 200


def test_the_numbers_of_lua_come_and_go() -> None:
    values = [0, MOST, LEAST, 1 << 53, 1.5, -1e308]
    assert load_yaml(dump_yaml([*values]), "x.yaml") == values
    assert load_yaml(b"[0x7fffffffffffffff, 1:30, 1:30.5, 0b11, 1_000]", "x.yaml") == [MOST, 90, 90.5, 3, 1000]
    check_json([*values], "it")
    with pytest.raises(EntryError, match="it: an integer beyond 64 bits"):
        check_json({"a": [MOST + 1]}, "it")
