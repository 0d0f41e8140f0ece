"""A script that asks an agent: interrupted, ended without a word, forked; nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from model_server import Hold, ModelServer, Reply, text

from micro_agi_kernel.frontends.session_thread import Running

INTERRUPTED = """
import psutil, threading
from micro_agi_kernel import Agent, TextDelta
with Agent() as agent:
    agent.call("registry_list")
    children = psutil.Process().children(recursive=True)
    print(bool(children), flush=True)
    try:
        for event in agent.run("hello"):
            if isinstance(event, TextDelta):
                print("begun", flush=True)
    except KeyboardInterrupt:
        print("stopped")
    print(agent.ask("again"))
print(psutil.wait_procs(children, timeout=10)[1], [t.name for t in threading.enumerate() if "registry" not in t.name])
"""

FORGOTTEN = """
import os, psutil
from micro_agi_kernel import Agent, MicroAgiError, TextDelta
agent = Agent()
agent.call("registry_list")
print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
events = agent.run("hello")
while not isinstance(next(events), TextDelta):
    pass
if (child := os.fork()) == 0:
    for use in (lambda: agent.ask("x"), lambda: agent.registry, lambda: next(events), agent.close):
        try:
            use()
        except MicroAgiError as error:
            print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("the end")
"""

CLOSED_LATE = """
import threading
from micro_agi_kernel import Agent
agent = Agent()
agent.call("registry_list")
def close():
    threading.main_thread().join()
    agent.close()
    print("closed", flush=True)
threading.Thread(target=close).start()
"""

CLOSED_AT_EXIT = """
import atexit
from micro_agi_kernel import Agent
agent = Agent()
agent.call("registry_list")
atexit.register(print, "closed")
atexit.register(agent.close)
"""


def held() -> Reply:
    whole = text("begun ", "ended")
    return Reply((*whole.events[:2], Hold(), *whole.events[2:]), whole.usage)


def started(code: str, server: ModelServer, home: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "MICRO_AGI_HOME": str(home),
        "OPENAI_BASE_URL": server.url,
        "OPENAI_API_KEY": "k",
        "PYTHONWARNINGS": "ignore::DeprecationWarning",  # newer Pythons warn of any fork beside threads
    }
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=pipe, stderr=pipe, text=True)


def test_an_interrupt_stops_the_turn_and_the_script_goes_on(tmp_path: Path) -> None:
    with ModelServer([held(), text("Well.")]) as server, started(INTERRUPTED, server, tmp_path) as script:
        assert script.stdout is not None
        assert [script.stdout.readline() for _ in range(2)] == ["True\n", "begun\n"]
        script.send_signal(signal.SIGINT)
        said, errors = script.communicate(timeout=60)
    assert (said, errors) == ("stopped\nWell.\n[] ['MainThread']\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_script_that_closes_nothing_ends_quietly_and_its_fork_is_told(tmp_path: Path) -> None:
    with ModelServer([held()]) as server, started(FORGOTTEN, server, tmp_path) as script:
        said, errors = script.communicate(timeout=60)
    children, *rest = said.splitlines()
    line = "this agent belongs to the process that this one was forked from: make another one here"
    assert (rest, errors, script.returncode) == ([line, line, line, "the end"], "", 0)
    assert children
    left = [psutil.Process(int(pid)) for pid in children.split() if psutil.pid_exists(int(pid))]
    assert psutil.wait_procs(left, timeout=30)[1] == []


@pytest.mark.parametrize("code", [CLOSED_LATE, CLOSED_AT_EXIT])
def test_an_agent_is_closed_while_the_process_ends(tmp_path: Path, code: str) -> None:
    with ModelServer([]) as server, started(code, server, tmp_path) as script:
        said, errors = script.communicate(timeout=60)
    assert (said, errors, script.returncode) == ("closed\n", "", 0)


def test_work_whose_session_was_closed_meanwhile_is_stopped() -> None:
    async def work(running: Running[int, None]) -> None:
        running.give(1)

    loop = asyncio.new_event_loop()
    running = Running(loop, work)
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    running.ended.clear()  # as it was when the other thread asked
    assert list(running.stop()) == [1]
