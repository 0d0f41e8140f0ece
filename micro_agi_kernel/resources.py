"""Where the files that ship with the package lie: the registry's seed and the kernel's folder."""

from __future__ import annotations

from pathlib import Path


def resource(name: str) -> Path:
    """The folder `name` ("registry_repo" or "kernelspec").

    A wheel carries them inside the package, under `_data`; a checkout (and an editable install, which
    points to it) has them at its top.
    """
    package = Path(__file__).parent
    inside = package / "_data" / name
    return inside if inside.is_dir() else package.parent / name
