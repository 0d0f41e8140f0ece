"""Pushes of people: what is sound lands, whatever is not is refused with a line that says what to mend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from push_kit import Clone, Files, tool_files
from registry_kit import fsck, git

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.pushes import MAX_PROBLEMS, check_push
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.sharing.hook import foreign_hook, refresh_hook
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.workspace import open_registry

DENY_CORE = "app/deny_core_ns.yaml"
HELPER = {"app/generated/help.yaml": b"kind: library.lua\ndata:\n  source: file://help.lua\n"}
HELPER["app/generated/help.lua"] = b"return {}\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry as a person has it."""
    home = tmp_path_factory.mktemp("home")
    open_registry(Settings(home=home)).close()
    return home / "registry.git"


@pytest.fixture(scope="module")
def clone(place: Path) -> Clone:
    return Clone(place, place.parent / "clone")


def pushed(clone: Clone, *refs: str, **environment: str) -> tuple[int, str]:
    """What a real `git push` ends with and says."""
    home = {"PATH": os.environ["PATH"], "HOME": os.fspath(clone.path), "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "push", os.fspath(clone.registry), *refs]
    done = subprocess.run(command, cwd=clone.path, env={**home, **environment}, capture_output=True, check=False)
    return done.returncode, done.stderr.decode()


async def refused(clone: Clone, new: str, old: str | None = None, ref: str = "refs/heads/main") -> list[str]:
    """What the check says of a push, made in this process: its objects lie in the clone."""
    updates = [f"{old or clone.main} {new} {ref}\n"]
    return await check_push(
        Settings(home=clone.path), clone.registry, clone.path / "objects", updates, lambda line: None
    )


# Real pushes


def test_a_push_that_breaks_a_tool_is_taken_and_says_so(clone: Clone) -> None:
    call = b"return {handler = function() return require('funcs').call('app.generated:called', {}) end}\n"
    more = b"  calls: ['app.generated:called']\n  tests: [{input: {}, expect: 1}]\n"
    both = {**tool_files("called"), **tool_files("caller", call, more)}
    code, said = pushed(clone, f"{clone.commit(both)}:main")
    assert (code, "breaks" in said) == (0, False), said
    code, said = pushed(
        clone, f"{clone.commit(tool_files('called', b'return {handler = function() return 2 end}'))}:main"
    )
    assert code == 0 and "refused" not in said, said
    assert "remote: app.generated:caller uses app.generated:called and breaks: tests: 1 of 1 failed" in said


def test_a_good_push_lands_and_a_running_registry_sees_it(place: Path, clone: Clone) -> None:
    with Registry.open(place) as running:
        before = running.snapshot()
        new = clone.commit({**tool_files("landed"), "docs/mine.md": b"# Mine\n", "README.md": b"Ours\n"})
        code, said = pushed(clone, f"{new}:main")
        assert (code, "refused" in said) == (0, False), said
        after = running.snapshot()
        assert after.commit == new and after.get(EntryId("app.generated", "landed")) is not None
        assert [id for _, id in before.changes_to(after)[0]] == [EntryId("app.generated", "landed")]
        assert running.version(new).actor == "user:Bob"
    fsck(place)


def test_a_bad_push_is_refused_with_every_reason(place: Path, clone: Clone, tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text(f"[core]\n\thooksPath = {tmp_path}\n")  # which does not switch it off
    main = clone.main
    new = clone.commit(
        {
            **tool_files("syntax", b"return {handler = function( return 1 end}\n"),
            **tool_files("granted", more=b"  modules: [registry]\n"),
            **tool_files("lost", more=b"  imports: {gone: 'app.lib:gone'}\n"),
            DENY_CORE: b"kind: security.policy\nmeta: {}\ndata: {groups: [agent_security], policy: {effect: maybe}}\n",
        }
    )
    code, said = pushed(clone, f"{new}:main", HOME=os.fspath(tmp_path))
    assert code == 1 and clone.main == main
    for line in (
        "refused: app/generated/syntax.lua: syntax:1: ",
        "refused: app/generated/granted.yaml: policy denied: lua.module on registry",
        "refused: app/generated/lost.yaml: not found: app.lib:gone",
        "refused: app/deny_core_ns.yaml: ",
        "refused: app:agent_security: failed to load security scope",
        "nothing was written",
    ):
        assert f"remote: {line}" in said, said
    assert "Traceback" not in said and said.count("refused: ") == 5
    assert not list((place / "objects").glob("*incoming*"))


def test_other_branches_tags_and_the_end_of_main_are_refused(clone: Clone) -> None:
    git(clone.path, "tag", "-f", "v1", clone.main)
    code, said = pushed(clone, f"{clone.main}:refs/heads/other", "v1", ":main")
    assert code == 1 and git(clone.registry, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert said.count("a registry has one branch, main") == 2 and "main: it cannot be removed" in said


def test_without_micro_agi_a_push_is_refused_in_one_line(clone: Clone) -> None:
    hook = clone.registry / "hooks/pre-receive"
    ours = hook.read_text()
    new = clone.commit({"docs/x.md": b"x"})
    folder = clone.path / "only-git"
    folder.mkdir()
    for name in ("git", "sh"):
        (folder / name).symlink_to(shutil.which(name) or name)
    try:
        refresh_hook(clone.registry, sys.executable)
        assert hook.read_text() == ours
        hook.write_text(ours.replace(sys.executable, "/gone/python"))
        code, said = pushed(clone, f"{new}:main", PATH=os.fspath(folder))
        assert code == 1 and said.count("remote: ") == 1 and "is gone from here" in said, said
        (folder / "micro-agi").write_text('#!/bin/sh\necho "$@" >&2\n')
        (folder / "micro-agi").chmod(0o755)
        code, said = pushed(clone, f"{new}:main", "--dry-run", PATH=os.fspath(folder))
        assert code == 0
    finally:
        refresh_hook(clone.registry, sys.executable)
    assert hook.read_text() == ours and os.access(hook, os.X_OK)


# The script


def test_the_hook_stays_what_it_should_be(tmp_path: Path) -> None:
    hook = tmp_path / "hooks/pre-receive"
    quoted = '/opt/it\'s "here"/python'
    refresh_hook(tmp_path, quoted)
    assert "python='/opt/it'\"'\"'s \"here\"/python'" in hook.read_text() and hook.stat().st_mode & 0o777 == 0o755
    refresh_hook(tmp_path, sys.executable)  # the other one is gone
    text = hook.read_text()
    assert f"python={sys.executable}\n" in text
    refresh_hook(tmp_path, "/usr/bin/another")  # two environments do not take turns
    assert hook.read_text() == text
    for spoilt in (text.replace("exec", "#"), text + "exit 0\n", text.replace("python=", "python='")):
        hook.write_text(spoilt)
        refresh_hook(tmp_path, sys.executable)
        assert hook.read_text() == text
    hook.chmod(0o644)  # Git would pass over it
    refresh_hook(tmp_path, sys.executable)
    assert os.access(hook, os.X_OK) and not foreign_hook(tmp_path)
    assert [file.name for file in hook.parent.iterdir()] == ["pre-receive"]


def test_a_persons_own_hook_is_left_alone(tmp_path: Path) -> None:
    hook = tmp_path / "hooks/pre-receive"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 0\n")
    refresh_hook(tmp_path, sys.executable)
    assert hook.read_text() == "#!/bin/sh\nexit 0\n" and foreign_hook(tmp_path)


def test_a_repository_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "hooks").touch()
    refresh_hook(tmp_path, sys.executable)
    assert not foreign_hook(tmp_path / "nowhere")


# What is checked


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"app/generated/bad name.yaml": b"kind: x\n"}, "cannot be the name of an entry"),
        ({"app/Generated/x.yaml": b"kind: x\n"}, "not a file of an entry"),
        ({"stray.yml": b"kind: x\n"}, "not a file of an entry"),
        ({"app/generated/alone.lua": b"return 1"}, "a Lua source without an entry's YAML"),
        ({"app/tools/load_tool.yaml": None}, "app/tools/load_tool.lua: a Lua source without an entry's YAML"),
        ({"app/tools/load_tool.lua": None}, "load_tool.yaml: its source, the file load_tool.lua beside it, is missing"),
        ({"app/demo.lua": b"return 1"}, "app/demo.lua: the entry beside it has another source"),
        ({"app/x.yaml": ("120000", b"demo.yaml")}, "app/x.yaml: not an ordinary file"),
        ({"docs/x.md": ("160000", b"1" * 40)}, "docs/x.md: not an ordinary file"),
        ({"docs/x.md": ("100755", b"x")}, "docs/x.md: marked as executable"),
        ({"app/Demo.yaml": b"kind: x\n"}, "'Demo.yaml' has a twin beside it that differs in case only"),
        ({"DOCS/x.md": b"x"}, "'DOCS' has a twin beside it"),
        ({"docs/con:.md": b"x"}, "bad file path"),
        ({"app/.gitattributes": b"x"}, "reserves"),
        ({"app/x.yaml": b"kind: ["}, "app/x.yaml: broken YAML"),
        ({"app/x.yaml": b"kind: x\nmeta: &a {}\ndata: *a\n"}, "aliases"),
        ({"app/x.yaml": b"kind: x\nmore: 1\n"}, "app/x.yaml: unknown key 'more'"),
        (
            {"app/x.yaml": b"kind: x\ndata: {n: 0x" + b"f" * 6_000 + b"}\n"},
            "app/x.yaml: broken YAML at line 2: a number",
        ),
        ({"app/x.yaml": b"kind: x\ndata: {n: 18446744073709551616}\n"}, "app/x.yaml: an integer beyond 64 bits"),
        ({"docs/big.md": b"x" * ((1 << 20) + 1)}, "docs/big.md: 1048577 bytes, at most 1048576 are allowed"),
        ({"registry.yaml": None}, "registry.yaml: cannot be removed"),
        ({"registry.yaml": b"format: 2\n"}, "registry.yaml names a format that this version cannot read"),
        (
            {"registry.yaml": b"format: 1\nlayout: folders\nsharded: [app.generated]\n"},
            "registry.yaml: says where files lie, which no push changes",
        ),
        ({"app/generated/x.yaml": b"kind: function.lua\nmeta: {type: tool}\ndata: {source: x}\n"}, "description: "),
        ({"app/m.yaml": b"kind: registry.entry\nmeta: {type: llm.model}\n"}, "app/m.yaml: data.max_tokens"),
        ({DENY_CORE: None, "app/deny_tools_ns.yaml": None}, "app:agent_security: failed to load security scope"),
    ],
)
async def test_files_that_cannot_stand(clone: Clone, files: Mapping[str, Any], said: str) -> None:
    lines = await refused(clone, clone.commit(files))
    assert len(lines) == 1 and said in lines[0], lines
    assert lines[0].startswith(("app", *files))


