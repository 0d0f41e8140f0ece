"""Registering the kernel with Jupyter, for real folders."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.frontends.jupyter.spec import install_kernelspec, installed_kernelspecs, uninstall_kernelspec


@pytest.fixture(autouse=True)
def jupyter_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter looks into folders of the test only."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "user"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "path"))
    for name in ("SYSTEM_JUPYTER_PATH", "ENV_JUPYTER_PATH"):
        monkeypatch.setattr(f"jupyter_core.paths.{name}", [str(tmp_path / name.lower())])


def test_a_users_registration_names_this_interpreter_and_can_be_taken_back(tmp_path: Path) -> None:
    folder = install_kernelspec(user=True)
    assert folder == tmp_path / "user" / "kernels" / "micro-agi"
    spec = json.loads((folder / "kernel.json").read_text())
    assert spec["argv"][0] == sys.executable
    assert spec["argv"][1:] == ["-P", "-m", "micro_agi_kernel", "-f", "{connection_file}"]
    assert spec["interrupt_mode"] == "message"
    assert {file.name for file in folder.iterdir()} == {
        "kernel.json",
        "logo-svg.svg",
        "logo-64x64.png",
        "logo-32x32.png",
    }
    assert KernelSpecManager().get_kernel_spec("micro-agi").display_name == "Micro AGI"
    assert installed_kernelspecs() == [folder]
    install_kernelspec(user=True)  # harmless when repeated
    assert uninstall_kernelspec() == [folder]
    assert installed_kernelspecs() == uninstall_kernelspec() == []


def test_a_prefix_gets_its_own_registration(tmp_path: Path) -> None:
    assert install_kernelspec(prefix=str(tmp_path / "env")) == tmp_path / "env/share/jupyter/kernels/micro-agi"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MicroAgiError, match="cannot write the kernelspec"):
        install_kernelspec(user=True)


def test_a_file_in_the_way_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("user", "env"):
        (tmp_path / name).write_text("")
    with pytest.raises(MicroAgiError, match=r"cannot write the kernelspec to .*; try --sys-prefix$"):
        install_kernelspec(user=True)
    with pytest.raises(MicroAgiError, match=r"; try --user or --sys-prefix$"):
        install_kernelspec(prefix=str(tmp_path / "env"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    with pytest.raises(MicroAgiError, match=r"; try --user$"):
        install_kernelspec(prefix=sys.prefix)
