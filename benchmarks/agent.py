"""The agent beside the bare openai client and three other agents, all answered by one scripted server on loopback.

    python benchmarks/agent.py [--runs N] [--peers FOLDER] [--no-peers]

A turn is five model steps and four calls of tools. The bare client makes the very requests that the agent made (they
are read back from the server), and throws the answers away. The server takes no time to think unless a row says so, so
what the programs add is nearly all that is seen. Runs take turns, after a warm-up of both; rows of one table can be
compared, machines cannot. CPU is that of the process; "jail" is that of the processes in which its tools run. The other
agents are installed from PyPI into environments below FOLDER (a temporary one unless told); their tools are Python
functions of their own process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from _model_process import DELTAS, LOAD, LONG, PAUSE, THINKING, THOUGHTFUL, TIMED, TOOLS, TURN
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from many_tools import many_tools

from micro_agi_kernel.agent.context import bind
from micro_agi_kernel.agent.spec import ListedTool
from micro_agi_kernel.agent.tokens import TokenCounter
from micro_agi_kernel.entries import INSTALLER, Changeset, Entry, EntryId, Operation
from micro_agi_kernel.events import Event, TextDelta, TurnFinished
from micro_agi_kernel.frontends.jupyter.notebook_sink import NotebookSink
from micro_agi_kernel.interfaces import CallOutcome
from micro_agi_kernel.messages import ModelRequest, SystemMessage, ToolSpec, UserMessage
from micro_agi_kernel.registry import CommitMessage, Person
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.workspace import Workspace

HERE = Path(__file__).parent
PEERS = {"pydantic-ai": "pydantic-ai-slim[openai]", "smolagents": "smolagents[openai]", "llm": "llm"}
"""Other agents, and what is installed for each."""

REGISTERED = (17, 72, 200)
SECONDS = 300
WARM_UP = 3
SETTLING = 0.1
"""Seconds after a run, in which what it left to do is done: the CPU of that is its own."""

KERNEL = [sys.executable, "-P", "-m", "micro_agi_kernel", "-f", "{connection_file}"]

Taken = tuple[float, float]
"""Seconds of wall and of CPU."""


class Server:
    """The model's side, in a process of its own; it ends when its input does."""

    def __init__(self) -> None:
        script = HERE / "_model_process.py"
        self._process = subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = self._line()

    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the requests since the last time."""
        assert self._process.stdin is not None
        self._process.stdin.write("requests\n")
        self._process.stdin.flush()
        bodies: list[dict[str, Any]] = json.loads(self._line())
        return bodies

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Ours:
    """A session on a registry of its own with more tools in app.generated, as a notebook meets it."""

    def __init__(self, home: str, tools: list[Entry]) -> None:
        settings = Settings(home=Path(home))
        self.workspace = Workspace(settings)
        who = Person("Benchmark", "benchmark@example.com")
        self.workspace.registry.commit(
            Changeset(tuple(Operation("create", tool.id, tool) for tool in tools)),
            CommitMessage(INSTALLER),
            author=who,
            committer=who,
            base=self.workspace.registry.snapshot(),
        )
        self.session = Session(self.workspace, settings)

    async def turn(self, prompt: str, hear: Callable[[Event], None] = lambda event: None) -> None:
        """One cell of a conversation in which nothing was said before; the tools that were loaded stay."""
        sink = NotebookSink(lambda *message, **more: None, footer=True)
        conversation = self.session._conversation
        conversation.replace_beginning(len(conversation.messages), ())
        async for event in self.session.run(prompt):
            hear(event)
            sink.handle(event)
        assert isinstance(event, TurnFinished) and event.status == "ok", event

    def jail_cpu(self) -> float:
        """Seconds that the processes of the jail took until now, those that have ended among them; Linux tells."""
        process = getattr(self.workspace.sandbox._workers, "_process", None)
        stat = Path(f"/proc/{process.pid}/stat") if process is not None else Path()
        fields = stat.read_text().rpartition(")")[2].split() if stat.is_file() else ["0"] * 15
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def tool(name: str) -> Entry:
    """The tool of the turn as the agent would have written it; the others' are Python functions that do the same."""
    texts = {key: {"type": "string"} for key, value in TOOLS[name].items() if isinstance(value, str)}
    numbers = {key: {"type": "integer"} for key, value in TOOLS[name].items() if isinstance(value, int)}
    schema: Any = {"type": "object", "properties": {**texts, **numbers}, "required": list(TOOLS[name])}
    source = f"return {{ handler = function(input) return {{ {name} = 21.5, input = input }} end }}\n"
    meta: dict[str, Any] = {"type": "tool", "comment": f"Says the {name}", "input_schema": schema}
    id = EntryId("app.generated", name)
    return Entry(id, "function.lua", meta, {"source": source, "modules": [], "method": "handler"})


