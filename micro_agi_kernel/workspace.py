"""Everything below a conversation, put together once: registry, policies, jail, host services, publisher.

A session stands on it; so do the commands that need no model.
"""

from __future__ import annotations

import asyncio
import os
import pkgutil
import sys
from collections.abc import Callable

from micro_agi_kernel import __version__, lua_modules
from micro_agi_kernel.call_record import CallRecord
from micro_agi_kernel.checks import Checks
from micro_agi_kernel.entries import AGENT, Entry, EntryId
from micro_agi_kernel.environment import person, secret
from micro_agi_kernel.errors import CallError, EntryError, MicroAgiError, Refused, RegistryError
from micro_agi_kernel.events import Event, Notice
from micro_agi_kernel.functions import Functions
from micro_agi_kernel.host.ctx import CtxService
from micro_agi_kernel.host.docs import DocsService
from micro_agi_kernel.host.funcs import FuncsService
from micro_agi_kernel.host.http_client import HttpService
from micro_agi_kernel.host.registry import RegistryService
from micro_agi_kernel.host.security import SecurityService
from micro_agi_kernel.host.service import Host, Service
from micro_agi_kernel.interfaces import CallContext, CallOutcome, unheard
from micro_agi_kernel.mcp_client.servers import McpServers
from micro_agi_kernel.permissions import Permissions, Ruling
from micro_agi_kernel.pinning import Pin
from micro_agi_kernel.profiles import policies_of
from micro_agi_kernel.programs import Programs
from micro_agi_kernel.publishing import Publishing
from micro_agi_kernel.question_content import asks_request, asks_tool
from micro_agi_kernel.questions import Question
from micro_agi_kernel.registry import Person, Registry, Snapshot
from micro_agi_kernel.registry.sharing.hook import refresh_hook
from micro_agi_kernel.registry.signing import Signer
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.seeding import install_seed
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.testing import ToolTesting
from micro_agi_kernel.trust import choose_registry
from micro_agi_kernel.values import Value


class Workspace:
    """One registry, and all that works on it. Use it on one event loop, and close it there."""

    def __init__(self, settings: Settings, registry: Registry | None = None) -> None:
        """Work on `registry`, or on that of the settings, as `open_registry` opens it. Raises RegistryError."""
        self.person = Person(*person())
        self.notices: list[str] = []
        """Lines for the person about what happened to the registry by itself; whoever shows one takes it out."""
        self.registry = registry or open_registry(settings, self.notices.append)
        self.pin = Pin(self.registry)
        self.recorded = Permissions(self.registry)
        """What the registry itself says: its history is judged by that."""
        self.permissions = Permissions(self.registry, policies_of(settings.profile))
        self.sandbox = open_sandbox(settings)
        modules = module_names()
        limits, most = settings.sandbox.limits(), settings.sandbox.most()
        self._programs = programs = Programs(self.permissions, modules, limits, most)
        testing = ToolTesting(self.permissions, programs, self.sandbox)
        self.checks = Checks(self.permissions, self.sandbox, modules, testing)
        required = settings.tools.tests_required
        self.publishing = Publishing(self.registry, self.permissions, self.checks, self.person, tests_required=required)
        record = CallRecord(self.registry)
        self.uses = record.uses
        self.docs = DocsService(self.pin, settings.docs.remote)
        services: list[Service] = [
            CtxService(),
            self.docs,
            HttpService(self._asks_request),
            RegistryService(self.registry, self.pin, self.permissions, self.publishing, self.uses),
            SecurityService(self.registry, self.permissions),
            FuncsService(self),
        ]
        self._functions = Functions(
            self.registry,
            self.pin,
            programs,
            self.sandbox,
            Host(services),
            record,
            most,
        )

        self.servers = McpServers(settings.mcp_servers, self._rulings, lambda: programs.limits)

    def configure(self, settings: Settings) -> None:
        """Use other settings from the next call on, but for those that are read once (settings.AT_START)."""
        limits, most = settings.sandbox.limits(), settings.sandbox.most()
        self._programs.limits, self._programs.most, self._functions.most = limits, most, most
        self.publishing.tests_required = settings.tools.tests_required
        self.docs.remote = settings.docs.remote

    def _rulings(self, entry: Entry, context: CallContext) -> list[Ruling]:
        """What the policies want asked of a call of `entry`. Blocks. Raises Refused when they forbid it."""
        return self._programs.rulings(entry, self.registry.snapshot(), context)

    def _asks_request(self, tool: Entry, action: str, resource: str, method: str) -> Question | None:
        """What the person must be asked before a request. Raises Refused when the policies forbid it."""
        decision = self.permissions.decide_for_tool(tool, action, resource)
        return asks_request(tool, method, resource, decision) if decision.effect == "ask" else None

    def take_notices(self) -> list[str]:
        """The notices that nobody has shown yet."""
        taken, self.notices = self.notices, []
        return taken

    def hear(self, event: Event) -> None:
        """What happens where no front end is told: of that, only notices are kept."""
        if isinstance(event, Notice):
            self.notices.append(event.text)

    async def call(self, id: EntryId, input: Value, context: CallContext) -> CallOutcome:
        """Call an entry, or a tool of an MCP server; see interfaces.Caller. Lua reaches no server."""
        if not context.callers and (tool := self.servers.entry(id)) is not None:
            return await self.servers.call(tool, input, context)
        return await self._functions.call(id, input, context)

    async def close(self) -> None:
        await self.servers.close()
        await self.sandbox.close()
        await asyncio.to_thread(self.uses.close)
        self.registry.close()


