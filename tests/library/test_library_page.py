"""docs/library.md is right: its blocks show what they do, its names are the package's, and a type checker agrees."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
from documents_kit import ROOT, check_shown, read_blocks

import micro_agi_kernel
from micro_agi_kernel.events import Event, Revision, Spent

PAGE = ROOT / "docs/library.md"


def page_blocks(kind: str) -> list[tuple[str, str | None]]:
    """The blocks of one kind, each with what it shows if the page says so."""
    blocks = read_blocks(PAGE)
    nexts = [*blocks[1:], ("", "")]
    return [
        (source, shown if next_kind == "output" else None)
        for (found, source), (next_kind, shown) in zip(blocks, nexts, strict=True)
        if found == kind
    ]


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert {kind for kind, _ in read_blocks(PAGE)} == {"python", "cell", "output"}
    assert PAGE.read_text().count("```") == 2 * len(read_blocks(PAGE))


def test_the_examples_show_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one interpreter, one after the other, as a reader tries them."""
    monkeypatch.setenv("MICRO_AGI_HOME", str(tmp_path))
    names: dict[str, object] = {"__name__": "page"}
    for source, expected in page_blocks("python"):
        shown = StringIO()
        with redirect_stdout(shown):
            exec(compile(source, str(PAGE), "exec", dont_inherit=True), names)
        check_shown(shown.getvalue(), expected or "\n", source)


def test_the_names_are_those_of_the_page_and_each_is_there() -> None:
    table = PAGE.read_text().partition("## All names")[2]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(micro_agi_kernel.__all__)
    assert sorted(micro_agi_kernel.__all__) == micro_agi_kernel.__all__
    missing = [name for name in named if not hasattr(micro_agi_kernel, name)]
    assert not missing
    assert {*micro_agi_kernel._MODULES} - named == {"load_ipython_extension", "unload_ipython_extension"}
    with pytest.raises(AttributeError, match="has no attribute 'Agnet'"):
        micro_agi_kernel.Agnet  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("event", [*get_args(Event), Revision, Spent])
def test_the_help_of_an_event_tells_what_each_field_holds(event: type) -> None:
    """`help` shows the docstring of a class, and nothing that stands below a field."""
    said = inspect.getdoc(event) or ""
    hints = get_type_hints(event)
    words = [word for hint in hints.values() if get_origin(hint) is Literal for word in get_args(hint)]
    wanted = [f"`{field.name}`" for field in fields(event)] + [f'"{word}"' for word in words]
    assert not [each for each in wanted if each not in said]


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = (
        "import sys, micro_agi_kernel; print(*(name for name in sys.modules if name.startswith('micro_agi_kernel.')))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "\n"


def test_a_type_checker_agrees_with_the_examples_and_knows_every_name(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    script = "\n".join(source for source, _ in page_blocks("python"))
    names = ", ".join(micro_agi_kernel.__all__)
    (tmp_path / "right.py").write_text(
        f"{script}\nimport micro_agi_kernel as all_of_it\nfrom micro_agi_kernel import {names}\n"
    )
    (tmp_path / "wrong.py").write_text(
        "from micro_agi_kernel import Agent, Agnet\n\nagent = Agent()\nagent.ask(5)\nagent.run('').subject\n"
    )
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--cache-dir",
        str(ROOT / ".mypy_cache"),
    ]
    environment = {"MYPYPATH": str(ROOT)}
    ran = subprocess.run(
        [*command, "right.py", "wrong.py"], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    found = re.findall(r"^(\w+)\.py:(\d+): error: .*\[([\w-]+)\]$", ran.stdout, re.MULTILINE)
    assert found == [("wrong", "1", "attr-defined"), ("wrong", "4", "arg-type"), ("wrong", "5", "attr-defined")], ran
