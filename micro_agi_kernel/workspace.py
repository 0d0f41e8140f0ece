"""Everything below a conversation, put together once: registry, policies, jail, host services, publisher.

A session stands on it; so do the commands that need no model.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable

from micro_agi_kernel import lua_modules
from micro_agi_kernel.entries import AGENT, GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import CallError, ErrorKind, Refused
from micro_agi_kernel.events import Event
from micro_agi_kernel.functions import FUNCTION_KIND, Functions
from micro_agi_kernel.host.docs import DocsService
from micro_agi_kernel.host.funcs import FuncsService
from micro_agi_kernel.host.http_client import HttpService
from micro_agi_kernel.host.registry import RegistryService
from micro_agi_kernel.host.security import SecurityService
from micro_agi_kernel.host.service import Grant, Host, Service
from micro_agi_kernel.interfaces import CallContext, CallOutcome, Program, Provenance
from micro_agi_kernel.permissions import HOST_MODULES, ONLY_ON_ALLOW, Permissions
from micro_agi_kernel.publishing import Publishing, install_seed
from micro_agi_kernel.registry import Person, Registry
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.settings import Settings, person
from micro_agi_kernel.values import Value


class Workspace:
    """One registry, and all that works on it. Use it on one event loop, and close it there."""

    def __init__(self, settings: Settings) -> None:
        """Open the registry, made from the seed on first use. Raises RegistryError with one line."""
        self.person = Person(*person())
        self.registry = open_registry(settings)
        self.permissions = Permissions(self.registry)
        self.sandbox = open_sandbox(settings)
        modules = module_names()
        self.publishing = Publishing(self.registry, self.permissions, self.sandbox, modules, self.person)
        self.docs = DocsService(self.registry, settings.docs.remote)
        self._http = HttpService(self.permissions.tool_may)
        services: list[Service] = [
            self.docs,
            self._http,
            RegistryService(self.registry, self.permissions, self.publishing),
            SecurityService(self.registry, self.permissions),
            FuncsService(self),
        ]
        self._functions = Functions(
            self.registry, self.permissions, self.sandbox, Host(services), modules, settings.sandbox.limits()
        )

    async def call(self, id: EntryId, input: Value, context: CallContext) -> CallOutcome:
        """Call an entry; see interfaces.Caller."""
        return await self._functions.call(id, input, context)

    async def close(self) -> None:
        await self._http.close()
        await self.sandbox.close()
        self.registry.close()


class RegistryTools:
    """The ToolCatalog of an agent: the registry at its newest commit."""

    def __init__(self, workspace: Workspace) -> None:
        self._registry = workspace.registry
        self._permissions = workspace.permissions

    def get(self, id: EntryId) -> Entry | None:
        return self._registry.snapshot().get(id)

    def tools(self, namespace: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in self._registry.snapshot().entries(namespace) if entry.is_tool)

    def refuses_load(self, entry: Entry) -> CallError | None:
        try:
            self._permissions.tool_may(entry, "tool.load", str(entry.id))
        except Refused as refusal:
            return refusal.as_value()
        return None


def open_registry(settings: Settings) -> Registry:
    """The registry of the settings; made, with the seed as its first commit, where there is nothing yet.

    Raises RegistryError with one line when the path holds something else, or cannot be read or written.
    """
    registry = Registry.create(settings.registry_path)
    if registry.is_empty:
        install_seed(registry, Person(*person()))
    return registry


def open_sandbox(settings: Settings) -> JailedSandbox:
    """The jail of the settings; its processes start with the first call."""
    return JailedSandbox(lua_modules.__name__, require=settings.sandbox.require)


async def evaluate_program(program: Program, settings: Settings, on_output: Callable[[str], None]) -> CallOutcome:
    """Run `program` in the jail without a registry, hence without its policies and the modules of the host.

    What only a policy may open (private addresses and the like) stays closed.
    """
    unknown = sorted(program.modules - (module_names() - HOST_MODULES))
    if unknown:
        there_are = ", ".join(sorted(module_names() - HOST_MODULES))
        return CallOutcome(
            error=CallError(ErrorKind.NOT_FOUND, f"no module {unknown[0]!r} here; there are: {there_are}")
        )
    sandbox, http = open_sandbox(settings), HttpService(_without_policies)
    entry = Entry(EntryId(GENERATED_NAMESPACE, "eval"), FUNCTION_KIND)
    grant = Grant(entry, program.modules, call_context(lambda event: None, on_output, Provenance()))
    try:
        return await sandbox.run(program, Host([http]).for_call(grant), on_output)
    finally:
        await http.close()
        await sandbox.close()


def _without_policies(tool: Entry, action: str, resource: str) -> None:
    if action in ONLY_ON_ALLOW:
        raise Refused(
            ErrorKind.PERMISSION_DENIED, f"policy denied: {action} on {resource} (there are no policies here)"
        )


def module_names() -> frozenset[str]:
    """The Lua modules that exist: the files of the folder, none of which is imported here."""
    found = pkgutil.iter_modules(lua_modules.__path__)
    return frozenset(module.name for module in found if not module.name.startswith("_"))


def call_context(emit: Callable[[Event], None], on_output: Callable[[str], None], origin: Provenance) -> CallContext:
    """The context of a call: what Lua writes is the agent's, whoever started it."""
    return CallContext(AGENT, emit, on_output, origin)
