"""What an agent may write: the word of the policies, and the host's own rule that stands whatever they say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from micro_agi_kernel.entries import GENERATED_NAMESPACE, TOOLS_NAMESPACE, EntryId, Operation
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LIBRARY_KIND
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.policy import Decision
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.values import shorten


def judge(
    permissions: Permissions, snapshot: Snapshot, operations: Iterable[Operation], files: Iterable[str]
) -> Iterator[tuple[EntryId | None, Decision | Refused]]:
    """What is said to each part of an agent's commit on top of `snapshot`: who let it pass, or why it may not.

    The id is None for what concerns no single entry. `files` are the paths of the files to change that are no
    entry's: neither a page nor `registry.yaml` is for an agent to change.
    """
    built_in = {entry.text("llm_alias") or entry.id.name for entry in snapshot.entries(TOOLS_NAMESPACE)}
    try:
        yield None, permissions.agent_may("registry.apply", "registry", snapshot)
    except Refused as refusal:
        yield None, refusal
    for operation in operations:
        try:
            decision = permissions.agent_may(f"registry.{operation.action}", str(operation.id), snapshot)
            _check_operation(operation, built_in)
        except Refused as refusal:
            yield operation.id, refusal
        else:
            yield operation.id, decision
    for path in files:
        yield None, Refused(ErrorKind.PERMISSION_DENIED, f"an agent may not change files: {shorten(path)}")


def _check_operation(operation: Operation, built_in: Collection[str]) -> None:
    """The host's own rule: an agent writes tools and libraries in app.generated, whatever policies say.

    So it cannot write a policy, a model or an agent, and so join a scope or win a class. `built_in` are the
    names of the built-in tools, which no other tool may take. Raises Refused.
    """
    id, entry = operation.id, operation.entry
    if id.namespace != GENERATED_NAMESPACE:
        raise Refused(ErrorKind.PERMISSION_DENIED, f"an agent writes in {GENERATED_NAMESPACE} only, not {id}")
    if entry is None:
        return
    if entry.kind != LIBRARY_KIND and not (entry.kind == FUNCTION_KIND and entry.type == "tool"):
        raise Refused(
            ErrorKind.PERMISSION_DENIED, f"an agent writes tools and libraries only, not {shorten(entry.kind)!r} {id}"
        )
    if entry.kind == LIBRARY_KIND and "type" in entry.meta:
        # Models and agents are found by their type, whatever kind of entry says it.
        raise Refused(ErrorKind.PERMISSION_DENIED, f"a library has no meta.type: {id}")
    try:
        EntryId.generated(id.name)
    except EntryError as error:
        raise Refused(error.kind, str(error)) from error
    if entry.is_tool and entry.text("llm_alias") not in ("", id.name):
        raise Refused(ErrorKind.INVALID, f"llm_alias must be {id.name!r}, the tool's name")
    if entry.is_tool and id.name in built_in:
        raise Refused(ErrorKind.ALREADY_EXISTS, f"{id.name!r} is a built-in tool; choose another name")