FORMAT = b"format: 1\nlayout: folders\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"registry.yaml": None}, "registry.yaml: cannot be removed"),
        ({"registry.yaml": b"format: 99\n"}, "registry.yaml names a format that this version cannot read"),
        ({"registry.yaml": b"format: 1\nlayout: others\n"}, "registry.yaml"),
        ({"registry.yaml": FORMAT + b"sharded: [app]\n"}, "registry.yaml: says where files lie"),
        ({"app/generated/z.yaml": ("120000", b"/etc/passwd")}, "app/generated/z.yaml: not an ordinary file"),
        ({"docs/x.md": ("160000", b"1" * 40)}, "docs/x.md: not an ordinary file"),
        ({"docs/x.md": ("100755", b"x")}, "docs/x.md: marked as executable"),
        ({"app/.git*": b"x"}, "app/.git*: bad file path"),
        ({"app/Generated/x.yaml": b"kind: x\n"}, "app/Generated/x.yaml: "),
        ({"docs/a": ("040000", b"bomb")}, "the registry holds more than"),
    ],
    ids=["no format", "format", "layout", "sharded", "link", "gitlink", "mode", "path", "stray", "bomb"],
)
async def test_what_only_an_earlier_commit_of_the_push_did(
    clone: Clone, files: Files, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest state is sound, but every reader of the history would meet it."""
    monkeypatch.setattr("micro_agi_kernel.registry.objects.MAX_FOLDERS", 1_000)
    (path, content), *_ = files.items()
    if content == ("040000", b"bomb"):
        files = {path: ("040000", clone.bomb())}
    good = git(clone.path, "show", "main:registry.yaml").encode() + b"\n"
    undo = {path: good if path == "registry.yaml" else None}
    first = clone.line({"docs/before.md": b"x"}, files)
    lines = await refused(clone, clone.commit({**undo, "docs/after.md": b"x"}, parents=(first,)))
    assert len(lines) == 1 and said in lines[0] and lines[0].startswith(f"commit {first[:12]}: "), lines


async def test_what_an_earlier_commit_broke_may_be_mended_by_a_later_one(clone: Clone) -> None:
    broken = {**tool_files("mended", b"return {"), "app/generated/other.yaml": b"kind: ["}
    source_first = dict([*tool_files("late").items()][1:])
    new = clone.line(
        {**broken, **source_first}, {**tool_files("mended"), **tool_files("late"), "app/generated/other.yaml": None}
    )
    assert await refused(clone, new) == []


async def test_a_side_line_and_a_line_of_many_commits(clone: Clone) -> None:
    """Git's merges stay possible, and each commit is compared with the one before it only."""
    tip = clone.line(*({"docs/x.md": b"%d" % n} for n in range(30)))
    side = clone.line({"docs/side.md": b"x"})
    assert await refused(clone, clone.commit({"docs/side.md": b"x"}, parents=(tip, side))) == []


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("x\n\nActor: service:agent", "claims `Actor: service:...`"),
        ("x\n\nactor : service:installer\n\nmore", "claims `Actor: service:...`"),
        ("x\n\nActor:\n service:agent", "claims `Actor: service:...`"),
        ("Actor: service:agent", "claims `Actor: service:...`"),
    ],
)
async def test_no_push_speaks_for_a_service(clone: Clone, message: str, said: str) -> None:
    first = clone.commit({"docs/x.md": b"x"}, message)
    for new in (first, clone.commit({"docs/x.md": b"y"}, parents=(first,))):
        assert [
            line for line in await refused(clone, new) if said in line and line.startswith(f"commit {first[:12]}: ")
        ]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("x\n\nActor: user:root\nPolicy: x", "says `Actor: user:root`, who is not its author"),
        ("x\n\nActor: user:Bob\nPolicy: x", "changes docs/x.md without saying so: leave the trailers out"),
        ("x\n\nFile: docs/y.md\nActor: user:Bob", "claims to change docs/y.md, which it does not"),
        ("x\n\nFile: docs/x.md\nActor: user:Bob", None),
    ],
)
async def test_what_a_commit_says_of_itself_is_true(clone: Clone, message: str, said: str | None) -> None:
    found = await refused(clone, clone.commit({"docs/x.md": b"x"}, message))
    assert (found == []) if said is None else any(said in line for line in found)


