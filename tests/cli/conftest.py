"""The command line as a person uses it: in this process where that is enough, else as a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_kit import Started
from click.testing import CliRunner, Result

from micro_agi_kernel.frontends.cli.main import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder, not made yet; the working folder of the test is empty."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MICRO_AGI_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry that holds the seed and nothing else."""
    path = tmp_path_factory.mktemp("seed") / "registry.git"
    assert CliRunner().invoke(main, ["registry", "init", "--registry", str(path)]).exit_code == 0
    return path


@pytest.fixture
def seeded(home: Path, seed: Path) -> Path:
    """The registry of the data folder, with the seed in it: copied, which is faster than made."""
    return shutil.copytree(seed, home / "registry.git")


@pytest.fixture
def cli(home: Path) -> Callable[..., Result]:
    """Runs one command in this process. What is no clean exit is raised."""

    def run(*arguments: str, input: str | bytes | None = None) -> Result:
        result = CliRunner(catch_exceptions=False).invoke(main, arguments, input=input)
        assert "Traceback" not in result.stderr
        if result.exit_code == 1 and "--json" not in arguments and not {"doctor", "verify"} & {*arguments}:
            assert result.stderr.count("\n") == 1, result.stderr
        return result

    return run


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Started]]:
    """Starts a command as a process."""
    started: list[Started] = []

    def begin(*arguments: str, **options: Any) -> Started:
        started.append(Started(*arguments, **options))
        return started[-1]

    yield begin
    for command in started:
        command.process.kill()
        command.process.communicate()
