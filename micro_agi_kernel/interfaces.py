"""The seams between the rooms, on one page.

Engines do not know one another; they meet here. Composition holds one implementation
of each: `workspace` puts them together and hands them to the rest.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from micro_agi_kernel.entries import AGENT, Changeset, Entry, EntryId
from micro_agi_kernel.errors import CallError
from micro_agi_kernel.events import Event, Spent
from micro_agi_kernel.messages import ModelChunk, ModelRequest
from micro_agi_kernel.outputs import Output
from micro_agi_kernel.questions import Question, not_approved
from micro_agi_kernel.values import Json, Value

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandboxed call may use."""

    seconds: float = 30.0
    """Running time; time spent in `sleep` and in HTTP counts."""
    memory: int = 64 * MIB
    """Lua memory in bytes."""
    output: int = 10 * MIB
    """Bytes printed and displayed."""
    host_calls: int = 1_000
    """Requests to services of the host."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a turn, and all turns of a session, may take: the settings below `limits`. 0 is no limit."""

    steps: int = 25
    """Model requests in one turn that were answered, second tries and those that compress among them."""
    seconds: float = 600.0
    """Wall time of one turn."""
    tokens: int = 0
    """Prompt and answer tokens of one turn."""
    cost: float = 0.0
    """Money for one turn, in the currency of the model entries' prices (US dollars)."""
    session_tokens: int = 0
    session_cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Library:
    """Lua source that a program may `require`; what its chunk returns is what it gives."""

    source: str
    chunk_name: str
    imports: Mapping[str, str] = field(default_factory=dict)
    """As in Program. It has the modules of the program, whichever it lists itself."""


@dataclass(frozen=True, slots=True)
class Program:
    """Lua source to run in the jail, and all that it may touch.

    The chunk is loaded as text. If it returns a table with the function `method`, that is called with
    `input`; if it returns something else, that is the result.
    """

    source: str
    chunk_name: str
    """What Lua calls it in messages: `NAME:LINE: ...`."""
    input: Value = None
    method: str | None = "handler"
    """None: chunk and libraries are only compiled, not run; the value is a table by key of why a library is no Lua."""
    modules: frozenset[str] = frozenset()
    limits: Limits = Limits()
    imports: Mapping[str, str] = field(default_factory=dict)
    """What `require` takes beside modules: alias to the key of a library."""
    libraries: Mapping[str, Library] = field(default_factory=dict)
    """All that the program and its libraries import, by any key."""
    dry: bool = False
    """Only load the chunk: `method` must be there, and is not called."""
    now: int | None = None
    """Nanoseconds since 1970 at which every clock that the program can read stands; None: they go."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a sandboxed call ended: a value or an error, never an exception."""

    value: Value = None
    error: CallError | None = None
    seconds: float = 0.0
    shown: int = 0
    """Bytes printed and displayed."""

    @property
    def ok(self) -> bool:
        return self.error is None


class HostService(Protocol):
    """Services of the host that Lua reaches through the pipe, for one call with its permissions."""

    async def request(self, op: str, payload: Value) -> Value:
        """Answer the operation `op` ("http.request", "registry.get" ...).

        Raises MicroAgiError (usually Refused): the caller turns it into an error value for Lua. The
        child's word is worth nothing: every permission is checked here, on our side of the pipe.
        """


class Sandbox(Protocol):
    """A place where a Program runs, jailed."""

    async def run(self, program: Program, host: HostService, on_output: Callable[[Output], None]) -> CallOutcome:
        """Run `program` in a fresh jailed process. `on_output` gets what it shows while it runs.

        Cancelling this coroutine kills the process. Raises SandboxError when the jail cannot be set up.
        """


@dataclass(frozen=True, slots=True)
class LuaModule:
    """A module that Lua may `require`: a Lua chunk, and the Python functions that stand below it.

    The chunk runs in the child with the arguments `native`, `host`, `sleep`, `timer` and `part`, and returns the
    module's table. `native(name, ...)` calls `functions[name]` in the child: positional Values in, one Value
    out; raising Refused gives Lua `nil, err`. `host(op, payload)` asks the host service `op`, which must be in
    `services`, and gives `value` or `nil, err`. `sleep(seconds)` waits without keeping other coroutines from
    running. `timer(seconds, every, make)` gives a channel that a timer feeds, see sandbox/timers.lua.
    `part(name, ...)` runs a chunk of `parts` with the arguments that follow, and gives what it returns.

    Chunk and parts have the globals of a tool, and besides: `invalid(message)`, an error of the kind INVALID;
    `kind_of(value)`, what an object of the sandbox is ("error", "channel" ...), nil for any other value;
    `empty_object()`, a table that goes to Python as `{}`, where an empty table goes as `[]`; and
    `is_empty_object(table)`. A plain function of the module returns `value` or `nil, error`.
    """

    chunk: str = ""
    """Empty in the file of a module: `lua_modules.load_all` reads the Lua files beside it."""
    parts: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    functions: Mapping[str, Callable[..., Value]] = field(default_factory=dict)
    services: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a change came from; becomes the trailers of its commit. Empty fields give no trailer."""

    model: str = ""
    prompt: str = ""
    session: str = ""
    cell: int = 0
    spent: Callable[[], Spent] = Spent
    """What the cell's model steps took since its last commit, if it wrote one; asked when a commit is written."""


