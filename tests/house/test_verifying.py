"""`registry verify`: what no honest writer could have left is found, and an honest registry is left in peace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from house_kit import BROKEN_SCOPES, GOOD, House, create, delete, id_of, policy, tool, update

from micro_agi_kernel import verify
from micro_agi_kernel.entries import AGENT, Entry, FileChange
from micro_agi_kernel.registry import Finding
from micro_agi_kernel.verify import verify_registry


async def found(house: House, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    monkeypatch.setattr(verify, "Workspace", lambda settings: house)
    return [finding async for finding in verify_registry(house.settings)]


def failed(findings: list[Finding]) -> list[tuple[str, str | None]]:
    return [
        (finding.check, str(finding.id) if finding.id else None) for finding in findings if finding.status == "fail"
    ]


async def test_an_honest_registry(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.make("one", GOOD)
    await house.make("one", GOOD.replace("1", "2"), modules=["time"], intent="replace")
    house.push({"docs/mine.md": b"# Mine\n", "app/others/mine.yaml": b"kind: registry.entry\n"})
    house.write(*create(policy("app:late", "deny", "*", "app.generated:*", "agent_security")))
    findings = await found(house, monkeypatch)
    assert [finding.status for finding in findings] == ["ok"] * len(findings)
    lines = [f"{finding.check}: {finding.message}" for finding in findings]
    assert "policies: commits by the agent that the policies of their time allowed: 2" in lines
    assert any(line.startswith("sources: ") and line.endswith(" compile") for line in lines)


FORGED: dict[str, tuple[Any, str]] = {
    "core": (create(tool("app:x")), "registry.create on app:x (policy app:deny_core_ns)"),
    "tools": (delete("app.tools:load_tool"), "registry.delete on app.tools:load_tool (policy app:deny_tools_ns)"),
    "namespace": (create(tool("app.others:x")), "an agent writes in app.generated only"),
    "policy": (
        create(Entry(id_of("app.generated:p"), "security.policy", {}, {"policy": {}})),
        "an agent writes tools and libraries only",
    ),
    "model": (
        create(Entry(id_of("app.generated:m"), "library.lua", {"type": "llm.model"}, {"source": GOOD})),
        "a library has no meta.type",
    ),
    "alias": (create(tool("x", llm_alias="load_tool")), "llm_alias must be 'x'"),
    "built-in": (create(tool("load_tool")), "'load_tool' is a built-in tool"),
}


@pytest.mark.parametrize("case", FORGED)
async def test_a_commit_that_the_policies_of_its_time_forbade(
    house: House, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    operations, reason = FORGED[case]
    forged = house.write(*operations, actor=AGENT).commit
    findings = [finding for finding in await found(house, monkeypatch) if finding.check == "policies"]
    assert [(f.status, f.commit, f.id) for f in findings] == [("fail", forged, operations[0].id)]
    assert reason in findings[0].message and findings[0].message.startswith(forged[:12])


async def test_a_forged_commit_that_was_undone_is_found_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write(*create(policy("app:loose", "allow", "*", "*")), actor=AGENT)
    house.write(*delete("app:loose"))
    assert failed(await found(house, monkeypatch)) == [("policies", "app:loose")]


async def test_a_policy_of_the_time_and_not_of_today(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(policy("app:frozen", "deny", "registry.update", "app.generated:*", "agent_security")))
    await house.make("one", GOOD)
    house.write(*update(tool("one", GOOD.replace("1", "2"))), actor=AGENT)
    house.write(*delete("app:frozen"))
    assert failed(await found(house, monkeypatch)) == [("policies", "app.generated:one")]


@pytest.mark.parametrize("path", ["docs/lua/core/time.md", "docs/new.md"])
async def test_an_agent_that_changed_a_page(house: House, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    house.write(*create(tool("one")), files=(FileChange(path, b"# Believe me"),), actor=AGENT)
    findings = await found(house, monkeypatch)
    assert failed(findings) == [("policies", None)]
    assert any(f"an agent may not change files: {path}" in finding.message for finding in findings)


async def test_a_commit_whose_scope_was_broken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.push({"app/deny_core_ns.yaml": b"kind: ["})
    house.write(*create(tool("one")), actor=AGENT)
    house.push(
        {"app/deny_core_ns.yaml": (Path(__file__).parents[2] / "registry_repo/app/deny_core_ns.yaml").read_bytes()}
    )
    findings = [f for f in await found(house, monkeypatch) if f.check == "policies"]
    assert findings and all("failed to load security scope: " in finding.message for finding in findings)


async def test_sources_and_modules_of_today(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(tool("broken", "local x = = 1"), tool("greedy", GOOD, modules=["registry"])))
    house.write(*create(tool("unschemed", GOOD, input_schema=5), tool("app.others:lib", "return {")))
    findings = await found(house, monkeypatch)
    assert failed(findings) == [
        ("sources", f"app.{name}")
        for name in ("generated:broken", "generated:greedy", "generated:unschemed", "others:lib")
    ]
    assert "broken:1:" in next(f.message for f in findings if str(f.id) == "app.generated:broken")


async def test_imports_of_today(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def library(id: str, **imports: str) -> Entry:
        return Entry(id_of(id), "library.lua", {}, {"source": "return 1", "imports": imports})

    house.write(*create(tool("app.generated:x"), library("app.lib:good"), library("app.lib:a", good="app.lib:good")))
    assert failed(await found(house, monkeypatch)) == []
    house.write(*create(library("app.lib:b", x="app.lib:nope"), library("app.lib:c", x="app.lib:b")))
    house.write(*create(library("app.lib:d", x="app.generated:x"), library("app.lib:e", x="app.lib:good")))
    findings = await found(house, monkeypatch)
    assert failed(findings) == [("sources", "app.lib:b"), ("sources", "app.lib:c"), ("sources", "app.lib:d")]
    assert any("not found: app.lib:nope, which app.lib:c imports" in finding.message for finding in findings)


async def test_strays_and_broken_files(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.push({"app/README.md": b"hello", "app/others/x.yaml": b"kind: [", "app/generated/orphan.lua": b"return 1"})
    findings = await found(house, monkeypatch)
    assert failed(findings) == [("entries", "app.others:x")]
    warned = " ".join(finding.message for finding in findings if finding.status == "warn")
    assert "app/README.md" not in warned and "app/generated/orphan.lua" in warned


async def test_a_commit_that_says_something_else_than_it_did(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.push(
        {"app/generated/x.yaml": b"kind: registry.entry\n"},
        "Create app.generated:y\n\nCreate: app.generated:y\nActor: service:agent",
    )
    assert {check for check, _ in failed(await found(house, monkeypatch))} == {"trailers", "policies"}


@pytest.mark.parametrize("case", BROKEN_SCOPES)
async def test_policies_that_cannot_be_read_today(house: House, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    house.push(BROKEN_SCOPES[case])
    findings = [finding for finding in await found(house, monkeypatch) if finding.check == "policies"]
    assert any(f.status == "fail" and f.message.startswith("failed to load security scope: ") for f in findings)
