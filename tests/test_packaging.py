"""What is shipped: the wheel works by itself, outside of the checkout, and the sdist has all that a packager needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from micro_agi_kernel import __version__

pytest.importorskip("hatchling", reason="hatchling is not installed")

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = f"micro_agi_kernel-{__version__}"
WHEEL = f"{NAME}-py3-none-any.whl"


def build(source: Path, folder: Path, **environment: str) -> None:
    """The wheel and the sdist of `source`, in `folder`."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", folder]
    subprocess.run(command, cwd=source, check=True, capture_output=True, env={**os.environ, **environment})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    return folder


def shipped(folder: str, suffixes: str = "") -> set[str]:
    """Files of the checkout below `folder`, as far as they are no by-product of running it."""
    files = (path.relative_to(ROOT) for path in (ROOT / folder).rglob(f"*{suffixes}"))
    return {str(path) for path in files if (ROOT / path).is_file() and "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(built: Path) -> None:
    names = set(zipfile.ZipFile(built / WHEEL).namelist())
    package = shipped("micro_agi_kernel")
    assert {"micro_agi_kernel/py.typed", "micro_agi_kernel/sandbox/boot.lua"} <= package <= names
    assert {f"micro_agi_kernel/_data/{name}" for name in shipped("registry_repo") | shipped("kernelspec")} <= names
    shared = f"{NAME}.data/data/share/jupyter/kernels/micro-agi"
    assert {name.replace("kernelspec", shared, 1) for name in shipped("kernelspec")} <= names
    assert f"{NAME}.dist-info/licenses/LICENSE" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"micro_agi_kernel", f"{NAME}.data", f"{NAME}.dist-info"}
    assert not [name for name in names if name.startswith("micro_agi_kernel/_data/") and "/." in name]


