"""`registry verify` over time: each commit by the agent is judged by the policies of its parent, not of today."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from house_kit import GOOD, House, create, delete, git, id_of, policy, tool, update

from micro_agi_kernel import verify
from micro_agi_kernel.entries import AGENT, Changeset
from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.registry import CommitMessage, Finding
from micro_agi_kernel.registry.signing import Signer
from micro_agi_kernel.settings import Settings, SigningSettings
from micro_agi_kernel.trust import Trust, TrustedKey, change_trust
from micro_agi_kernel.verify import verify_registry
from micro_agi_kernel.workspace import open_registry

FROZEN = policy("app:frozen", "deny", "registry.update", "app.generated:*", "agent_security")
Found = Callable[..., Awaitable[list[Finding]]]

TWO = GOOD.replace("1", "2")


@pytest.fixture
def found(house: House, monkeypatch: pytest.MonkeyPatch) -> Found:
    """Verifies the house; what is not in order."""

    async def nothing(*_: object) -> AsyncIterator[Finding]:
        for finding in ():
            yield finding

    compiled = verify._compile

    async def work(status: str = "", *, sources: bool = False) -> list[Finding]:
        monkeypatch.setattr(verify, "_compile", compiled if sources else nothing)  # which takes most of the time
        monkeypatch.setattr(verify, "Workspace", lambda settings: house)
        findings = [finding async for finding in verify_registry(house.settings)]
        return [f for f in findings if (f.status == status if status else f.status != "ok")]

    return work


async def test_what_a_later_policy_forbids_was_allowed(house: House, found: Found) -> None:
    await house.make("one", GOOD)
    await house.make("one", TWO, intent="replace")
    house.write(*create(FROZEN))
    assert "policy denied" in str(await house.make("one", GOOD, intent="replace"))
    assert await found() == []


async def test_what_an_earlier_policy_forbade_stays_forbidden(house: House, found: Found) -> None:
    house.write(*create(FROZEN, tool("one")))
    forged = house.write(*update(tool("one", TWO)), actor=AGENT).commit
    house.write(*delete("app:frozen"))
    assert (await house.make("one", GOOD, intent="replace"))["updated"] is True
    [fault] = await found()
    assert (fault.status, fault.check, fault.commit, fault.id) == (
        "fail",
        "policies",
        forged,
        id_of("app.generated:one"),
    )
    assert "registry.update on app.generated:one (policy app:frozen)" in fault.message


async def test_a_policy_that_changes_divides_the_history(house: House, found: Found) -> None:
    """Allowed, forbidden, allowed, forbidden: each commit by what stood before it, the policy's own change included."""
    house.write(*create(tool("one")))
    lines = []
    for round in range(2):
        house.write(*update(tool("one", f"return {round}")), actor=AGENT)
        house.write(*create(FROZEN))
        lines.append(house.write(*update(tool("one", f"return {round} + 1")), actor=AGENT).commit)
        house.write(*delete("app:frozen"))
    assert [fault.commit for fault in await found("fail") if fault.check == "policies"] == lines


async def test_modules_are_judged_by_their_time_too(house: House, found: Found) -> None:
    early = house.write(*create(tool("early", modules=["crypto", "time"])), actor=AGENT).commit
    no_time = policy("app:no_time", "deny", "lua.module", "time", "tool_security")
    house.write(*create(no_time))
    late = house.write(*create(tool("late", modules=["time"])), actor=AGENT).commit
    faults = await found(sources=True)
    assert {(f.status, f.check, f.commit) for f in faults if f.commit} == {("fail", "policies", late)}
    assert "lua.module on time (policy app:no_time)" in next(f.message for f in faults if f.commit == late)
    warned = [str(f.id) for f in faults if f.status == "warn"]
    assert early and "app.generated:early" in warned and "cannot be called under the policies of today" in str(faults)


async def test_a_person_is_not_judged_and_neither_is_what_they_merged(house: House, found: Found) -> None:
    house.write(*create(policy("app:closed", "deny", "*", "*", "agent_security")))
    house.write(*create(tool("by_hand")))
    house.push({"app/mine.yaml": b"kind: registry.entry\n"})
    side = git(
        house.registry.path, "commit-tree", "main^{tree}", "-p", "main~2", "-m", "Theirs\n\nActor: service:agent"
    )
    git(house.registry.path, "update-ref", "refs/heads/side", side)
    house.registry.commit(
        Changeset(tuple(create(tool("brought")))),
        CommitMessage(f"user:{house.person.name}", subject="Merge 1 entries from hub"),
        author=house.person,
        committer=house.person,
        base=house.registry.snapshot(),
        merging=side,
    )
    assert await found() == []


async def test_policies_are_not_loaded_for_every_commit(
    house: House, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        house.write(*(create if n == 0 else update)(tool("one", f"return {n}")), actor=AGENT)
    asked: set[str] = set()
    real = Permissions.scope
    monkeypatch.setattr(Permissions, "scope", lambda self, name, at: asked.add(at.commit) or real(self, name, at))
    assert await found() == []
    assert len(asked) == 2  # the seed, which stood before all of them, and today


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not on PATH")
    folder = tmp_path_factory.mktemp("keys")
    for name in ("mine", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return folder


async def test_without_ssh_keygen_signatures_are_not_called_wrong(
    house: House, found: Found, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.registry.signer = Signer(keys / "mine")
    for name in ("a", "b"):
        await house.make(name, GOOD)
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "ssh-keygen" else which(name))
    [line] = [f for f in await found() if f.check == "signatures"]
    assert line.status == "warn" and line.message.endswith("ssh-keygen is not on PATH: install OpenSSH")


async def test_signatures(house: House, found: Found, keys: Path) -> None:
    await house.make("unsigned", GOOD)
    house.registry.signer = Signer(keys / "mine")
    await house.make("one", GOOD, intent="new")
    [line] = [f.message for f in await found("ok") if f.check == "signatures"]
    assert line == "1 of 2 commits by the agent are signed"
    house.registry.signer = Signer(keys / "other")
    await house.make("two", GOOD, intent="new")
    house.registry.signer = Signer(keys / "mine")
    [fault] = await found()
    assert (fault.status, fault.check, fault.commit) == ("warn", "signatures", house.head)
    line = (keys / "other.pub").read_text().strip()
    change_trust(house.settings.home, lambda trust: Trust((TrustedKey("SHA256:x", line),)))
    assert await found() == []
    raw = git(house.registry.path, "cat-file", "commit", house.head).replace("Create", "Forged", 1) + "\n"
    forged = git(house.registry.path, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw.encode())
    git(house.registry.path, "update-ref", "refs/heads/main", forged)
    assert ("fail", "signatures", forged) in [(f.status, f.check, f.commit) for f in await found()]


async def test_a_key_that_cannot_sign_refuses_what_the_agent_writes(house: House, keys: Path) -> None:
    settings = Settings(registry=str(house.registry.path), signing=SigningSettings(str(keys / "gone")))
    with open_registry(settings) as registry:
        house.registry.signer = registry.signer
    answer = await house.make("one", GOOD)
    assert "nothing was written, since it cannot be signed" in answer["error"] and "signing.key" in answer["error"]
    house.write(*create(tool("by_hand")))
    with pytest.raises(SettingsError):
        house.write(*create(tool("one")), actor=AGENT)
