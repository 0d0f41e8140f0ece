"""What an agent may write: the word of the policies, and the host's own rule that stands whatever they say."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from micro_agi_kernel.entries import GENERATED_NAMESPACE, TOOLS_NAMESPACE, EntryId, Operation
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LIBRARY_KIND
from micro_agi_kernel.permissions import AGENT_SCOPE, Permissions, denied
from micro_agi_kernel.policy import Decision
from micro_agi_kernel.profiles import policies_of
from micro_agi_kernel.questions import Subject
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.values import shorten

_APPROVED = re.compile(r"asked \((\S+?)(?: and (\d{1,4}) more)?\), approved by (user:\S.*|mcp:[a-z0-9._:-]+)")
_POLICY_LINE = re.compile(rb"^[ \t]*policy[ \t]*:", re.IGNORECASE | re.MULTILINE)
_MAX_NAMED = 100
"""Characters of a policy's name in a trailer."""


def judge(
    permissions: Permissions,
    snapshot: Snapshot,
    operations: Iterable[Operation],
    files: Iterable[str],
    *,
    person_decides: bool,
) -> Iterator[tuple[EntryId | None, Subject, Decision | Refused]]:
    """What is said to each part of an agent's commit on top of `snapshot`: who let it pass, or why it may not.

    Unless `person_decides`, or has decided, what a policy wants asked may not. The id is None for what concerns no
    single entry. `files` are the paths of the files to change that are no entry's: neither a page nor `registry.yaml`
    is for an agent to change.
    """
    built_in = {entry.text("llm_alias") or entry.id.name for entry in snapshot.entries(TOOLS_NAMESPACE)}
    for operation in (None, *operations):
        id = operation.id if operation is not None else None
        subject = (f"registry.{operation.action}", str(id)) if operation is not None else ("registry.apply", "registry")
        try:
            decision = permissions.decide_for_agent(*subject, snapshot)
            if decision.effect == "ask" and not person_decides:
                raise denied(*subject, decision)
            if operation is not None:
                _check_operation(operation, built_in)
        except Refused as refusal:
            yield id, subject, refusal
        else:
            yield id, subject, decision
    for path in files:
        reason = f"an agent may not change files: {shorten(path)}"
        yield None, ("registry.apply", "registry"), Refused(ErrorKind.PERMISSION_DENIED, reason)


def approval_trailer(policies: Sequence[str], approver: str) -> str:
    """The value of the `Policy:` trailer of what `policies` wanted asked, and `approver` approved: "user:<name>", or
    "mcp:<client>" where the answer came from a client, whose person nobody here knows."""
    more = f" and {len(policies) - 1} more" if len(policies) > 1 else ""
    return f"asked ({shorten(policies[0], _MAX_NAMED)}{more}), approved by {approver}"


def says_approved(trailer: str, policies: Sequence[str]) -> bool:
    """Whether a `Policy:` trailer says that somebody approved what `policies`, those of the registry, wanted asked.

    It names one of them, and how many there were: at least so many, since a profile may have asked as well. Where it
    names a profile's, which no commit holds, only the number can be checked.
    """
    match = _APPROVED.fullmatch(trailer)
    if match is None:
        return False
    named, count = match[1], 1 + int(match[2] or 0)
    if named in {str(policy.id) for policy in policies_of("guarded")[AGENT_SCOPE]}:
        return count > len(policies)
    return named in {shorten(policy, _MAX_NAMED) for policy in policies} and count >= len(policies)


def approver_of(trailer: str) -> str:
    """Who approved it, by a `Policy:` trailer; "" when it says nothing of that."""
    match = _APPROVED.fullmatch(trailer)
    return match[3] if match is not None else ""


def claims_approval(message: bytes) -> bool:
    """Whether a commit may look to whoever reads it, by whichever means, as if a person had approved it."""
    line = _POLICY_LINE.search(message)
    return line is not None and b"approved" in message[line.end() :].lower()


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
