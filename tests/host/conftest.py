"""A hostile server for each test that wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hostile_server import HostileServer, hostile_server


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with hostile_server() as running:
        yield running