def test_the_sdist_holds_the_tests_the_docs_and_what_builds_it(built: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    wanted = {"pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", ".ci/run"}
    wanted.add("requirements-dev.txt")
    for folder in ("micro_agi_kernel", "registry_repo", "kernelspec", "examples", "docs"):
        wanted |= shipped(folder)
    assert wanted | shipped("tests", ".py") | shipped("benchmarks", ".py") <= names


def test_the_sdist_builds_the_same_wheel_and_itself_at_any_time_and_place(built: Path, tmp_path: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / NAME / "PKG-INFO").unlink()  # the one file that a checkout has not
    for path in (tmp_path / NAME).rglob("*"):  # another day, another umask
        path.chmod(0o700 if path.is_dir() or path.stat().st_mode & 0o100 else 0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    build(tmp_path / NAME, tmp_path / "again", TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="1")
    for name in (WHEEL, f"{NAME}.tar.gz"):
        hashes = {sha256((folder / name).read_bytes()).hexdigest() for folder in (built, tmp_path / "again")}
        assert len(hashes) == 1, name
    shutil.rmtree(tmp_path / NAME)


def closure(names: Iterable[str]) -> dict[str, Distribution]:
    """The distributions of these names and all that they need, without any extra."""
    found: dict[str, Distribution] = {}
    queue = [Requirement(name) for name in names]
    while queue:
        wanted = queue.pop()
        name = canonicalize_name(wanted.name)
        if (wanted.marker is None or wanted.marker.evaluate({"extra": ""})) and name not in found:
            found[name] = distribution(name)
            queue += map(Requirement, found[name].requires or ())
    return found


@pytest.fixture(scope="module")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel and what it asks for, as links to the files of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = str(folder / "bin/python")
    wheel = built / WHEEL
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(install, check=True, capture_output=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    for library in closure(PROJECT["dependencies"]).values():
        tops = {file.parts[0] for file in library.files or () if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            (packages / top).symlink_to(library.locate_file(top))
    return folder


def run(environment: Path, home: Path, *command: str) -> str:
    """What a program of the environment prints, with an empty home, outside of the checkout."""
    bare = {"HOME": str(home), "PATH": os.defpath}
    program, *arguments = command
    done = subprocess.run(
        [environment / "bin" / program, *arguments], cwd=home, env=bare, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_installed_wheel_works_by_itself(environment: Path, tmp_path: Path) -> None:
    place = run(environment, tmp_path, "python", "-c", "import micro_agi_kernel; print(micro_agi_kernel.__file__)")
    assert place.startswith(str(environment))
    assert run(environment, tmp_path, "micro-agi", "--version") == f"micro-agi {__version__}\n"
    registry = Path(run(environment, tmp_path, "micro-agi", "registry", "init").strip())
    assert registry.is_relative_to(tmp_path) and (registry / "HEAD").is_file()
    (tmp_path / "hello.lua").write_bytes((ROOT / "examples/hello.lua").read_bytes())
    assert "Hello, world" in run(environment, tmp_path, "micro-agi", "eval", "hello.lua", "--modules", "time")
    assert "Your IP is 203.0.113.42." in run(environment, tmp_path, "micro-agi", "demo")


def test_nothing_is_there_but_what_the_wheel_asks_for(environment: Path, tmp_path: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('pytest', 'jupyterlab', 'mypy', 'mcp') if u.find_spec(n)])"
    assert run(environment, tmp_path, "python", "-c", code) == "[]\n"


CELL = """
import os, sys
from jupyter_client.manager import start_new_kernel
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
manager, client = start_new_kernel(kernel_name="micro-agi")
said = []
reply = client.execute_interactive("what time is it?", timeout=60, output_hook=said.append)
client.stop_channels()
manager.shutdown_kernel()
print(reply["content"]["status"], "The current UTC time is" in str(said))
"""


def test_a_cell_runs_in_the_kernel_that_the_wheel_registers(environment: Path, tmp_path: Path) -> None:
    assert run(environment, tmp_path, "python", "-c", CELL) == "ok True\n"


def test_the_doctor_names_every_library_and_misses_none(environment: Path, tmp_path: Path) -> None:
    lines = json.loads(run(environment, tmp_path, "micro-agi", "doctor", "--json"))
    [libraries] = [line for line in lines if line["what"] == "libraries"]
    assert libraries["status"] == "ok"
    named = {part.split()[0] for part in libraries["detail"].split(", ")}
    assert named > {Requirement(line).name for line in PROJECT["dependencies"]}
    [extra] = [line for line in lines if line["what"] == "mcp"]
    assert (extra["status"], "is not installed" in extra["detail"]) == ("ok", True)
    assert [line["what"] for line in lines if line["status"] == "fail"] == []


def test_installing_registers_the_kernel(environment: Path, tmp_path: Path) -> None:
    code = "import json, jupyter_client.kernelspec as k; print(json.dumps(k.KernelSpecManager().get_all_specs()))"
    found = json.loads(run(environment, tmp_path, "python", "-c", code))["micro-agi"]
    assert found["spec"]["display_name"] == "Micro AGI"
    assert Path(found["resource_dir"]).is_relative_to(environment)


def test_installing_tells_papermill_of_the_parameters(environment: Path, tmp_path: Path) -> None:
    code = "from importlib.metadata import entry_points as e; print(*(p.value for p in e(group='papermill.engine')))"
    assert run(environment, tmp_path, "python", "-c", code) == "micro_agi_kernel.frontends.papermill:NotebookEngine\n"


def test_every_dependency_is_explained_and_nothing_else() -> None:
    wanted = {re.split(r"[^A-Za-z0-9._-]", line)[0] for line in PROJECT["dependencies"]}
    page = (ROOT / "docs/dependencies.md").read_text()
    direct, _, rest = page.partition("\n# Not in pyproject.toml\n")
    assert re.findall(r"^## (\S+)$", direct, re.MULTILINE) == sorted(wanted)
    assert set(re.findall(r"^### (\S+)", rest, re.MULTILINE)).isdisjoint(wanted)
