"""Names and aliases in the place of ids on the command line, and what is said where they mean nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cli_kit import publish
from click.testing import Result

ID = "app.mine:current_time"
SOURCE = "return {handler = function() return 'noon' end}"
HINT = f"the nearest: {ID}"


@pytest.fixture(autouse=True)
def clock(seeded: object) -> None:
    publish(ID, SOURCE)


def test_a_name_will_do(cli: Callable[..., Result]) -> None:
    assert cli("call", "current_time").stdout == "noon\n"
    assert json.loads(cli("registry", "show", "current_time", "--json").stdout)["id"] == ID
    assert json.loads(cli("registry", "log", "current_time", "--json").stdout)[0]["subject"] == f"Create {ID}"
    assert "'noon'" in cli("registry", "blame", "current_time").stdout
    assert f"delete {ID}" in cli("registry", "revert", "main", "current_time").stdout
    gone = cli("registry", "show", "app.mine:current_time")
    assert "deleted by" in gone.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["call", "curent_time"], f"Error: there is no entry curent_time; {HINT}\n"),
        (["registry", "show", "curent_time"], f"Error: there is no entry curent_time; {HINT}\n"),
        (["registry", "show", "app.mine:curent_time"], f"Error: not found: app.mine:curent_time ({HINT})\n"),
        (["registry", "blame", "curent_time"], f"Error: there is no entry curent_time; {HINT}\n"),
        (["registry", "restore", "main", "curent_time"], f"Error: there is no entry curent_time; {HINT}\n"),
        (["registry", "log", "zzz"], "Error: there is no entry zzz; `micro-agi registry list` shows what there is\n"),
    ],
)
def test_the_nearest_is_named(cli: Callable[..., Result], words: list[str], line: str) -> None:
    result = cli(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line)


def test_a_log_of_nothing_names_the_nearest(cli: Callable[..., Result]) -> None:
    result = cli("registry", "log", "app.mine:curent_time")
    assert (result.exit_code, result.stderr) == (0, f"no commit changed app.mine:curent_time; {HINT}\n")
