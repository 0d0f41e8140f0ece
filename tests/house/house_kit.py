"""What the tests of the house share: a workspace on a registry made from the seed, and hostile hands for it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from model_server import ModelServer, Recorded, Script
from sendable_kit import check_sendable

from micro_agi_kernel import workspace as workspace_module
from micro_agi_kernel.entries import AGENT, INSTALLER, Changeset, Entry, EntryId, FileChange, Operation, to_files
from micro_agi_kernel.events import CommandAnswered, Event, TextDelta, ToolFinished, ToolStarted, TurnFinished
from micro_agi_kernel.host.service import Grant
from micro_agi_kernel.interfaces import CallContext, CallOutcome, Provenance
from micro_agi_kernel.logs.writer import SessionLog
from micro_agi_kernel.outputs import Output, Printed
from micro_agi_kernel.registry import CommitMessage, Person, Version
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.values import Json, Value
from micro_agi_kernel.workspace import Workspace, open_registry

GOOD = "return { handler = function() return 1 end }"
"""The source of a tool that gives 1."""

NO_CHECKS = """
local registry = require("registry")
return { handler = function(input)
  local changes = registry.snapshot():changes()
  for i, op in ipairs(input.operations) do
    changes._operations[i] = { kind = "entry." .. op.action, entry = op.entry }
  end
  local version, err = changes:apply()
  if err then return { error = err:message() } end
  return { commit = version:commit() }
end }
"""
"""A create_tool.lua that asks nobody: it hands its input to the host as it is."""

RESTORE = """
local registry = require("registry")
return { handler = function(input)
  local version, err = registry.apply_version(input.commit)
  if err then return { error = err:message() } end
  return { commit = version:commit() }
end }
"""


BROKEN_SCOPES: dict[str, dict[str, bytes | None]] = {
    "broken-yaml": {"app/deny_core_ns.yaml": b"kind: [security.policy\n"},
    "another-broken-file": {"app/zz.yaml": b"\tkind"},
    "misnamed-file": {"app/a b.yaml": b"kind: security.policy\n"},
    "empty": {"app/deny_core_ns.yaml": None, "app/deny_tools_ns.yaml": None},
    "expression": {
        "app/expr.yaml": b"kind: security.policy.expr\ndata:\n  policy: {actions: '*', resources: 'x:*', effect: deny,"
        b" expression: 'true and'}\n  groups: [agent_security]\n"
    },
    "misspelt-effect": {
        "app/p.yaml": b"kind: security.policy\ndata:\n  policy: {actions: '*', resources: 'x', effect: denied}\n"
        b"  groups: [agent_security]\n"
    },
    "misspelt-groups": {
        "app/p.yaml": b"kind: security.policy\ndata:\n  policy: {actions: '*', resources: 'x', effect: deny}\n"
        b"  group: [agent_security]\n"
    },
}
"""Pushes after which nobody can say what an agent may do."""


def id_of(text: str) -> EntryId:
    return EntryId.parse(text)


def tool(
    name: str,
    source: str = "return { handler = function(input) return input end }",
    *,
    modules: Iterable[str] = (),
    **meta: Json,
) -> Entry:
    """A tool as create_tool writes it; `name` without a namespace lies in app.generated."""
    id = id_of(name if ":" in name else f"app.generated:{name}")
    described: dict[str, Json] = {
        "type": "tool",
        "comment": "For a test",
        "input_schema": {"type": "object", "properties": {}},
        "llm_alias": id.name,
        "llm_description": "For a test",
        **meta,
    }
    return Entry(id, "function.lua", described, {"source": source, "modules": list(modules), "method": "handler"})


def policy(id: str, effect: str, actions: Json, resources: Json, group: str = "tool_security") -> Entry:
    body: Json = {"actions": actions, "resources": resources, "effect": effect}
    return Entry(id_of(id), "security.policy", {}, {"policy": body, "groups": [group]})


ALLOW_LOOPBACK = policy("app:allow_loopback", "allow", "http_client.private_ip", "127.0.0.1")


def create(*entries: Entry) -> tuple[Operation, ...]:
    return tuple(Operation("create", entry.id, entry) for entry in entries)


def update(*entries: Entry) -> tuple[Operation, ...]:
    return tuple(Operation("update", entry.id, entry) for entry in entries)


def delete(*ids: str) -> tuple[Operation, ...]:
    return tuple(Operation("delete", id_of(id)) for id in ids)


class House(Workspace):
    """A workspace, with the hands of its person, its agent and of a program that broke out of its jail."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings
        self.events: list[Event] = []
        self.output = ""
        self.logs: list[SessionLog] = []

    def end_logs(self) -> None:
        for log in self.logs:
            log.close()

    async def close(self) -> None:
        await asyncio.to_thread(self.end_logs)
        await super().close()

    @property
    def head(self) -> str:
        return self.registry.head()

    def context(self, actor: str = AGENT, **origin: Any) -> CallContext:
        def on_output(output: Output) -> None:
            if isinstance(output, Printed):
                self.output += output.text

        return CallContext(actor, self.events.append, on_output, Provenance(**origin))

    def write(
        self, *operations: Operation, files: tuple[FileChange, ...] = (), actor: str = INSTALLER, **message: Any
    ) -> Version:
        """Commit past every check, as another writer (or a push) could."""
        who = Person("Ann", "ann@example.com")
        return self.registry.commit(
            Changeset(operations, files),
            CommitMessage(actor, **message),
            author=who,
            committer=who,
            base=self.registry.snapshot(),
        )

    def push_entry(self, entry: Entry) -> str:
        """What a person does who edits the files of an entry."""
        folder = entry.id.namespace.replace(".", "/")
        return self.push({f"{folder}/{name}": content for name, content in to_files(entry).items()})

    def push(self, files: Mapping[str, bytes | None], message: str = "by hand") -> str:
        """What a person's push leaves, whatever it holds (None removes a file); the new commit."""
        who = "committer Bob <bob@example.com> 1700000000 +0000"
        parts = [
            f"commit refs/heads/main\n{who}\n".encode(),
            b"data %d\n%b\n" % (len(message.encode()), message.encode()),
        ]
        parts.append(b"from refs/heads/main^0\n")
        for path, content in files.items():
            if content is None:
                parts.append(f'D "{path}"\n'.encode())
            else:
                parts.append(f'M 100644 inline "{path}"\ndata {len(content)}\n'.encode() + content + b"\n")
        git(self.registry.path, "fast-import", "--quiet", stdin=b"".join(parts))
        return self.head

    async def run(self, id: str, input: Value = None, *, actor: str = AGENT, **origin: Any) -> CallOutcome:
        """Call an entry of the registry."""
        return await self.call(id_of(id), input, self.context(actor, **origin))

    async def make(self, name: str, source: str = GOOD, **more: Any) -> Any:
        """What the real create_tool answers; an error of the call as what it says, `{"error": text}`."""
        schema = {"type": "object", "properties": {}}
        usual = {"name": name, "description": "For a test", "source": source, "input_schema": schema}
        outcome = await self.run("app.tools:create_tool", {**usual, **more})
        return outcome.value if outcome.error is None else {"error": outcome.error.message}

    def host(self, *modules: str, entry: Entry | None = None) -> Any:
        """The host as a child reaches it that runs `entry` with `modules`."""
        entry = entry or tool("app.tools:outlaw", modules=modules)
        return self._functions._host.for_call(Grant(entry, frozenset(modules), self.context()))

    def uncheck_create_tool(self) -> None:
        """Replace create_tool by one that skips all its checks."""
        real = self.registry.snapshot().get(id_of("app.tools:create_tool"))
        assert real is not None
        anything: Json = {"type": "object"}
        meta = {**real.meta, "input_schema": anything}
        self.write(*update(replace(real, meta=meta, data={**real.data, "source": NO_CHECKS})))