async def test_what_goes_on_from_main_may_be_merged_but_not_the_other_way(clone: Clone) -> None:
    side = clone.commit({"docs/side.md": b"x"}, parents=(git(clone.path, "rev-parse", "main~0"),))
    mine = clone.commit({"docs/x.md": b"x"})
    assert await refused(clone, clone.commit({}, parents=(mine, side))) == []
    old = clone.commit({"docs/other.md": b"x"})
    (line,) = await refused(clone, clone.commit({}, parents=(mine, old)), old=old)
    assert f"it does not go on from {old[:12]}" in line and "git pull --rebase" in line
    assert "it does not go on" in (await refused(clone, mine, old=old))[0]


async def test_policies_and_what_they_open_come_together(clone: Clone) -> None:
    policy = b"kind: security.policy\nmeta: {}\ndata: {groups: [tool_security], policy: {actions: lua.module, "
    policy += b"resources: text, effect: deny}}\n"
    uses = tool_files("uses", more=b"  modules: [text]\n")
    assert await refused(clone, clone.commit(uses)) == []
    (line,) = await refused(clone, clone.commit({**uses, "app/deny_text.yaml": policy}))
    assert "policy denied: lua.module on text" in line
    helped = tool_files("helped", more=b"  imports: {help: 'app.generated:help'}\n")
    assert await refused(clone, clone.commit({**helped, **HELPER})) == []


