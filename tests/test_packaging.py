"""What is shipped: the wheel works by itself, outside of the checkout, and the sdist has all that a packager needs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from micro_agi_kernel import __version__

pytest.importorskip("hatchling", reason="hatchling is not installed")

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = f"micro_agi_kernel-{__version__}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def shipped(folder: str, suffixes: str = "") -> set[str]:
    """Files of the checkout below `folder`, as far as they are no by-product of running it."""
    files = (path.relative_to(ROOT) for path in (ROOT / folder).rglob(f"*{suffixes}"))
    return {str(path) for path in files if (ROOT / path).is_file() and "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(built: Path) -> None:
    names = set(zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl").namelist())
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
    for folder in ("micro_agi_kernel", "registry_repo", "kernelspec", "examples", "docs"):
        wanted |= shipped(folder)
    assert wanted | shipped("tests", ".py") | shipped("benchmarks", ".py") <= names


@pytest.fixture(scope="module")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel; the libraries come from this interpreter's."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = str(folder / "bin/python")
    purelib = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    wheel = str(built / f"{NAME}-py3-none-any.whl")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(install, check=True, capture_output=True)
    # A path in a .pth file is only looked through: an editable install there has no effect here.
    Path(purelib, "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
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