class SharedSandbox(JailedSandbox):
    """One sandbox for all tests: what they open with a workspace is not closed with it."""

    async def close(self) -> None:
        """Stays open, for the next test."""

    async def end(self) -> None:
        await super().close()


def open_house(home: Path, jail: JailedSandbox, **settings: Any) -> House:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace_module, "open_sandbox", lambda settings: jail)
        return House(Settings(home=home, **settings))


class Talk:
    """A conversation with the scripted model, over the real provider."""

    def __init__(self, session: Session, server: ModelServer) -> None:
        self.session = session
        self.server = server

    async def say(self, text: str, cell: int = 1) -> list[Event]:
        """The events of one turn, checked for what holds of every turn."""
        events = [event async for event in self.session.run(text, cell=cell)]
        check_events(events)
        return events

    @property
    def requests(self) -> list[Recorded]:
        return self.server.requests

    def results(self, request: int = -1) -> list[Any]:
        """The tool results that a request holds, as the model reads them, in the order of their calls."""
        messages = self.requests[request].body["messages"]
        found = {m["tool_call_id"]: json.loads(m["content"]) for m in messages if m["role"] == "tool"}
        return [found[call["id"]] for m in messages for call in m.get("tool_calls", ())]


@asynccontextmanager
async def talking(house: House, script: Script, settings: Settings | None = None) -> AsyncIterator[Talk]:
    """A conversation; at its end every request that was sent is checked to be one that a provider accepts."""
    with ModelServer(script) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", server.url)
        patch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
        session = Session(house, settings or house.settings)
        try:
            yield Talk(session, server)
        finally:
            await session._models.close()
            await session._summarizers.close()
        for request in server.requests:
            check_sendable(request.body)


