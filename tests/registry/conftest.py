from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from registry_kit import plant

from micro_agi_kernel.registry import Registry


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Registry]:
    """A registry without any commit."""
    with Registry.create(tmp_path / "registry.git") as registry:
        yield registry


@pytest.fixture
def registry(empty: Registry) -> Registry:
    """A registry whose first commit holds nothing but its format."""
    plant(empty)
    return empty
