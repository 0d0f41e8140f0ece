"""The program git, run on one repository and nothing else: it talks to nobody, and no configuration has a say."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.message import clean

SECONDS = 3_600.0
"""What a command may take; an fsck of a registry of years takes minutes."""

_ALONE = {"LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


def run_git(
    repository: Path,
    *arguments: str,
    stdin: IO[bytes] | bytes = b"",
    pushed: Path | None = None,
    environment: Mapping[str, str] = _ALONE,
) -> subprocess.CompletedProcess[bytes]:
    """Run a git command. Raises RegistryError when there is no git or it does not end.

    `pushed` is a folder of objects that it sees too. Neither GIT_* variables nor anybody's configuration reach it,
    unless `environment` is another one; no hook is run, and no object is taken for another (`git replace`).
    """
    git = shutil.which("git")
    if git is None:
        raise RegistryError("git is not on PATH: install it")
    environment = dict(environment)
    if pushed is not None:
        # In Git's own quoting: the list is divided at colons.
        quoted = str(pushed).replace("\\", "\\\\").replace('"', '\\"')
        environment["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = f'"{quoted}"'
    command = [git, f"--git-dir={repository.absolute()}", "--no-replace-objects", "-c", f"core.hooksPath={os.devnull}"]
    text, file = (stdin, None) if isinstance(stdin, bytes) else (None, stdin)
    try:
        return subprocess.run(
            [*command, *arguments],
            env=environment,
            input=text,
            stdin=file,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RegistryError(f"git {arguments[0]} does not come to an end") from error
    except OSError as error:
        raise RegistryError(f"git cannot be started: {error.strerror}") from error


def ask_git(
    repository: Path,
    *arguments: str,
    stdin: bytes = b"",
    pushed: Path | None = None,
    environment: Mapping[str, str] = _ALONE,
) -> str:
    """What a git command says, as `run_git` runs it. Raises RegistryError, with git's words, when it fails."""
    done = run_git(repository, *arguments, stdin=stdin, pushed=pushed, environment=environment)
    if done.returncode:
        said = clean(done.stderr.decode(errors="replace")) or f"it ended with {done.returncode}"
        raise RegistryError(f"git {arguments[0]} failed on {repository}: {said}")
    return done.stdout.decode(errors="surrogateescape")
