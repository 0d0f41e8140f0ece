"""`micro-agi demo`: what it prints is what README shows, and nothing of the person's is touched."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import COMMAND, SECONDS
from click.testing import Result

README = (Path(__file__).parents[2] / "README.md").read_text()
LOG = "$ git log --no-decorate '--grep=^Actor: service:agent'\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def masked(text: str) -> list[str]:
    """Lines without what differs from run to run: times, ports, sessions, commits."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{4}", "SESSION", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "SERVER", text)
    text = re.sub(r"\b[0-9a-f]{40}\b", "COMMIT", text)
    text = re.sub(r"(?m)^Date: .*", "Date:", text)
    return [line.rstrip() for line in text.splitlines()]


def in_order(lines: list[str], text: list[str]) -> bool:
    rest = iter(text)
    return all(line in rest for line in lines)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One run, in a home whose settings would lead it astray, and in a folder that shadows a module."""
    home = tmp_path_factory.mktemp("astray")
    (home / "config.toml").write_text(f'registry = "{home / "own.git"}"\nmodel = "gpt-5.1"\nrender.front_end = "batch"')
    (home / "json.py").write_text("raise SystemExit('shadowed')")
    settings = {"MICRO_AGI_CONFIG": home / "config.toml", "MICRO_AGI_HOME": home / "data", "MICRO_AGI_MODEL": "nope"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, str(value))
        command = [COMMAND[0], "-P", *COMMAND[1:], "demo"]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=3 * SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in home.iterdir()) == ["config.toml", "json.py"]
    return done.stdout


def test_the_transcript_is_the_one_of_the_readme(shown: str) -> None:
    transcript = blocks("text")[0]
    assert in_order(masked(transcript), masked(shown))
    second = shown.partition("> fetch ")[2]
    assert in_order(
        [
            "  [create_tool] ok",
            "  [load_tool] ok",
            "  [+] app.generated:http_get",
            "  [http_get] ok",
            "Your IP is 203.0.113.42.",
        ],
        second.splitlines(),
    )


def test_the_log_is_the_one_of_the_readme(shown: str) -> None:
    [_, commit] = next(block for block in blocks("console") if "Source-SHA256" in block).split("log -1\n")
    assert in_order(masked(commit), masked(shown.partition(LOG)[2]))
    assert shown.count("\nAuthor: service:agent <noreply@micro-agi.invalid>\n") == 2


def test_without_git_the_log_is_the_same(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    mine = cli("demo").stdout
    before, _, log = mine.partition("git is not on PATH; this is what `git log` would print:\n")
    assert masked(log) == masked(shown.partition(LOG)[2])
    assert masked(before) == masked(shown.partition(LOG)[0])
