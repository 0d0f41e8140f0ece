"""The agent beside the bare openai client and three other agents, all answered by one scripted server on loopback.

A turn is five model steps and four calls of tools. The bare client makes the very requests that the agent made (they
are read back from the server), and throws the answers away. The server takes no time to think unless a row says so, so
what the programs add is nearly all that is seen. Runs take turns, after a warm-up of both. "Processor" is the time of
the process itself; that of the processes in which its tools run stands by itself. The other agents' tools are Python
functions of their own process, and their runs come after ours.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from _model_process import DELTAS, LOAD, LONG, PAUSE, THINKING, THOUGHTFUL, TIMED, TOOLS, TURN
from _rows import Found, Row, Size, main
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
PEERS = ("pydantic_ai", "smolagents", "llm")
"""Other agents, by the module of each."""

RUNS: dict[Size, int] = {"quick": 1, "usual": 21, "large": 31}

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
    warm_up = min(WARM_UP, runs)
    for number in range(warm_up + runs):
        for name, action in actions.items():
            wall, cpu = time.perf_counter(), time.process_time()
            await action()
            seconds = time.perf_counter() - wall
            await asyncio.sleep(SETTLING)
            if number >= warm_up:
                taken[name].append((seconds, time.process_time() - cpu))
    return {
        name: (statistics.median(wall for wall, _ in all), statistics.median(cpu for _, cpu in all))
        for name, all in taken.items()
    }


def both(what: str, ours: Taken, beside: str, theirs: Taken, aim: float | None = None) -> Iterator[Row]:
    for kind, mine, other in zip(("", ", processor"), ours, theirs, strict=True):
        yield Row("agent", what + kind, mine * 1000, "ms", beside, other * 1000, most=aim)


class Bare:
    """The openai client alone, on the requests of one cell of ours."""

    def __init__(self, client: Any, bodies: list[dict[str, Any]]) -> None:
        self._client = client
        self._bodies = bodies

    async def turn(self) -> None:
        for body in self._bodies:
            async for _ in await self._client.chat.completions.create(**body):
                pass

    async def ages(self) -> list[float]:
        """See `latency`, of the deltas of the last request."""
        deltas = await self._client.chat.completions.create(**self._bodies[-1])
        return [
            age(each.choices[0].delta.content)
            async for each in deltas
            if each.choices and each.choices[0].delta.content
        ]


BARE = "the bare openai client"


async def turns(ours: Ours, server: Server, runs: int) -> AsyncIterator[Found]:
    import openai

    client = openai.AsyncOpenAI()

    async def bare(prompt: str) -> Bare:
        server.requests()
        await ours.turn(prompt)
        return Bare(client, server.requests())

    await ours.turn(LOAD)
    for prompt, steps, count in (
        (TURN, "5 steps", runs),
        (THOUGHTFUL, f"5 steps, {THINKING * 1000:.0f} ms of thinking each", max(1, runs // 3)),
    ):
        taken, jail = await five_steps(ours, await bare(prompt), prompt, count)
        for row in both(f"{steps}, 4 tools answered at once", taken["at once"], BARE, taken["bare"]):
            yield row
        for row in both(f"{steps}, 4 tools in their jails", taken["ours"], BARE, taken["bare"], 1.25):
            yield row
        yield Row("agent", f"{steps}, processor of the jails", jail * 1000, "ms", BARE, taken["bare"][1] * 1000)
        if prompt == TURN:
            for each in beside_peers(taken["ours"], server, count):
                yield each

    story = await bare(LONG)
    taken = await alternate({"bare": story.turn, "ours": lambda: ours.turn(LONG)}, max(1, runs // 3))
    for row in both(f"an answer of {DELTAS:,} deltas", taken["ours"], BARE, taken["bare"], 1.2):
        yield row
    timed = await bare(TIMED)
    async for row in latency(ours, timed):
        yield row
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
    return taken, (ours.jail_cpu() - before) / (min(WARM_UP, runs) + runs)


def beside_peers(taken: Taken, server: Server, runs: int) -> Iterator[Found]:
    """The same turn by other agents, each in a process of its own."""
    for name in PEERS:
        if importlib.util.find_spec(name) is None:
            yield f"agent: {name} is not installed (the extra `bench`)"
            continue
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "LLM_USER_PATH": folder, "HF_HUB_OFFLINE": "1"}
            command: list[str | Path] = [
                sys.executable,
                HERE / "peers" / f"with_{name}.py",
                server.url,
                TURN,
                str(runs),
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)
        if done.returncode:
            yield f"agent: {name} was not measured: {done.stderr.strip().splitlines()[-1][:200]}"
            continue
        said = json.loads(done.stdout.splitlines()[-1])
        yield from both("5 steps, 4 tools in their jails", taken, name, (said["wall"], said["cpu"]))


def age(delta: str) -> float:
    """Milliseconds since the server wrote it to its socket."""
    return (time.monotonic_ns() - int(delta)) / 1e6


async def latency(ours: Ours, bare: Bare) -> AsyncIterator[Row]:
    """How old a delta is when it arrives."""
    ages: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, TextDelta):
            ages.append(age(event.text))

    for _ in range(2):  # the first for warmth
        ages.clear()
        await ours.turn(TIMED, hear)
        theirs = await bare.ages()
    shown = await asyncio.to_thread(shown_by_the_kernel)
    each = f"age of a delta, one every {PAUSE * 1000:.0f} ms"
    for where, found, aim in (
        ("at the sink of the front end", ages, 5),
        ("at a notebook, 16 updates a second", shown, None),
    ):
        half, other = statistics.median(found), statistics.median(theirs)
        yield Row("agent", f"{each}, {where}", half, "ms", BARE, other, limit=aim)
        most, other = statistics.quantiles(found, n=20)[-1], statistics.quantiles(theirs, n=20)[-1]
        yield Row("agent", f"{each}, {where}, at worst (95 of 100)", most, "ms", BARE, other)


def shown_by_the_kernel() -> list[float]:
    """The same through a real kernel, to the client of a notebook: milliseconds for each delta."""
    manager = KernelManager()
    manager._kernel_spec = KernelSpec(argv=KERNEL, display_name="x", language="x")
    ages: list[float] = []

    def hear(message: dict[str, Any]) -> None:
        words = message["content"].get("data", {}).get("text/plain", "").split()
        ages.extend(age(word) for word in words[len(ages) :] if word.isdigit())

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


async def prompt_tokens(server: Server) -> AsyncIterator[Found]:
    """Tokens of the first request of a conversation, by how many tools the registry has."""
    counter = TokenCounter("gpt-5.1")
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
        yield Row(
            "agent", f"first request, {count} tools in the registry", tokens, "tokens", "all tools sent", all_sent
        )
    if counter._encode is None:
        yield "agent: tokens are counted by our estimate, 0.9 to 1.4 times the true number"


def _named(function: dict[str, Any]) -> dict[str, Any]:
    return {"name": function["name"], "description": function["description"], "schema": function["parameters"]}


async def rows(size: Size) -> AsyncIterator[Found]:
    server = Server()
    os.environ |= {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "anything"}
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            ours = Ours(home, [tool(name) for name in TOOLS])
            async for found in turns(ours, server, RUNS[size]):
                yield found
            await ours.session.close()
        server.requests()
        async for found in prompt_tokens(server):
            yield found
    finally:
        server.close()


if __name__ == "__main__":
    main(rows, __doc__)
