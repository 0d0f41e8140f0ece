"""`micro-agi registry import` and `export`: one commit or none, and everything that is wrong at once."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_registry_kit import ADA
from click.testing import CliRunner, Result

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.frontends.cli.main import main
from micro_agi_kernel.registry import CommitMessage, Registry

BIG_SCHEMA = f"{{input_schema: '{1 << 64}'}}"
SOURCE = "local time = require('time')\nreturn {handler = function() return time.now():unix() end}\n"
INDEX = """\
version: "1.0"
namespace: app.mine
entries:
  - name: words
    kind: library.lua
    source: file://words.lua
  - name: now
    kind: function.lua
    meta:
      type: tool
      comment: Gives the time
      input_schema: '{"type": "object", "properties": {}}'
    source: file://now.lua
    method: handler
    modules: [time]
    imports: {words: words}
  - name: rule
    kind: security.policy
    groups: ["app.mine:readers"]
    policy: {actions: read, resources: "*", effect: allow}
  - name: service
    kind: process.service
    meta: {comment: Runs nothing here}
    process: app.mine:worker
    lifecycle: {auto_start: true}
  - name: letter
    kind: template.jet
    source: file://letter.html
"""
FILES = {"_index.yaml": INDEX, "words.lua": "return {}\n", "now.lua": SOURCE, "letter.html": "<p>file</p>"}


pytestmark = pytest.mark.usefixtures("seeded")


def plant(folder: str, files: dict[str, str]) -> Path:
    for path, content in files.items():
        Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
        Path(folder, path).write_text(content)
    return Path(folder)


def commits(cli: Callable[..., Result], *options: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(cli("registry", "log", "--json", *options).stdout)
    return rows


def test_an_index_file_becomes_one_commit(cli: Callable[..., Result]) -> None:
    plant("project", FILES)
    said = json.loads(cli("registry", "import", "project/_index.yaml", "--json").stdout)
    names = ["letter", "now", "rule", "service", "words"]
    assert said["operations"] == [{"action": "create", "id": f"app.mine:{name}"} for name in names]
    assert (said["version"], said["files"], said["unchanged"]) == (2, [], 0)
    row = commits(cli)[0]
    assert (row["commit"], row["subject"]) == (said["commit"], "Change 5 entries")
    assert str(row["actor"]).startswith("user:")
    now = json.loads(cli("registry", "show", "app.mine:now", "--json").stdout)
    assert now["meta"]["input_schema"] == {"type": "object", "properties": {}}
    assert now["data"] == {
        "source": SOURCE,
        "method": "handler",
        "modules": ["time"],
        "imports": {"words": "app.mine:words"},
    }
    assert json.loads(cli("registry", "show", "app.mine:rule", "--json").stdout)["data"]["groups"] == ["readers"]
    assert json.loads(cli("registry", "show", "app.mine:letter", "--json").stdout)["data"]["source"] == "<p>file</p>"
    service = json.loads(cli("registry", "show", "app.mine:service", "--json").stdout)["data"]
    assert service == {"process": "app.mine:worker", "lifecycle": {"auto_start": True}}

    again = cli("registry", "import", "project")
    assert again.stdout == "nothing differs in 5 entries and pages: no commit\n"
    plant("project", {"words.lua": "return {1}\n"})
    assert cli("registry", "import", "project").stdout.endswith(": 1 updated, 4 unchanged\n")
    assert commits(cli)[0]["operations"] == [{"action": "update", "id": "app.mine:words"}]
    assert len(commits(cli)) == 3


def test_what_is_exported_can_be_imported_elsewhere(cli: Callable[..., Result]) -> None:
    plant("project", FILES)
    cli("registry", "import", "project")
    said = cli("registry", "export", "out")
    assert said.stdout.endswith(f" files of {str(commits(cli)[0]['commit'])[:12]}\n")
    plant("out", {"docs/mine.md": "# Mine\n"})
    there = ("--registry", "other.git")
    first = json.loads(cli("registry", "import", "out", "--json", *there).stdout)
    assert [step["action"] for step in first["operations"]] == ["create"] * 5 and first["files"] == ["docs/mine.md"]
    cli("registry", "export", "out2", *there)
    assert not filecmp.dircmp("out", "out2").left_only and not filecmp.dircmp("out", "out2").diff_files
    assert Path("out2/docs/mine.md").read_text() == "# Mine\n"
    assert ": 1 page, " in cli("registry", "import", "out2").stdout
    assert cli("registry", "import", "out2").stdout.startswith("nothing differs in ")
    assert cli("docs", "show", "mine").stdout == "# Mine\n"
    cli("registry", "export", "old", "--at", "v1", *there)
    assert not Path("old/app/mine").exists()
    result = cli("registry", "export", "old")
    assert (result.exit_code, result.stderr) == (1, "Error: old is not empty: choose another folder\n")


def test_the_file_of_one_entry(cli: Callable[..., Result]) -> None:
    shown = cli("registry", "show", "app.tools:load_tool", "--json").stdout
    Path("tool.json").write_text(shown)
    assert cli("registry", "import", "tool.json").stdout.startswith("nothing differs in 1 ")
    Path("tool.json").write_text(json.dumps({**json.loads(shown), "id": "app.mine:copy"}))
    cli("registry", "import", "tool.json")
    copy = json.loads(cli("registry", "show", "app.mine:copy", "--json").stdout)
    assert {**copy, "id": "", "commit": ""} == {**json.loads(shown), "id": "", "commit": ""}


def test_everything_that_is_wrong_is_said_and_nothing_is_written(cli: Callable[..., Result]) -> None:
    wrong = "\n".join(f"  - {{name: bad{n}, kind: function.lua, source: 'return {{', modules: []}}" for n in range(25))
    policy = "  - {name: rule2, kind: security.policy, policy: {actions: '*', resources: 'a*b', effect: deny}}"
    module = "  - {name: a_mod, kind: library.lua, source: 'return {}', modules: [\"no\\e[1mne\"]}"
    lost = "  - {name: lost, kind: library.lua, source: 'return {}', imports: {gone: nowhere}}"
    model = "  - {name: model, kind: registry.entry, meta: {type: llm.model}, data: {}}"
    plant("project", {**FILES, "_index.yaml": f"{INDEX}{policy}\n{module}\n{wrong}\n{lost}\n{model}\n"})
    result = CliRunner().invoke(main, ["registry", "import", "project"])
    lines = result.stderr.splitlines()
    assert (result.exit_code, result.stdout, len(lines)) == (1, "", 21)
    assert lines[0].startswith("app.mine:a_mod: modules: there is no module 'no\\x1b[1mne'; there are: ")
    assert lines[1] == "app.mine:bad0: bad0:1: unexpected symbol near <eof>"
    assert lines[-1].startswith("Error: nothing was imported: 29 of 34 ")
    document = json.loads(cli("registry", "import", "project", "--json").stdout)
    refused = {row["id"]: row["message"] for row in document["refused"]}
    assert "bad pattern 'a*b'" in refused["app.mine:rule2"] and "no module" in refused["app.mine:a_mod"]
    assert refused["app.mine:lost"] == "not found: app.mine:nowhere, which app.mine:lost imports"
    assert refused["app.mine:model"].startswith("data.max_tokens must be")
    assert "\x1b" not in result.stderr and (document["commit"], document["version"]) == (None, None)
    assert len(commits(cli)) == 1


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({}, "project: there is no such file"),
        (
            {"_index.yaml": "namespace: app\nentries: [{name: x, kind: a, b: file://../x}]"},
            "x: lies outside of project",
        ),
        ({"_index.yaml": INDEX, "a/_index.yaml": INDEX}, "words.lua: there is no such file"),
        ({**FILES, "a/_index.yaml": "{namespace: app.mine, name: rule, kind: x}"}, "app.mine:rule stands there twice"),
        ({"registry.yaml": "format: 1\nlayout: folders\n", "x.yml": ""}, "project/x.yml: not a file of an entry"),
        ({"x.yaml": ""}, "project: holds neither an _index.yaml nor a registry.yaml"),
        ({"_index.yaml": "namespace: app\nentries: [{name: Demo, kind: x}]"}, "cannot stand beside app/demo.yaml"),
        ({"_index.yaml": f"namespace: app\nentries: [{{name: n, kind: x, n: 0x{'f' * 6_000}}}]"}, "a number of 6002 "),
        (
            {"_index.yaml": f"{{id: 'app.mine:x', kind: library.lua, source: return 1, meta: {BIG_SCHEMA}}}"},
            "app.mine:x: an integer beyond 64 bits",
        ),
    ],
    ids=["missing", "outside", "no source", "twice", "stray", "nothing", "twin", "number", "number in a schema"],
)
def test_a_mistake_is_one_line(cli: Callable[..., Result], files: dict[str, str], line: str) -> None:
    plant("project", files)
    result = cli("registry", "import", "project")
    assert (result.exit_code, result.stdout) == (1, "") and line in result.stderr
    assert len(commits(cli)) == 1


def test_an_import_leaves_the_layout_of_a_registry_as_it_is(cli: Callable[..., Result], seeded: Path) -> None:
    cli("registry", "export", "out")
    with Registry.open(seeded) as registry:
        registry.shard("app.tools", CommitMessage("service:installer"), author=ADA, committer=ADA)
        sharded = registry.snapshot().file("registry.yaml")
        assert sharded != Path("out/registry.yaml").read_bytes()
        assert cli("registry", "import", "out").stdout.startswith("nothing differs in ")
        Path("out/app/tools/load_tool.lua").write_text("return {handler = function() end}\n")
        assert cli("registry", "import", "out").stdout.endswith(" 1 updated, 35 unchanged\n")
        assert registry.snapshot().file("registry.yaml") == sharded and not registry.snapshot().problems()


@pytest.mark.parametrize("changed", [False, True])
def test_an_entry_whose_source_is_lost_is_written_again(
    cli: Callable[..., Result], seeded: Path, changed: bool
) -> None:
    folder = plant("mine", FILES)
    assert cli("registry", "import", str(folder)).exit_code == 0
    with Registry.open(seeded) as registry:
        blob = registry.snapshot().nodes(EntryId.parse("app.mine:now"))[1]
        assert blob is not None
    (seeded / "objects" / blob.id[:2] / blob.id[2:]).unlink()
    if changed:
        (folder / "now.lua").write_text(f"-- anew\n{SOURCE}")
    done = cli("registry", "import", str(folder))
    assert (done.exit_code, done.stderr) == ((0, "") if changed else (1, "Error: nothing to change\n"))
    assert json.loads(cli("call", "app.mine:now", "--json").stdout)["ok"]