async def test_a_push_mends_what_is_broken(place: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(place, tmp_path / "registry.git")
    clone = Clone(broken, tmp_path / "clone")
    good = git(broken, "show", "main:registry.yaml").encode() + b"\n"
    git(
        clone.path,
        "push",
        "-q",
        "--receive-pack",
        "git -c core.hooksPath=/dev/null receive-pack",
        os.fspath(broken),
        clone.commit({"registry.yaml": b"format: ["}) + ":main",
    )
    assert await refused(clone, clone.commit({"registry.yaml": good})) == []


async def test_many_problems_and_many_commits_stay_short(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"app/generated/n{n}.yaml": b"kind: [" for n in range(MAX_PROBLEMS + 5)}
    lines = await refused(clone, clone.commit(files))
    assert len(lines) == MAX_PROBLEMS + 1 and lines[-1] == "and 5 more"
    tip = clone.main
    for n in range(3):
        tip = clone.commit({"docs/x.md": b"%d" % n}, parents=(tip,))
    assert await refused(clone, tip) == []
    monkeypatch.setattr("micro_agi_kernel.registry.sharing.pushed.MAX_COMMITS", 2)
    (line,) = await refused(clone, tip)
    assert line == "more than 2 commits in one push: push them in parts, or make them one"
    monkeypatch.setattr("micro_agi_kernel.pushes.SECONDS", 0.0)
    (line,) = await refused(clone, tip)
    assert line.startswith("it could not be checked within")


async def test_a_commit_whose_author_cannot_be_read(clone: Clone) -> None:
    raw = git(clone.path, "cat-file", "commit", clone.commit({"docs/x.md": b"x"}))
    raw = raw.replace("author Bob <bob@example.com> 1700000000", "author Bob 1700000000") + "\n"
    new = git(clone.path, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
    assert await refused(clone, new) == [f"commit {new[:12]}: its author's line cannot be read"]


async def test_a_registry_without_commits_takes_no_push(clone: Clone) -> None:
    (line,) = await refused(clone, clone.main, old="0" * 40)
    assert "registry init" in line
