"""A sandbox over the tiny modules of `sandbox_modules`, one for all tests of a file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sandbox_kit import Runner, opened

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lua() -> AsyncIterator[Runner]:
    async with opened() as runner:
        yield runner


@pytest.fixture(scope="session")
def attacks() -> list[dict[str, Any]]:
    path = CONFORMANCE / "attacks.jsonl"
    if not path.exists():
        pytest.skip(f"no conformance data at {path.parent}")
    return [json.loads(line) for line in path.read_text().splitlines()]
