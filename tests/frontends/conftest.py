"""What the tests of front ends share: the kernel of this interpreter, registered in a folder of the test's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from micro_agi_kernel.frontends.jupyter.spec import install_kernelspec

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home, in which Jupyter finds our kernel and nothing of the person's; the demo model answers."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MICRO_AGI_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("MICRO_AGI_MODEL", "demo")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix/share/jupyter"))
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower() / "jupyter"))
    install_kernelspec(prefix=str(tmp_path / "prefix"))
    return tmp_path
