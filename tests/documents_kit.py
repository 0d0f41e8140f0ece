"""A reader of the documentation: runs the commands and cells of a page as a person does, and compares what is shown.

Blocks of a page, by the word after the fence:

* `console`: commands for one shell, which lives as long as the reader: `cd` and `export` hold for the blocks below.
* `cell`: a cell of a notebook in the shell's folder, run by a real kernel that starts with the first cell, with what
  the shell exports then.
* `output`: what the block above it shows. `...` stands for anything in a line and, alone, for any lines; what differs
  from run to run (times, ids of commits and sessions, seconds) is masked on both sides. A question of a terminal with
  an answer behind it is answered so, by somebody at a terminal. What has no such block must succeed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pexpect
import pytest
from nbclient import NotebookClient

from micro_agi_kernel.frontends.jupyter.spec import install_kernelspec

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SECONDS = 60

QUESTION = re.compile(r"(approve [^\n]*\? \[y\]es, \[n\]o, \[a\]lways for this session: )([yna])$", re.MULTILINE)
MASKS = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}"), "SESSION"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z?"), "TIME"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,40}\b"), "COMMIT"),
    (re.compile(r"\b\d+(\.\d+)? m?s\b"), "SECONDS"),
    (re.compile(r"^Date: .*", re.MULTILINE), "DATE"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home, a person with a name, `micro-agi` and the kernel of this interpreter; the working folder."""
    monkeypatch.setenv("MICRO_AGI_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    install_kernelspec(prefix=str(tmp_path / "prefix"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix/share/jupyter"))
    assert shutil.which("micro-agi"), "the package is not installed: pip install -e ."
    folder = tmp_path / "work"
    shutil.copytree(EXAMPLES, folder / "examples")
    return folder


def run(script: str, folder: Path) -> str:
    """What the commands print. The first one that fails ends them."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def read_blocks(file: Path) -> list[tuple[str, str]]:
    """The blocks of a page or of a notebook's texts, in their order: kind and content."""
    content = file.read_text()
    if file.suffix == ".ipynb":
        notebook = nbformat.read(file, as_version=4)
        content = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return re.findall(r"^```(\w+)\n(.*?)^```", content, re.MULTILINE | re.DOTALL)


def masked(text: str) -> str:
    for pattern, stand_in in MASKS:
        text = pattern.sub(stand_in, text)
    return text.strip("\n") + "\n"


def check_shown(shown: str, expected: str, source: str) -> None:
    """Whether what was shown is what the page says; see the top of this file."""
    lines = (
        r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line).replace(r"\.\.\.", ".*") + "\n"
        for line in masked(expected).splitlines()
    )
    assert re.fullmatch("".join(lines), masked(shown)), (
        f"{source}\n-- shows:\n{masked(shown)}\n-- the page:\n{expected}"
    )


class Shell:
    """One bash, as a person has it open: its folder and what it exports stay from block to block."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            ["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, script: str, may_fail: bool = False) -> str:
        """What the commands print, errors too. Without `may_fail` the first one that fails is an assertion."""
        assert self.process.stdin and self.process.stdout
        strict = "set +e" if may_fail else "set -e"
        self.process.stdin.write(f"{strict}\n{{\n{script}\n}} </dev/null\nset +e; echo; echo '\x01'\n")
        self.process.stdin.flush()
        lines: list[str] = []
        for line in self.process.stdout:
            if line == "\x01\n":
                return "".join(lines).removesuffix("\n")
            lines.append(line)
        raise AssertionError(f"{script}\n{''.join(lines)}")

    def answer(self, script: str, answers: list[tuple[str, str]]) -> str:
        """What a terminal shows of the commands where a person answers these questions. Nothing exported stays."""
        environment = {**self.environment(), "NO_COLOR": "1"}
        terminal = pexpect.spawn(
            "bash", ["-c", script], env=environment, cwd=self.run("pwd").strip(), timeout=SECONDS, dimensions=(50, 200)
        )
        shown = ""
        for question, answer in answers:
            terminal.expect_exact(question)
            shown += terminal.before.decode() + question
            terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
        terminal.close()
        return (shown + terminal.before.decode()).replace("\r\n", "\n")

    def environment(self) -> dict[str, str]:
        pairs = self.run("env -0").split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def close(self) -> None:
        self.process.communicate(timeout=SECONDS)


def text_of(outputs: list[Any]) -> str:
    """The text form of a cell's outputs."""
    texts = []
    for output in outputs:
        if output.output_type == "stream":
            texts.append(output.text)
        elif output.output_type == "error":
            texts.append(f"{output.ename}: {output.evalue}\n")
        elif text := output.data.get("text/plain", ""):
            texts.append(text if text.endswith("\n") else text + "\n")
    return "".join(texts)


class Reader:
    """Reads pages; `replacements` are texts of a page that stand for something of the test's, such as an address."""

    def __init__(self, folder: Path, replacements: Mapping[str, str]) -> None:
        self.shell = Shell(folder)
        self._replacements = replacements
        self._open = ExitStack()
        self._notebook: NotebookClient | None = None

    def read(self, blocks: list[tuple[str, str]], not_run: Mapping[str, str]) -> None:
        for (kind, source), (next_kind, expected) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
            if kind not in ("console", "cell") or source.startswith(tuple(not_run)):
                continue
            shown = expected if next_kind == "output" else None
            for text, stand_in in self._replacements.items():
                source = source.replace(text, stand_in)
            found = self._cell(source, shown is not None) if kind == "cell" else self._console(source, shown)
            if shown is not None:
                check_shown(found, shown, source)

    def _console(self, source: str, shown: str | None) -> str:
        if answers := QUESTION.findall(shown or ""):
            return self.shell.answer(source, answers)
        return self.shell.run(source, may_fail=shown is not None)

    def run_cell(self, source: str) -> list[Any]:
        """The outputs of a cell."""
        if self._notebook is None:
            self._notebook = NotebookClient(
                nbformat.v4.new_notebook(), kernel_name="micro-agi", timeout=SECONDS, allow_errors=True
            )
            folder = self.shell.run("pwd").strip()
            self._open.enter_context(self._notebook.setup_kernel(env=self.shell.environment(), cwd=folder))
        cell = nbformat.v4.new_code_cell(source.rstrip("\n"))
        self._notebook.nb.cells.append(cell)
        self._notebook.execute_cell(cell, len(self._notebook.nb.cells) - 1)
        return cell.outputs

    def _cell(self, source: str, may_fail: bool) -> str:
        outputs = self.run_cell(source)
        assert may_fail or all(output.output_type != "error" for output in outputs), f"{source}\n{text_of(outputs)}"
        return text_of(outputs)

    def close(self) -> None:
        self._open.close()
        self.shell.close()


@contextmanager
def reader(folder: Path, replacements: Mapping[str, str] | None = None) -> Iterator[Reader]:
    """Somebody who reads a page in `folder`, at a shell and in a notebook."""
    one = Reader(folder, replacements or {})
    try:
        yield one
    finally:
        one.close()
