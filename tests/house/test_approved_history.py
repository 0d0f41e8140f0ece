"""What a person approved, afterwards: what the audit says of it, and what of it counts when it comes from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from house_kit import GOOD, House, create, tool
from sharing_kit import Hub, Sharer, fates, files_of
from test_approval import WRITES, Person, publish
from test_sharing_hostile import said
from test_verifying import failed, found

from micro_agi_kernel.agent_rules import approval_trailer, says_approved
from micro_agi_kernel.entries import AGENT


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "hub.git")


@pytest.fixture
def ann(enter: Callable[..., House], hub: Hub) -> Sharer:
    return Sharer(enter(), hub)


async def test_the_audit_accepts_what_was_approved(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(WRITES))
    await publish(house, Person("yes"), tool("one", GOOD))
    assert not failed(await found(house, monkeypatch))


async def test_the_audit_names_clients_that_answered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was asked, as the policy wanted; but a client that names itself may have answered without its person."""
    house.write(*create(WRITES))
    for number, approver in enumerate(("user:ann", "mcp:claude", "mcp:unproven:evil", "mcp:unproven:evil")):
        trailer = approval_trailer(["app:asked"], approver)
        house.write(*create(tool(f"tool{number}", GOOD)), actor=AGENT, policy=trailer)
    findings = [(each.status, each.message) for each in await found(house, monkeypatch) if each.check == "policies"]
    assert findings == [
        ("ok", "commits by the agent that the policies of their time allowed: 4"),
        ("ok", "commits approved at mcp:claude: 1"),
        ("warn", "commits approved at mcp:unproven:evil, by whatever gave itself that name: 2"),
    ]


@pytest.mark.parametrize(
    "trailer",
    [
        "",
        "undefined (app:asked)",
        "asked (app:asked)",
        "asked (app:asked), approved by service:agent",
        "asked (app:asked), approved by mcp:",
        "asked (app:asked), approved by mcp:some body",
        "approved by user:x",
        "asked (app:other), approved by user:ann",
        "asked (guarded:ask_write), approved by user:ann",
        "asked (app:asked and), approved by user:ann",
        "asked (app:asked app:other), approved by user:ann",
        "allow (app:asked), asked (app:asked), approved by user:ann",
    ],
)
async def test_the_audit_finds_what_nobody_approved(
    house: House, monkeypatch: pytest.MonkeyPatch, trailer: str
) -> None:
    house.write(*create(WRITES))
    house.write(*create(tool("one", GOOD)), actor=AGENT, policy=trailer)
    findings = [finding for finding in await found(house, monkeypatch) if finding.status == "fail"]
    assert [finding.check for finding in findings] == ["policies"]
    assert "registry.create on app.generated:one (policy app:asked)" in findings[0].message


async def test_an_approval_does_not_lift_a_deny(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(tool("app:x")), actor=AGENT, policy=approval_trailer(["app:asked"], "user:ann"))
    assert failed(await found(house, monkeypatch)) == [("policies", "app:x")]


async def test_a_profile_judges_no_history(enter: Callable[..., House], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what was written before it was turned on nor what was approved in it is a finding."""
    house = enter(profile="guarded")
    house.write(*create(tool("before", GOOD)), actor=AGENT, policy="undefined (app:deny_core_ns)")
    await publish(house, Person("yes"), tool("one", GOOD))
    assert not failed(await found(house, monkeypatch))


@pytest.mark.parametrize("count", [1, 2])
def test_the_trailer_is_read_again(count: int) -> None:
    policies = [f"app:{'x' * 190}{number}" for number in range(count)]
    trailer = approval_trailer(policies, "user:Ann (of (these), approved by user: names)")
    assert says_approved(trailer, policies) and says_approved(trailer[:199] + "…", policies) and len(trailer) < 200
    assert says_approved(trailer, policies[:1]) and not says_approved(trailer, [*policies, "app:more"])
    assert says_approved(approval_trailer(["guarded:ask_write", *policies], "user:ann"), policies)


async def test_what_comes_from_a_remote_is_no_approval(ann: Sharer, hub: Hub) -> None:
    """It waits for the person here, whatever it says that another one said."""
    ann.house.write(*create(WRITES))
    await ann.push()
    claim = said("create", "app.generated:new", AGENT) + f"Policy: {approval_trailer(['app:asked'], 'user:bob')}"
    hub.write(files_of(tool("new", GOOD)), claim)
    done = await ann.pull()
    assert fates(done) == {"app.generated:new": "waiting"}
    assert "registry.create on app.generated:new (policy app:asked)" in done.of("waiting")[0].why
    assert fates(await ann.pull(accept="all")) == {"app.generated:new": "taken"}
    assert ann.house.registry.version("main").parents[1:] == (hub.head,)  # beside our line, whose trailers are believed


@pytest.mark.parametrize("key", ["Policy: ", "policy:", "Policy: allow (app:x)\nPolicy: ", "Policy:\n "])
@pytest.mark.parametrize("actor", [AGENT, "user:bob"])
async def test_a_forged_approval_stays_off_our_line(ann: Sharer, hub: Hub, key: str, actor: str) -> None:
    """No policy here wants it asked, so that it is taken; but our log does not say that somebody approved it."""
    await ann.push()
    claim = said("create", "app.generated:new", actor) + f"{key}{approval_trailer(['guarded:ask_write'], 'user:ann')}"
    hub.write(files_of(tool("new", GOOD)), claim)
    assert fates(await ann.pull()) == {"app.generated:new": "taken"}
    newest = ann.house.registry.version("main")
    assert newest.commit != hub.head and newest.parents[1:] == (hub.head,) and newest.actor != AGENT


async def test_what_others_wrote_waits_in_the_guarded_profile(
    enter: Callable[..., House], hub: Hub, ann: Sharer
) -> None:
    await ann.push()
    careful = Sharer(enter(profile="guarded"), hub)
    hub.write(files_of(tool("new", GOOD)))
    assert fates(await careful.pull()) == {"app.generated:new": "waiting"}
