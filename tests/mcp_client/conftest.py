"""A house of each test's own, with the servers that it names; no jail is ever started in it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

sys.path.append(str(Path(__file__).parents[1] / "house"))

from house_kit import House, make_seeded, open_house

from micro_agi_kernel import lua_modules
from micro_agi_kernel.sandbox.pool import JailedSandbox


@pytest.fixture(scope="session")
def seeded_for_servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_seeded(tmp_path_factory.mktemp("seeded"))


@pytest_asyncio.fixture
async def enter(seeded_for_servers: Path, tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    """Opens a house with settings; all are closed in the end."""
    houses: list[House] = []

    def enter(**settings: Any) -> House:
        home = tmp_path / f"home{len(houses)}"
        shutil.copytree(seeded_for_servers, home / "registry.git")
        houses.append(open_house(home, JailedSandbox(lua_modules.__name__), **settings))
        return houses[-1]

    yield enter
    for house in houses:
        await house.close()
