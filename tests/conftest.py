"""What all tests share: a home of their own, and nothing of the person's environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

LONG = ("tests/test_examples.py", "tests/test_packaging.py", "tests/test_console.py", "tests/house/test_corpus.py")
"""Files that take long: they begin first, so that of several processes none waits for another at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No key, setting, registry or Git identity of the person reaches a test or a process that it starts."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("MICRO_AGI_", "OPENAI_", "GIT_")) and name != "MICRO_AGI_FULL":
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("MICRO_AGI_HOME", str(home / "micro-agi"))
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(Path(home, name.lower())))
        yield
