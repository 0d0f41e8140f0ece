"""Run by test_faulty_disk.py under the preloaded faults.c: turns that write a tool and a log while calls fail.

Arguments: the library, a data folder, the name of a fault, and how many steps are left out between two. Prints what was
seen as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))

import registry_kit as kit
from faulty_writer import FAULTS
from model_server import ModelServer, Reply, calls, text

from micro_agi_kernel import Agent, EntryPublished, Event, Notice, ToolFinished, TurnFinished
from micro_agi_kernel.logs.fields import object_in
from micro_agi_kernel.logs.turns import read_turns
from micro_agi_kernel.registry import lock
from micro_agi_kernel.resumable import read_state


def script(body: dict[str, Any]) -> Reply:
    """Create the tool that the prompt names, load it, call it, whatever comes of each."""
    asked = max(at for at, message in enumerate(body["messages"]) if message["role"] == "user")
    name = body["messages"][asked]["content"].split()[-1]
    done = sum(message["role"] == "tool" for message in body["messages"][asked:])
    tool = {
        "name": name,
        "description": f"For the test {name}.",
        "source": f"return {{ handler = function() return '{name}' end }}",
        "input_schema": {"type": "object", "properties": {}},
    }
    steps = [("create_tool", tool), ("load_tool", {"id": f"app.generated:{name}"}), (name, {})]
    return calls(steps[done]) if done < len(steps) else text("Done.")


def turn(agent: Agent, name: str) -> list[Event]:
    return list(agent.run(f"make {name}"))


def end(events: list[Event]) -> TurnFinished:
    assert isinstance(events[-1], TurnFinished), events
    return events[-1]


def main(library: str, home: Path, fault: str, stride: int) -> None:
    lock.STALE_SECONDS = 0.0  # what could not be removed is old at once
    faults = ctypes.CDLL(library)
    faults.faults_last.restype = ctypes.c_char_p
    error, lasting, kinds = FAULTS[fault]
    seen: Counter[str] = Counter()
    Agent().close()  # which makes the registry
    for n in count(0, stride):
        with Agent() as agent:
            faults.faults_arm(os.fsencode(home), n, error, lasting, kinds)
            events = turn(agent, f"faulty{n}")
            hits = faults.faults_disarm()
            where = f"{fault} at {n}: {faults.faults_last().decode()}: {events}"
            there = any(tool.id.name == f"faulty{n}" for tool in agent.registry.tools())
            written = [event for event in events if isinstance(event, EntryPublished)]
            made = [event.status for event in events if isinstance(event, ToolFinished)][:1]
            assert there == bool(written) and (there or made != ["ok"]), where
            after = turn(agent, f"next{n}")  # in the session that met the fault
            assert end(after).status == "ok", (where, after)
            path, log = agent.registry.path, agent.registry.path.parent / "sessions"
        notices = [event.text for event in events + after if isinstance(event, Notice)]
        for line in (end(events).error, *notices):
            assert "\n" not in line and "Errno" not in line and "Error(" not in line, where
        seen[end(events).status] += 1
        seen["written" if there else "not written"] += 1
        seen["log whole" if is_whole(log, n) else "log told to end"] += 1
        assert is_whole(log, n) or any(line.startswith("the log of this session") for line in notices), (where, notices)
        if not hits:
            break
    kit.fsck(path)
    print(json.dumps({"steps": n, **seen}))


def is_whole(folder: Path, n: int) -> bool:
    """Whether the log of the newest session holds both turns. As far as it goes, it can be read and gone on from."""
    files = sorted(folder.glob("*.jsonl"), key=lambda file: file.stat().st_mtime_ns)
    if not files or not files[-1].stat().st_size:
        return False
    lines = files[-1].read_bytes().split(b"\n")
    assert all(object_in(line) is not None for line in lines[:-1]), files[-1]  # the last one may be torn
    if object_in(lines[0]) is None:
        return False
    turns = list(read_turns(files[-1]))
    return read_state(files[-1]).is_whole and [turn.prompt for turn in turns] == [f"make faulty{n}", f"make next{n}"]


if __name__ == "__main__":
    with ModelServer(script) as server:
        os.environ |= {"MICRO_AGI_HOME": sys.argv[2], "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "k"}
        main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
