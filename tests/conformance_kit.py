"""The conformance vectors, which lie beside the project: read where they are, and without them a test is skipped."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "conformance"


def vectors(name: str) -> Any:
    """What the file `name` holds: of .jsonl and .jsonl.gz a list, of .json its one value. Call it inside a test."""
    path = _FOLDER / name
    if not path.exists():
        pytest.skip("the conformance vectors are not beside this project")
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return json.loads(data) if path.suffix == ".json" else [json.loads(line) for line in data.splitlines()]
