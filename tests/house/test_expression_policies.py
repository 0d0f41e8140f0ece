"""Policies of kind security.policy.expr in the whole house: a person writes them, publisher and tools obey them."""

from __future__ import annotations

import re

import pytest
from house_kit import GOOD, House, create, delete, git, id_of, loopback, tool
from test_calling_tools import FETCH
from test_verifying import failed, found

from micro_agi_kernel.entries import AGENT, Changeset, Entry
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.values import Json


def expression(id: str, effect: str, source: str, actions: Json = "*", group: str = "tool_security") -> Entry:
    body: Json = {"actions": actions, "resources": "*", "effect": effect, "expression": source}
    return Entry(id_of(id), "security.policy.expr", {}, {"policy": body, "groups": [group]})


async def publish(house: House, *entries: Entry) -> None:
    """As a person does who writes an entry."""
    await house.publishing.publish(Changeset(create(*entries)), house.context("user:ann"))


NO_TESTS = 'action in ["registry.create", "registry.update"] and resource matches "^app[.]generated:test_"'


@pytest.mark.parametrize("effect", ["deny", "ask"])
async def test_an_expression_judges_what_the_agent_writes(house: House, effect: str) -> None:
    await publish(house, expression("app:no_tests", effect, NO_TESTS, group="agent_security"))
    said = await house.make("test_one", GOOD)
    reason = "policy denied" if effect == "deny" else r"a person must approve this \(policy app:no_tests\)"
    assert re.match(reason, said["error"])
    with pytest.raises(Refused, match=rf"^{reason}.*registry\.create on app\.generated:test_one") as refused:
        await house.publishing.publish(Changeset(create(tool("test_one"))), house.context())
    assert refused.value.kind is ErrorKind.PERMISSION_DENIED
    assert "created" in await house.make("one", GOOD)
    body = git(house.registry.path, "log", "-1", "--format=%B", house.head)
    assert "Policy: undefined (app:deny_core_ns, app:deny_tools_ns, app:no_tests)" in body


async def test_an_expression_allows_and_the_commit_names_it(house: House) -> None:
    await publish(house, expression("app:fine", "allow", 'actor.meta.role == "agent"', group="agent_security"))
    await house.make("one", GOOD)
    assert "Policy: allow (app:fine)" in git(house.registry.path, "log", "-1", "--format=%B", house.head)
    with pytest.raises(Refused, match="policy app:deny_core_ns"):
        await house.publishing.publish(Changeset(create(tool("app:x"))), house.context())


async def test_an_expression_opens_an_address_to_one_tool_only(house: House) -> None:
    rule = 'actor.id == "tool:app.generated:trusted" and resource == "127.0.0.1"'
    await publish(house, expression("app:open", "allow", rule, "http_client.private_ip"))
    house.write(*create(*(tool(name, FETCH, modules=["http_client"]) for name in ("trusted", "other"))))
    with loopback() as site:
        trusted = await house.run("app.generated:trusted", {"url": site.url})
        assert trusted.value == {"status": 200, "body": "ok"}
        other = await house.run("app.generated:other", {"url": site.url})
        assert other.error is not None and other.error.kind is ErrorKind.PERMISSION_DENIED
        assert site.visits == ["/"]


async def test_an_expression_sees_the_modules_of_a_tool(house: House) -> None:
    rule = 'actor.meta.namespace == "app.generated" and "http_client" in actor.meta.modules'
    await publish(house, expression("app:no_net", "deny", rule, "tool.call"))
    house.write(*create(tool("a", GOOD, modules=["http_client"]), tool("b", GOOD)))
    outcome = await house.run("app.generated:a", {})
    assert outcome.error is not None and outcome.error.message.endswith("(policy app:no_net)")
    assert (await house.run("app.generated:b", {})).value == 1


async def test_an_expression_that_fails_refuses_what_it_covers(house: House) -> None:
    await publish(house, expression("app:bad", "deny", "actor.meta.nothing.more == 1", "tool.call"))
    house.write(*create(tool("a", GOOD)))
    outcome = await house.run("app.generated:a", {})
    assert outcome.error is not None and outcome.error.kind is ErrorKind.PERMISSION_DENIED
    assert outcome.error.message.startswith("failed to load security scope: app:bad: ")
    house.write(*delete("app:bad"), *create(expression("app:bomb", "allow", "all(1..10000000, true)")))
    assert (await house.run("app.generated:a", {})).value == 1, (
        "what cannot be evaluated allows nothing, forbids nothing"
    )


@pytest.mark.parametrize("source", ["true and", "1 + 1", "", "(" * 5_000])
async def test_a_broken_expression_is_not_written(house: House, source: str) -> None:
    head = house.head
    broken = expression("app:broken", "deny", source, group="agent_security")
    with pytest.raises(Refused, match=r"^app:broken: (the )?expression") as refused:
        await publish(house, broken)
    assert refused.value.kind is ErrorKind.INVALID and house.head == head


async def test_a_broken_expression_that_was_pushed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.push_entry(expression("app:broken", "allow", "true and", group="agent_security"))
    said = await house.make("one", GOOD)
    assert said["error"].startswith("failed to load security scope: app:broken: expression 'true and': ")
    findings = await found(house, monkeypatch)
    assert failed(findings) == [("policies", None), ("sources", "app:broken")]
    assert any("app:broken: expression" in finding.message for finding in findings)


async def test_verifying_asks_the_expressions_of_the_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await publish(house, expression("app:no_tests", "deny", NO_TESTS, group="agent_security"))
    await house.make("fine", GOOD)
    forged = house.write(*create(tool("test_one")), actor=AGENT).commit
    house.write(*delete("app:no_tests"))
    findings = [finding for finding in await found(house, monkeypatch) if finding.status == "fail"]
    assert [(finding.check, finding.commit, str(finding.id)) for finding in findings] == [
        ("policies", forged, "app.generated:test_one")
    ]
    assert "(policy app:no_tests)" in findings[0].message


async def test_lua_asks_a_scope_with_expressions(house: House) -> None:
    """What a built-in tool reads of a scope is what the host decides by."""
    await publish(house, expression("app:owners", "allow", "meta.owner == actor.id", group="docs"))
    source = """
        local security = require("security")
        return { handler = function()
          local scope, actor = security.named_scope("app:docs"), security.new_actor("user:1", {role = "x"})
          return {
            scope:evaluate(actor, "read", "d", {owner = "user:1"}), (scope:evaluate(actor, "read", "d", {owner = "y"})),
            (scope:evaluate(actor, "read", "d")),
          }
        end }
    """
    house.write(*create(tool("app.tools:asks", source, modules=["security"])))
    assert (await house.run("app.tools:asks")).value == ["allow", "undefined", "undefined"]


async def test_an_expression_may_have_several_lines(house: House) -> None:
    house.push(
        {
            "app/lines.yaml": b"kind: security.policy.expr\ndata:\n  policy:\n    actions: '*'\n    resources: '*'\n"
            b"    effect: deny\n    expression: |\n      // two of them\n      resource == 'app.generated:x' ||\n"
            b"      resource == 'app.generated:y'\n  groups: [agent_security]\n"
        }
    )
    for name in ("x", "y"):
        assert (await house.make(name, GOOD))["error"].endswith("(policy app:lines)")
    assert "created" in await house.make("z", GOOD)
