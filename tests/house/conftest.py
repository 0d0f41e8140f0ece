"""One sandbox for all tests of the house, on one event loop; a fresh registry made from the seed for each."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from house_kit import House, SharedSandbox, make_seeded, open_house

from micro_agi_kernel import lua_modules
from micro_agi_kernel.session import Session
from micro_agi_kernel.workspace import Workspace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox() -> AsyncIterator[SharedSandbox]:
    sandbox = SharedSandbox(lua_modules.__name__)
    yield sandbox
    await sandbox.end()


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_seeded(tmp_path_factory.mktemp("seeded"))


@pytest.fixture
def enter(seeded: Path, sandbox: SharedSandbox, tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Opens a house of the test's own, with settings."""
    houses: list[House] = []

    def enter(**settings: Any) -> House:
        home = tmp_path / f"home{len(houses)}"
        shutil.copytree(seeded, home / "registry.git")
        houses.append(open_house(home, sandbox, **settings))
        return houses[-1]

    yield enter
    for house in houses:
        house.end_logs()
        house.registry.close()


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each house knows the logs of its sessions: their threads read its registry as long as they live."""
    begin = Session.__init__

    def begun(session: Session, workspace: Workspace, *arguments: Any) -> None:
        begin(session, workspace, *arguments)
        if isinstance(workspace, House):
            workspace.logs.append(session._log)

    monkeypatch.setattr(Session, "__init__", begun)


@pytest_asyncio.fixture(loop_scope="session")
async def house(enter: Callable[..., House]) -> AsyncIterator[House]:
    house = enter()
    yield house
    await house.close()
