"""What the registry's tests share: entries, people, real git, and how many rounds to play."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange, Operation
from micro_agi_kernel.registry import CommitMessage, Person, Registry, Version
from micro_agi_kernel.registry.layout import FORMAT_CONTENT, FORMAT_FILE
from micro_agi_kernel.values import Json

ANN = Person("Ann Example", "ann@example.com")
AGENT = Person("agent", "agent@micro-agi")


def rounds(few: int, many: int) -> int:
    """How often to repeat: `many` in `make test-full`."""
    return many if os.environ.get("MICRO_AGI_FULL") == "1" else few


def git(folder: Path, *args: str, stdin: bytes | str = "") -> str:
    """Run real git there, without anyone's configuration; its output, stripped."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": os.fspath(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_NAME": "Bob" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "bob@example.com" for who in ("AUTHOR", "COMMITTER")},
    }
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(["git", *args], cwd=folder, env=env, input=data, capture_output=True, check=False)
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout.decode(errors="replace").strip()


def body(registry: Registry) -> str:
    """What the newest commit says to people, as Git shows it: one paragraph, here one line."""
    return " ".join(git(registry.path, "log", "-1", "--format=%b", "main").split("\n\n")[0].split())


def fsck(path: Path) -> None:
    assert git(path, "fsck", "--strict", "--full", "--no-dangling", "--no-progress") == ""


def tool(name: str, source: str = "return 1\n", **meta: Json) -> Entry:
    id = EntryId.parse(name if ":" in name else f"app.generated:{name}")
    return Entry(id, "function.lua", {"type": "tool", **meta}, {"source": source, "modules": ["time"]})


def thing(id: str, kind: str = "registry.entry", **data: Json) -> Entry:
    return Entry(EntryId.parse(id), kind, {}, data)


def create(*entries: Entry) -> Changeset:
    return Changeset(tuple(Operation("create", entry.id, entry) for entry in entries))


def update(*entries: Entry) -> Changeset:
    return Changeset(tuple(Operation("update", entry.id, entry) for entry in entries))


def delete(*ids: str) -> Changeset:
    return Changeset(tuple(Operation("delete", EntryId.parse(id)) for id in ids))


def write(registry: Registry, changeset: Changeset, *, actor: str = "service:agent", **rest: object) -> Version:
    """Commit on top of what is there now (or of `base`)."""
    arguments = {"base": registry.snapshot(), **rest}
    return registry.commit(changeset, CommitMessage(actor), author=AGENT, committer=ANN, **arguments)  # type: ignore[arg-type]


def plant(registry: Registry, *entries: Entry) -> Version:
    """The first commit: the format and some entries."""
    first = Changeset(create(*entries).operations, (FileChange(FORMAT_FILE, FORMAT_CONTENT),))
    return write(registry, first, actor="service:installer")


def push(registry: Registry, tmp_path: Path, files: dict[str, bytes | None], message: str = "by hand") -> str:
    """What a person does: clone, edit (None removes a file), commit, push. The new commit."""
    clone = tmp_path / "clone"
    if not clone.exists():
        git(tmp_path, "clone", "-q", os.fspath(registry.path), os.fspath(clone))
    git(clone, "pull", "-q")
    for path, content in files.items():
        file = clone / path
        if content is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", message)
    git(clone, "push", "-q")
    return git(clone, "rev-parse", "HEAD")
