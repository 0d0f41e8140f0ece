"""What is installed around Micro AGI, as the doctor's lines: kernel, system, libraries, git, front ends."""

from __future__ import annotations

import json
import platform
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from micro_agi_kernel import __version__
from micro_agi_kernel.frontends.jupyter.spec import installed_kernelspecs
from micro_agi_kernel.frontends.text import one_line
from micro_agi_kernel.values import shorten

if TYPE_CHECKING:
    from packaging.requirements import Requirement

DISTRIBUTION = "micro-agi-kernel"

FRONT_ENDS = (
    *("jupyterlab", "notebook", "jupyter-console", "jupyterhub", "jupyter_kernel_gateway"),
    *("nbclient", "nbconvert", "papermill"),
)
"""Distributions that run the kernel, if they are in this environment."""

_BESIDE = ("jupyter_client", "jupyter_core", "pyzmq", "tornado", "pydantic")
"""What the libraries of ours bring, and reports of bugs turn out to be about."""


GIT_SECONDS = 5.0
"""For `git --version`."""

Status: TypeAlias = Literal["ok", "warn", "fail"]


class Line(NamedTuple):
    """One line of the doctor."""

    status: Status
    what: str
    detail: str


def lines() -> Iterator[Line]:
    """What can be said without reading a setting."""
    yield Line("ok", "version", f"micro-agi {__version__}, Python {sys.version.split()[0]} ({sys.executable})")
    yield _kernel()
    yield Line("ok", "system", system())
    yield from _libraries()
    yield _git()
    yield Line("ok", "front ends", versions(FRONT_ENDS) or "none in this environment; another's finds the kernel too")


def version_of(distribution: str) -> str | None:
    """The version that is installed; None: it is not."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def system() -> str:
    """The operating system, its kernel, the C library and OpenSSL."""
    parts = [f"{platform.system()} {platform.release()} {platform.machine()}"]
    with suppress(OSError):  # not Linux, or a bare container
        parts.append(platform.freedesktop_os_release()["PRETTY_NAME"])
    if libc := " ".join(platform.libc_ver()).strip():
        parts.append(libc)
    return ", ".join([*parts, ssl.OPENSSL_VERSION])


def versions(distributions: tuple[str, ...]) -> str:
    """Those that are installed, `name version, name version`; "" if none is."""
    found = ((name, version_of(name)) for name in distributions)
    return ", ".join(f"{name} {version}" for name, version in found if version)


def libraries() -> tuple[str, list[str]]:
    """What we stand on, with versions; and a line for each that is missing or another than we need."""
    names, wrong = [], []
    for name, wanted, version in _required():
        names.append(name)
        if not version:
            wrong.append(f"{name} is missing: {DISTRIBUTION} needs {wanted}")
        elif not wanted.specifier.contains(version, prereleases=True):
            wrong.append(f"{name} {version} is installed, and {DISTRIBUTION} needs {wanted}")
    return versions((*names, *_BESIDE)), wrong


def _required() -> Iterator[tuple[str, Requirement, str | None]]:
    from packaging.requirements import Requirement

    for line in metadata.requires(DISTRIBUTION) or ():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield wanted.name, wanted, version_of(wanted.name)


def _libraries() -> Iterator[Line]:
    try:
        found, wrong = libraries()
    except metadata.PackageNotFoundError:
        yield Line("warn", "libraries", "Micro AGI runs from its source, not installed: `pip install -e .`")
        return
    yield Line("ok", "libraries", found)
    for problem in wrong:
        yield Line("warn", "libraries", f"{problem}: run `pip install --upgrade {DISTRIBUTION}`")


def _git() -> Line:
    """The program git, without which all but sharing, packing and a deep look works."""
    without = "needed by `registry pull`, `push`, `gc` and parts of `verify`"
    if (git := shutil.which("git")) is None:
        return Line("warn", "git", f"there is none on PATH; it is {without}")
    try:
        done = subprocess.run([git, "--version"], capture_output=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Line("warn", "git", f"{git} does not run ({error}); it is {without}")
    return Line("ok", "git", f"{shorten(one_line(done.stdout.decode(errors='replace')))} ({git})")


def _kernel() -> Line:
    folders = installed_kernelspecs()
    if not folders:
        return Line("warn", "kernel", "not registered with Jupyter: run `micro-agi install`")
    try:
        interpreter = str(json.loads((folders[0] / "kernel.json").read_bytes())["argv"][0])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return Line("fail", "kernel", f"{folders[0]}: kernel.json cannot be read: run `micro-agi install`")
    if Path(interpreter).is_absolute() and not Path(interpreter).exists():
        return Line("fail", "kernel", f"{folders[0]} names {interpreter}, which is gone: run `micro-agi install`")
    return Line("ok", "kernel", str(folders[0]))
