"""`micro-agi registry trust` as a person uses it, and what commands say of a project's registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_registry_kit import write
from click.testing import Result

from micro_agi_kernel.entries import Entry, EntryId, Operation
from micro_agi_kernel.registry import Registry

URL = "https://models.example/v1"


@pytest.fixture
def work(home: Path) -> Path:
    """The working folder."""
    return Path.cwd()


def listed(cli: Callable[..., Result]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(cli("registry", "trust", "--json").stdout)
    return found


def test_a_projects_registry(cli: Callable[..., Result], seeded: Path, work: Path) -> None:
    place = shutil.copytree(seeded, work / ".micro-agi/registry.git")
    used = cli("registry", "path")
    assert used.stdout.strip() == str(seeded)
    assert used.stderr.startswith("using the default registry, not this project's") and used.stderr.count("\n") == 1
    for command in (("docs", "search", "time"), ("registry", "list"), ("call", "app.tools:registry_list")):
        assert "you have not trusted it" in cli(*command).stderr
    shown = cli("registry", "trust", ".")
    first = Registry.open(place)
    with first:
        commit = first.head()
    assert shown.stdout == f"trusted: registry {place}; its first commit is {commit[:12]}\n"
    used = cli("registry", "path")
    assert (used.stdout.strip(), used.stderr) == (str(place), "")
    assert cli("registry", "trust").stdout == f"registry\t{place}\tits first commit is {commit[:12]}\n"
    assert cli("registry", "trust", "--remove", str(place)).stdout.startswith("no longer trusted: registry")
    assert cli("registry", "path").stdout.strip() == str(seeded) and listed(cli) == []


def test_the_working_folder_belongs_to_the_project_above(
    cli: Callable[..., Result], seeded: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = shutil.copytree(seeded, work / ".micro-agi/registry.git")
    (work / "below").mkdir()
    monkeypatch.chdir(work / "below")
    assert cli("registry", "trust", ".").stdout.startswith(f"trusted: registry {place};")
    assert cli("registry", "path").stdout.strip() == str(place)
    assert cli("registry", "trust", "--remove", ".").stdout.startswith(f"no longer trusted: registry {place}")


def test_nothing_is_said_to_be_trusted_that_could_not_be_written(
    cli: Callable[..., Result], seeded: Path, work: Path
) -> None:
    shutil.copytree(seeded, work / ".micro-agi/registry.git")
    (seeded.parent / "trust.toml").write_text("no toml = = ")
    shown = cli("registry", "trust", ".")
    assert shown.exit_code == 1 and shown.stdout == ""


def test_init_trusts_what_it_makes(cli: Callable[..., Result], work: Path) -> None:
    path = ".micro-agi/registry.git"
    made = cli("registry", "init", "--registry", path)
    assert made.stdout.strip() == str(work / path)
    assert made.stderr == f"trusted, since you made it: it is used in {work} and below\n"
    assert cli("registry", "path").stdout.strip() == str(work / path)
    cli("registry", "trust", "--remove", ".")
    assert cli("registry", "init", "--registry", path).stderr == ""  # it is there: made by whomever
    assert listed(cli) == []


def test_a_models_server(cli: Callable[..., Result], seeded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M_KEY", "sk-secret")
    with Registry.open(seeded) as registry:
        options = {"base_url": URL, "api_key_env": "M_KEY"}
        data: Any = {"max_tokens": 1, "providers": [{"id": "wippy.llm.openai:provider", "options": options}]}
        id = EntryId("app", "gpt-5.1")
        entry = Entry(id, "registry.entry", {"type": "llm.model", "name": "gpt-5.1"}, data)
        write(registry, Operation("update", id, entry), actor="user:ada")

    def state() -> str:
        rows = (line.split("\t") for line in cli("models").stdout.splitlines())
        return next(row[4] for row in rows if row[1:2] == ["gpt-5.1"])

    assert f"M_KEY may go to {URL}, run `micro-agi registry trust app:gpt-5.1`" in state()
    named = cli("models", "--registry", str(seeded)).stdout
    assert f"run `micro-agi registry trust app:gpt-5.1 --registry {seeded}`" in named
    shown = cli("registry", "trust", "gpt-5.1")
    assert shown.stdout == f"trusted: model app:gpt-5.1; M_KEY may go to {URL} (registry {seeded})\n"
    assert "sk-secret" not in shown.stdout and state() == "ready"
    row = {"type": "model", "registry": str(seeded), "id": "app:gpt-5.1", "url": URL, "key": "M_KEY"}
    assert listed(cli) == [row] and json.loads(cli("registry", "trust", "app:gpt-5.1", "--json").stdout) == [row]
    cli("registry", "trust", "--remove", "gpt-5.1")
    assert listed(cli) == [] and state() != "ready"
    assert "needs no trust" in cli("registry", "trust", "demo").stderr


def test_a_persons_key(cli: Callable[..., Result], work: Path) -> None:
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        pytest.skip("no ssh-keygen")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-C", "ann@host", "-f", "key"], check=True)
    said = subprocess.run([keygen, "-lf", "key.pub"], check=True, capture_output=True, text=True).stdout
    fingerprint = said.split()[1]
    assert cli("registry", "trust", "key.pub").stdout == f"trusted: key {fingerprint}; ann@host\n"
    assert listed(cli) == [{"type": "key", "fingerprint": fingerprint, "line": Path("key.pub").read_text().strip()}]
    assert cli("registry", "trust", "--remove", fingerprint).exit_code == 0
    cli("registry", "trust", "key.pub")
    assert cli("registry", "trust", "--remove", "key.pub").exit_code == 0 and listed(cli) == []
    shutil.copy("key", "private.pub")
    Path("two.pub").write_text(Path("key.pub").read_text() * 2)
    Path("wrong.pub").write_text("ssh-rsa " + Path("key.pub").read_text().split()[1])
    for name in ("private.pub", "two.pub", "wrong.pub"):
        refused = cli("registry", "trust", name)
        assert refused.exit_code == 1 and f"{name} is no public SSH key" in refused.stderr


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nobody", "no model is called 'nobody'"),
        ("./nothing", "nothing; only a project's registry"),
        ("./folder", "Error: only a project's registry"),
        ("nothing.pub", "cannot read nothing.pub: No such file"),
        ("folder", "for the folder say ./folder"),
    ],
)
def test_what_cannot_be_trusted(cli: Callable[..., Result], seeded: Path, what: str, said: str) -> None:
    os.mkdir("folder")
    refused = cli("registry", "trust", what)
    assert refused.exit_code == 1 and said in refused.stderr and listed(cli) == []
    refused = cli("registry", "trust", "--remove", what)
    assert refused.exit_code == 1 and "nothing of that name is trusted" in refused.stderr


def test_a_broken_file_is_one_line(cli: Callable[..., Result], seeded: Path) -> None:
    (seeded.parent / "trust.toml").write_text("x = 1\n")
    refused = cli("registry", "trust")
    assert refused.exit_code == 1 and "unknown key 'x'" in refused.stderr
    assert cli("registry", "list").exit_code == 0  # nothing there needs it
    assert cli("registry", "trust", "--remove").exit_code == 2
