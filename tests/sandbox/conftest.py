"""A sandbox over the tiny modules of `sandbox_modules`, one for all tests of a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from conformance_kit import vectors
from sandbox_kit import Runner, opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lua() -> AsyncIterator[Runner]:
    async with opened() as runner:
        yield runner


@pytest.fixture(scope="session")
def attacks() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = vectors("attacks.jsonl")
    return found
