"""What a commit of our own line must be: what the policies of its time let its actor do, and what it says of itself.

`verify` asks it of every commit that stands there, and `syncing` of those that a remote would put there.
"""

from __future__ import annotations

from collections.abc import Iterator

from micro_agi_kernel.agent_rules import claims_approval, judge, says_approved
from micro_agi_kernel.entries import AGENT, EntryId, Operation
from micro_agi_kernel.errors import EntryError, Refused, RegistryError
from micro_agi_kernel.lua_entries import LUA_KINDS
from micro_agi_kernel.permissions import denied
from micro_agi_kernel.registry import Snapshot, Step
from micro_agi_kernel.registry.care.history import check_trailers
from micro_agi_kernel.registry.message import claims_service
from micro_agi_kernel.registry.signing import signature_of
from micro_agi_kernel.workspace import Workspace


def refusals(
    workspace: Workspace, rules: Snapshot, step: Step
) -> Iterator[tuple[EntryId | None, EntryError | Refused]]:
    """What the policies and modules of `rules`, the state before the step, forbid an agent of it.

    What they want asked is forbidden unless the step says that it was approved. A profile of today was not asked then.
    Raises RegistryError when an entry cannot be read because an object is lost: then it cannot be judged.
    """
    operations = []
    for action, id in step.operations:
        entry = None
        try:
            entry = step.after.get(id)
        except EntryError as error:
            yield id, error
        operations.append(Operation(action, id, entry))
    permissions = workspace.recorded
    asked = []
    for of, subject, said in judge(permissions, rules, operations, step.files, person_decides=True):
        if isinstance(said, Refused):
            yield of, said
        elif said.effect == "ask":
            asked.append((of, subject, said))
    policies = {str(decision.policy): None for _, _, decision in asked}
    if asked and not says_approved(step.said.trailers.get("Policy", ""), [*policies]):
        yield from ((of, denied(*subject, decision)) for of, subject, decision in asked)
    for operation in operations:
        if operation.entry is not None and operation.entry.kind in LUA_KINDS:
            try:
                for module in operation.entry.modules:
                    permissions.check_module(operation.entry, module, rules)
            except Refused as refusal:
                yield operation.id, refusal


def may_join_our_line(workspace: Workspace, step: Step) -> bool:
    """Whether `verify` and people who read the log would find nothing wrong with a commit that a remote brings.

    It may be a person's, who need not say anything, or an agent's that was allowed. The installer's is not taken:
    upgrades are brought by the package that runs here. Nor is one that says it was approved: nobody was asked here.
    Raises RegistryError when it cannot be judged.
    """
    message = workspace.registry.objects.commit(step.commit).message
    if claims_approval(message):
        return False
    if step.said.actor != AGENT:
        return not claims_service(message) and not any(check_trailers(step))
    if not step.operations or any(check_trailers(step)) or any(refusals(workspace, step.before, step)):
        return False
    try:
        signature_of(workspace.registry, step.commit)
    except RegistryError:
        return False
    return True