class RegistryTools:
    """The ToolCatalog of an agent: the registry as its notebook sees it, or at `snapshot`, and the servers' tools."""

    def __init__(self, workspace: Workspace, snapshot: Snapshot | None = None) -> None:
        self._workspace = workspace
        self._snapshot = snapshot

    @property
    def pinned_at(self) -> str:
        return f"v{self._at().number}" if self._workspace.pin.commit else ""

    def at_one_commit(self) -> RegistryTools:
        return RegistryTools(self._workspace, self._workspace.pin.current())

    def get(self, id: EntryId) -> Entry | None:
        return self._workspace.servers.entry(id) or self._at().get(id)

    def tools(self, namespace: str) -> tuple[Entry, ...]:
        of_server = self._workspace.servers.entries(namespace)
        if of_server is not None:
            return of_server
        return tuple(entry for entry in self._at().entries(namespace) if entry.is_tool)

    def _at(self) -> Snapshot:
        return self._snapshot or self._workspace.pin.current()

    def asks_load(self, entry: Entry, actor: str = AGENT) -> Question | CallError | None:
        subject = ("tool.load", str(entry.id))
        try:
            if self._workspace.servers.entry(entry.id) is None:
                entry = self._workspace.pin.as_granted(entry)
            decision = self._workspace.permissions.decide_for_tool(entry, *subject)
        except (Refused, EntryError) as refusal:
            return refusal.as_error()
        if decision.effect != "ask":
            return None
        return asks_tool([(subject, decision)], entry, actor, entry.description)


def open_registry(settings: Settings, notify: Callable[[str], None] = unheard) -> Registry:
    """The registry of the settings, or the project's own if it is trusted; made from the seed where there is none.

    A newer seed is brought, and the hook that checks pushes is there afterwards. `notify` is told what the person
    should know of that. Raises RegistryError with one line when the path holds something else, or cannot be read
    or written.
    """
    path, notice = choose_registry(settings)
    if notice:
        notify(notice)
    try:
        registry = Registry.create(path)
    except RegistryError as error:
        if settings.registry or os.path.lexists(path):
            raise
        why = f"the data folder {settings.home} is a file" if os.path.isfile(settings.home) else str(error)
        way_out = "set MICRO_AGI_HOME to a folder that can be written, or name a registry by --registry"
        raise RegistryError(f"{why}: {way_out}") from error
    if key := settings.signing_key:
        registry.signer = Signer(key, secret("SSH_AUTH_SOCK"))
    is_new = registry.is_empty
    try:
        if notice := install_seed(registry, Person(*person())):
            notify(notice)
    except MicroAgiError as error:
        if is_new:
            registry.close()
            raise
        notify(f"the registry could not be brought to Micro AGI {__version__}: {error}")
    refresh_hook(path, sys.executable)
    return registry


def made_by_name(settings: Settings) -> str:
    """What to say once the registry is open, if the person named one that is not there yet: maybe misspelt; else ""."""
    if not settings.registry or os.path.lexists(settings.registry_path):
        return ""
    return f"there was no registry at {settings.registry_path}: it was made now, from the seed"


def open_sandbox(settings: Settings) -> JailedSandbox:
    """The jail of the settings; its processes start with the first call."""
    return JailedSandbox(lua_modules.__name__, require=settings.sandbox.require)


def module_names() -> frozenset[str]:
    """The Lua modules that exist: the files of the folder, none of which is imported here."""
    found = pkgutil.iter_modules(lua_modules.__path__)
    return frozenset(module.name for module in found if not module.name.startswith("_"))