def unheard(_: object) -> None:
    """Where nobody listens."""


class Approver(Protocol):
    """Asks the person at the front end."""

    async def approve(self, question: Question) -> None:
        """Come back when the person has said yes, now or for the whole session.

        Raises Refused when they said no, and where nobody can be asked. While they think, the clocks of the turn, the
        call and the request stand still; the caller holds no lock. Cancelling takes the question back.
        """


class Nobody:
    """The Approver where there is nobody to ask."""

    async def approve(self, question: Question) -> None:
        raise not_approved(question, "nobody")


@dataclass(slots=True)
class Allowance:
    """What is left for all calls below an outermost one together: calls of calls would multiply any limit."""

    calls: int = 1_000
    seconds: float = 300.0
    """Running time; those that run side by side add up."""
    output: int = 100 * MIB
    """Bytes printed and displayed."""


@dataclass(slots=True)
class Writing:
    """What is being written on behalf of a call: whoever is stopped meanwhile does not know what becomes of it."""

    under_way: int = 0
    """Commits."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """On whose behalf an entry is called, and whom to tell what happens."""

    actor: str = AGENT
    """"service:agent", "user:<name>", "service:installer" or "mcp:<client>". What Lua writes is the agent's, whoever
    started it."""
    emit: Callable[[Event], None] = unheard
    on_output: Callable[[Output], None] = unheard
    provenance: Provenance = Provenance()
    callers: tuple[Entry, ...] = ()
    """The entries whose calls led to this one, the outermost first."""
    allowance: Allowance = field(default_factory=Allowance)
    """Shared by the outermost call and all below it."""
    values: Mapping[str, Json] = field(default_factory=dict)
    """What the entry, and whatever it calls, finds in its module ctx: from the agent's entry, never from a model."""
    approver: Approver = field(default_factory=Nobody)
    answers: str = ""
    """Who answers what `approver` asks: "mcp:<client>"; empty: the person here."""
    writing: Writing = field(default_factory=Writing)
    """Shared by the outermost call and all below it."""


class Caller(Protocol):
    """Calls an entry of the registry by id."""

    async def call(self, id: EntryId, input: Value, context: CallContext) -> CallOutcome:
        """Call the entry with `input`. Every failure of the entry is in the outcome.

        Raises RegistryError or SandboxError when the registry cannot be read or the jail cannot be set up.
        """


@dataclass(frozen=True, slots=True)
class Published:
    """A commit that was written."""

    commit: str
    """40 hex digits."""
    version: int
    """Its running number in first-parent order; a local convenience."""


class Publisher(Protocol):
    """The one place that writes the registry."""

    async def publish(
        self, changeset: Changeset, context: CallContext, *, base: str | None = None, body: str = ""
    ) -> Published:
        """Check `changeset` against the policies and the kinds, and commit it.

        `body` is the paragraph of its message for people; empty: the comment of a single entry.

        `base` is the commit that its author read (default: the newest): an entry of the changeset that
        changed since is a conflict. Raises Refused (policy or kind check), Conflict (another writer changed
        the same entry) or RegistryError. Either the whole commit is there afterwards or nothing is.
        """


class ToolCatalog(Protocol):
    """The registry as an agent sees it: tools, at the newest commit or at a pinned one."""

    @property
    def pinned_at(self) -> str:
        """The older revision that it shows, "v12"; empty: the newest."""

    def at_one_commit(self) -> ToolCatalog:
        """This catalog at the commit that it shows now: the pinned one, or the newest."""

    def get(self, id: EntryId) -> Entry | None:
        """The entry, or None. Raises EntryError when its files are broken."""

    def tools(self, namespace: str) -> tuple[Entry, ...]:
        """The tools of exactly this namespace, by id; broken files are left out."""

    def asks_load(self, entry: Entry) -> Question | CallError | None:
        """What the person must be asked before an agent loads `entry`, or why the policies forbid it; None: neither."""


class Model(Protocol):
    """A language model, or something that plays one."""

    @property
    def name(self) -> str:
        """The registry's name for it, "gpt-5.1"."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        """Answer `request`, chunk by chunk; the last chunk is a FinishChunk.

        Raises ModelError when the model cannot be reached or broke off; what was yielded before stands. ModelChanged
        wants the request made anew, for one that takes over and can hold less.
        """

    async def close(self) -> None:
        """Give back connections; harmless when repeated."""