def check_events(events: list[Event]) -> None:
    """Exactly one TurnFinished, at the end; every start of a call has exactly one end, and it comes later."""
    assert [event for event in events if isinstance(event, TurnFinished)] == events[-1:]
    running: set[str] = set()
    for event in events:
        if isinstance(event, ToolStarted):
            assert event.call_id not in running
            running.add(event.call_id)
        elif isinstance(event, ToolFinished):
            running.remove(event.call_id)
    assert not running, f"never finished: {running}"


def kinds(events: Iterable[Event]) -> list[str]:
    """The names of events, with text and usage left out."""
    return [name for event in events if (name := type(event).__name__) not in ("TextDelta", "UsageReport")]


def words(events: Iterable[Event]) -> str:
    """What a model said, or a command."""
    return "".join(
        event.text if isinstance(event, TextDelta) else event.markdown
        for event in events
        if isinstance(event, TextDelta | CommandAnswered)
    )


def finished(events: Iterable[Event]) -> list[tuple[str, str]]:
    return [(event.name, event.status) for event in events if isinstance(event, ToolFinished)]


def git(folder: Path, *args: str, stdin: bytes = b"") -> str:
    """Run real git there, without anyone's configuration; its output, stripped."""
    env = {"PATH": os.environ["PATH"], "HOME": os.fspath(folder), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}
    env |= {f"GIT_{who}_{what}": "bob@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(["git", *args], cwd=folder, env=env, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout.decode().strip()


def make_seeded(home: Path) -> Path:
    """A registry in `home` as it is on first use, in one pack, so that a copy is a few files; its path."""
    open_registry(Settings(home=home)).close()
    git(home / "registry.git", "repack", "-a", "-d", "-q")
    git(home / "registry.git", "prune-packed", "-q")
    return home / "registry.git"


class Loopback:
    """A small HTTP server on this machine. `answers` maps a path to the body; `/meet` waits for two visitors."""

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        self.answers = answers
        self.visits: list[str] = []
        self.meeting = threading.Barrier(2, timeout=10)
        self.reached = threading.Event()
        self.stopping = threading.Event()
        self.url = ""

    def answer(self, path: str) -> tuple[int, bytes]:
        self.visits.append(path)
        self.reached.set()
        if path == "/meet":
            try:
                self.meeting.wait()
            except threading.BrokenBarrierError:
                return 500, b"nobody came"
        if path == "/hang":
            self.stopping.wait(10)
        body = self.answers.get(path.partition("?")[0], b"ok" if path.startswith("/") else None)
        return (404, b"") if body is None else (200, body)


@contextmanager
def loopback(answers: Mapping[str, bytes] = {}) -> Iterator[Loopback]:
    site = Loopback(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = site.answer(self.path)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # the visitor left
                return

        def log_message(self, format: str, *args: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        site.stopping.set()
        site.meeting.abort()
        server.shutdown()
        server.server_close()
        thread.join()
