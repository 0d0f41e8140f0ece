"""What the tests of session logs share: a log in a folder of the test, and its lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from micro_agi_kernel.events import Event
from micro_agi_kernel.logs.writer import SessionLog


class Log(SessionLog):
    """A log in a folder that is not there yet."""

    def __init__(self, folder: Path, *keys: str) -> None:
        self.notices: list[str] = []
        super().__init__(folder / "sessions", "s1", lambda: keys, self.notices.append)

    def turn(self, *events: Event) -> None:
        self.prompt(1, "what time is it?")
        for event in events:
            self.event(event)

    def lines(self) -> list[dict[str, Any]]:
        self.close()
        return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