async def alternate(actions: Mapping[str, Callable[[], Awaitable[object]]], runs: int) -> dict[str, Taken]:
    """The median of `runs` runs of each action, which take turns; the first ones of each do not count."""
    taken: dict[str, list[Taken]] = {name: [] for name in actions}
    for number in range(WARM_UP + runs):
        for name, action in actions.items():
            wall, cpu = time.perf_counter(), time.process_time()
            await action()
            seconds = time.perf_counter() - wall
            await asyncio.sleep(SETTLING)
            if number >= WARM_UP:
                taken[name].append((seconds, time.process_time() - cpu))
    return {
        name: (statistics.median(wall for wall, _ in all), statistics.median(cpu for _, cpu in all))
        for name, all in taken.items()
    }


def print_row(name: str, taken: Taken, bare: Taken, aim: str = "", jail: float | None = None) -> None:
    wall, cpu = taken
    ratios = f"{wall * 1000:8.1f} {wall / bare[0]:7.2f} {cpu * 1000:8.1f} {cpu / bare[1]:7.2f}"
    print(f"{name:48} {ratios} {'' if jail is None else f'{jail * 1000:.1f}':>7} {aim:>7}", flush=True)


class Bare:
    """The openai client alone, on the requests of one cell of ours."""

    def __init__(self, client: Any, bodies: list[dict[str, Any]]) -> None:
        self._client = client
        self._bodies = bodies

    async def turn(self) -> None:
        for body in self._bodies:
            async for _ in await self._client.chat.completions.create(**body):
                pass


