"""What a person pushes, made in their clone by `git fast-import`: any file, of any mode, in commits of any form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from registry_kit import git

BOB = "Bob <bob@example.com> 1700000000 +0000"

Files = Mapping[str, bytes | tuple[str, bytes] | None]
"""What a commit writes, by path; None removes, a pair is a mode and a content (of what is no file, an id)."""

TOOL = b"""\
kind: function.lua
meta:
  type: tool
  comment: A tool
  input_schema: {type: object}
data:
  source: file://NAME.lua
"""


def tool_files(
    name: str, source: bytes = b"return {handler = function() return 1 end}\n", more: bytes = b""
) -> dict[str, bytes]:
    """The files of a tool in app.generated; `more` are lines of its data."""
    yaml = TOOL.replace(b"NAME", name.encode()) + more
    return {f"app/generated/{name}.yaml": yaml, f"app/generated/{name}.lua": source}


class Clone:
    """A clone of a registry, without a work tree."""

    def __init__(self, registry: Path, folder: Path) -> None:
        self.path = folder
        self.registry = registry
        git(folder.parent, "clone", "-q", "--bare", os.fspath(registry), os.fspath(folder))
        git(folder, "config", "fastimport.unpackLimit", "1000000")

    @property
    def main(self) -> str:
        """The newest commit of the registry."""
        return git(self.registry, "rev-parse", "main")

    def commit(
        self,
        files: Files,
        message: str = "By hand",
        *,
        parents: tuple[str, ...] = (),
        author: str = BOB,
    ) -> str:
        """A new commit on top of `parents`, or the registry's newest."""
        first, *others = parents or (self.main,)
        lines = [b"commit refs/heads/made", f"author {author}".encode(), f"committer {BOB}".encode()]
        said = message.encode()
        lines += [b"data %d" % len(said), said, f"from {first}".encode(), *(f"merge {p}".encode() for p in others)]
        for path, content in files.items():
            mode, data = content if isinstance(content, tuple) else ("100644", content)
            if data is None:
                lines.append(f"D {path}".encode())
            elif mode in ("160000", "040000"):  # a commit of another repository, or a tree: by its id
                lines.append(f"M {mode} {data.decode()} {path}".encode())
            else:
                lines += [f"M {mode} inline {path}".encode(), b"data %d" % len(data), data]
        git(self.path, "fast-import", "--quiet", "--force", stdin=b"\n".join(lines) + b"\n")
        return git(self.path, "rev-parse", "made")

    def line(self, *steps: Files) -> str:
        """Commits one upon the other; the last one."""
        tip = self.main
        for step in steps:
            tip = self.commit(step, parents=(tip,))
        return tip

    def bomb(self, depth: int = 12) -> bytes:
        """The id of a tree that holds 10 others, each of which holds 10 ... and of which Git stores a dozen."""
        tree = git(self.path, "mktree", stdin=b"")
        for _ in range(depth):
            tree = git(
                self.path, "mktree", stdin=b"".join(b"040000 tree %b\td%d\n" % (tree.encode(), n) for n in range(10))
            )
        return tree.encode()
