"""What the tests of conversations share: a tool to make, a call that loads one, a script that lets others write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from house_kit import (
    House,
    git,
)
from model_server import Reply

CLOCK = {
    "name": "current_time",
    "description": "Returns the current UTC time.",
    "source": "local time = require('time')\nreturn { handler = function()\n  print('looking')\n"
    "  return { utc = time.now():utc():format_rfc3339() }\nend }\n",
    "input_schema": {"type": "object", "properties": {}},
    "modules": ["time"],
}


def load(name: str) -> tuple[str, dict[str, str]]:
    return "load_tool", {"id": name if ":" in name else f"app.generated:{name}"}


def git_trailers(house: House, message: str) -> list[str]:
    file = house.settings.home / "message"
    file.write_text(message, "utf-8")
    return git(house.settings.home, "interpret-trailers", "--parse", str(file)).splitlines()


def sha256(source: object) -> str:
    return hashlib.sha256(str(source).encode()).hexdigest()


class Between:
    """A script that lets another writer in before its reply number `at`."""

    def __init__(self, replies: list[Reply], at: int, meanwhile: Callable[[], object]) -> None:
        self.replies = replies
        self.at = at
        self.meanwhile = meanwhile
        self.asked = 0

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.asked += 1
        if self.asked == self.at:
            self.meanwhile()
        return self.replies[self.asked - 1]