async def turns(ours: Ours, server: Server, runs: int, peers: Path | None) -> None:
    import openai

    client = openai.AsyncOpenAI()

    async def bare(prompt: str) -> Bare:
        server.requests()
        await ours.turn(prompt)
        return Bare(client, server.requests())

    print(f"{'':48} {'ms':>8} {'/ bare':>7} {'CPU ms':>8} {'/ bare':>7} {'jail':>7} {'aim':>7}")
    await ours.turn(LOAD)
    taken, jail = await five_steps(ours, await bare(TURN), TURN, runs)
    first = taken["bare"]
    print_row("5 steps, the bare client", first, first)
    print_row("5 steps, 4 tools answered at once", taken["at once"], first)
    print_row("5 steps, 4 tools in their jails", taken["ours"], first, "≤ 1.25", jail)
    if peers is not None:
        for name, packages in PEERS.items():
            peer(name, packages, peers, server, runs, first)

    taken, jail = await five_steps(ours, await bare(THOUGHTFUL), THOUGHTFUL, max(3, runs // 3))
    thinking = f"{THINKING * 1000:.0f} ms of thinking each"
    print_row(f"5 steps, {thinking}, the bare client", taken["bare"], taken["bare"])
    print_row(f"5 steps, {thinking}, tools in jails", taken["ours"], taken["bare"], "≤ 1.25", jail)

    story = await bare(LONG)
    taken = await alternate({"bare": story.turn, "ours": lambda: ours.turn(LONG)}, max(3, runs // 3))
    print_row(f"{DELTAS:,} deltas, the bare client", taken["bare"], taken["bare"])
    print_row(f"{DELTAS:,} deltas, the agent", taken["ours"], taken["bare"], "≤ 1.2")
    await client.close()


async def five_steps(ours: Ours, bare: Bare, prompt: str, runs: int) -> tuple[dict[str, Taken], float]:
    """What the turn takes: of the bare client, of ours, and of ours with the tools answered at once; and the CPU of the
    jail in a turn of ours."""

    async def answer(*_: object) -> CallOutcome:
        return CallOutcome({"degrees": 21.5})

    async def at_once() -> None:
        ours.workspace.call = answer  # type: ignore[assignment, method-assign]
        await ours.turn(prompt)
        del ours.workspace.call

    before = ours.jail_cpu()
    actions = {"bare": bare.turn, "ours": lambda: ours.turn(prompt), "at once": at_once}
    taken = await alternate(actions, runs)
    return taken, (ours.jail_cpu() - before) / (WARM_UP + runs)


def peer(name: str, packages: str, folder: Path, server: Server, runs: int, bare: Taken) -> None:
    """One row: the same turn by another agent, or why there is none."""
    environment = {**os.environ, "LLM_USER_PATH": str(folder / "llm-user"), "HF_HUB_OFFLINE": "1"}
    script = HERE / "peers" / f"with_{name.replace('-', '_')}.py"
    try:
        python = installed(folder / name, packages)
        ask = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
        version = run(python, "-c", ask, packages.partition("[")[0]).strip()
        said = json.loads(run(python, script, server.url, TURN, str(runs), env=environment).splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        reason = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1:]
        print(f"{f'5 steps, {name}':48} not measured: {''.join(reason)[:100]}", flush=True)
        return
    print_row(f"5 steps, {name} {version}", (said["wall"], said["cpu"]), bare)


def installed(place: Path, packages: str) -> Path:
    """The Python of an environment with `packages`, made there unless it is there already."""
    python, done = place / "bin" / "python", place / "installed"
    if not done.exists():
        venv.create(place, with_pip=True, clear=True)
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", packages)
        done.touch()
    return python


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    """What a program prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS, env=env).stdout


async def latency(ours: Ours) -> None:
    """How old a delta is when it arrives, from the moment in which the server wrote it to its socket."""
    ages: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, TextDelta):
            ages.append((time.monotonic_ns() - int(event.text)) / 1e6)

    for _ in range(2):  # the first for warmth
        ages.clear()
        await ours.turn(TIMED, hear)
    shown = await asyncio.to_thread(shown_by_the_kernel)
    print(f"\n{f'age of a delta, one every {PAUSE * 1000:.0f} ms':48} {'median':>8} {'95 %':>7} {'':24} {'aim':>7}")
    for name, found, aim in (
        ("ms at the sink of the front end", ages, "≤ 5"),
        ("ms at a notebook, 16 updates a second", shown, ""),
    ):
        print(
            f"{name:48} {statistics.median(found):8.2f} {statistics.quantiles(found, n=20)[-1]:7.2f} {'':24} {aim:>7}"
        )


def shown_by_the_kernel() -> list[float]:
    """The same through a real kernel, to the client of a notebook: milliseconds for each delta."""
    manager = KernelManager()
    manager._kernel_spec = KernelSpec(argv=KERNEL, display_name="x", language="x")
    ages: list[float] = []

    def hear(message: dict[str, Any]) -> None:
        words = message["content"].get("data", {}).get("text/plain", "").split()
        ages.extend((time.monotonic_ns() - int(word)) / 1e6 for word in words[len(ages) :] if word.isdigit())

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        manager.start_kernel(env={**os.environ, "MICRO_AGI_HOME": home, "MICRO_AGI_RENDER_FRONT_END": "notebook"})
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=SECONDS)
            client.execute_interactive(TIMED, timeout=SECONDS, output_hook=lambda message: None)
            client.execute_interactive(TIMED, timeout=SECONDS, output_hook=hear)
        finally:
            client.stop_channels()
            manager.shutdown_kernel()
    return ages


async def prompt_tokens(server: Server) -> None:
    """Tokens of the first request of a conversation, by how many tools the registry has."""
    counter = TokenCounter("gpt-5.1")
    title = "prompt tokens of a first request"
    print(f"\n{'tools in the registry':48} {'sent':>8} {'bytes':>8} {title:>33} {'all sent':>9}")
    for count in REGISTERED:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            workspace_tools = many_tools(count - 5)  # beside the five built-in ones
            ours = Ours(home, workspace_tools)
            await ours.turn(LONG)
            [body] = server.requests()
            await ours.session.close()
        sent = tuple(ToolSpec(**_named(each["function"])) for each in body["tools"])
        system, user = (str(message["content"]) for message in body["messages"])
        request = ModelRequest((SystemMessage(system), UserMessage(user)), sent)
        every = sent + tuple(bind(each, ListedTool(str(each.id))).spec for each in workspace_tools)
        tokens = await counter.count(request)
        all_sent = await counter.count(ModelRequest(request.messages, every))
        size = len(json.dumps(body))
        print(f"{count:48} {len(sent):8} {size:8,} {tokens:33,} {all_sent:9,}")
    print(
        f"counted by {'tiktoken' if counter._encode is not None else 'our estimate, 0.9 to 1.4 times the true number'}"
    )


def _named(function: dict[str, Any]) -> dict[str, Any]:
    return {"name": function["name"], "description": function["description"], "schema": function["parameters"]}


async def measure(runs: int, peers: Path | None) -> None:
    server = Server()
    os.environ |= {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "anything"}
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            ours = Ours(home, [tool(name) for name in TOOLS])
            await turns(ours, server, runs, peers)
            await latency(ours)
            await ours.session.close()
        server.requests()
        await prompt_tokens(server)
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=31, help="runs of each (default 31)")
    parser.add_argument("--peers", type=Path, help="folder for the environments of the other agents, kept")
    parser.add_argument("--no-peers", action="store_true", help="leave the other agents out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        peers = None if chosen.no_peers else (chosen.peers or Path(temporary)).absolute()
        asyncio.run(measure(chosen.runs, peers))


if __name__ == "__main__":
    main()
