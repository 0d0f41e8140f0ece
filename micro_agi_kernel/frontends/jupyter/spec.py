"""Registers the kernel with Jupyter for one interpreter, and takes the registration back."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.resources import resource

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpecManager

KERNEL_NAME = "micro-agi"


def install_kernelspec(*, user: bool = False, prefix: str | None = None) -> Path:
    """Register the kernel with the absolute path of this interpreter and return the folder.

    For this user, or under `prefix` (an environment: `sys.prefix`), or else system-wide. Raises
    MicroAgiError where that place cannot be written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / KERNEL_NAME
        shutil.copytree(resource("kernelspec"), source)
        spec_file = source / "kernel.json"
        spec = json.loads(spec_file.read_text())
        spec["argv"][0] = sys.executable
        spec_file.write_text(json.dumps(spec, indent=2) + "\n")
        try:
            return Path(_manager().install_kernel_spec(str(source), KERNEL_NAME, user=user, prefix=prefix))
        except OSError as error:
            ways = ["--user"] * (not user) + ["--sys-prefix"] * (prefix != sys.prefix)
            raise MicroAgiError(
                f"cannot write the kernelspec to {error.filename}: {error.strerror}; try {' or '.join(ways)}"
            ) from error


def uninstall_kernelspec() -> list[Path]:
    """Remove every registration that Jupyter finds and return the folders that are gone."""
    removed = []
    while found := installed_kernelspecs():
        try:
            shutil.rmtree(found[0])
        except OSError as error:
            raise MicroAgiError(f"cannot remove the kernelspec in {found[0]}: {error.strerror}") from error
        removed.append(found[0])
    return removed


def installed_kernelspecs() -> list[Path]:
    """Folders of the registrations, the one that Jupyter uses first."""
    folders = [Path(folder) / KERNEL_NAME for folder in _manager().kernel_dirs]
    return [folder for folder in dict.fromkeys(folders) if (folder / "kernel.json").is_file()]


def _manager() -> KernelSpecManager:
    from jupyter_client.kernelspec import KernelSpecManager

    return KernelSpecManager()
