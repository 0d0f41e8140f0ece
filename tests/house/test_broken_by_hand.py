"""What a hostile model and an unlucky person tried, and what must come of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from house_kit import House, create, delete, finished, git, id_of, talking, tool
from model_server import calls, text

from micro_agi_kernel.agent.calls import SIDE_BY_SIDE
from micro_agi_kernel.agent.context import AgentContext, BoundTool
from micro_agi_kernel.agent.spec import AgentSpec, ListedTool
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.environment import load_settings, person
from micro_agi_kernel.errors import EntryError, RegistryError, SettingsError
from micro_agi_kernel.events import ToolFinished, ToolStarted
from micro_agi_kernel.frontends.rendering import safe_markdown
from micro_agi_kernel.interfaces import Nobody
from micro_agi_kernel.models.catalog import read_spec
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.verify import verify_registry
from micro_agi_kernel.workspace import RegistryTools

HUGE = int("9" * 400)
NEW = {"name": "x", "description": "d", "source": "return { handler = function() end }"}


async def test_hundreds_of_calls_in_one_answer_all_get_a_result_a_few_at_a_time(house: House) -> None:
    house.write(*create(tool("twice", "return { handler = function(i) return i.n * 2 end }")))
    wanted = [("twice", {"n": n}) for n in range(300)]
    script = [calls(("load_tool", {"id": "app.generated:twice"})), calls(*wanted), text("done")]
    async with talking(house, script) as talk:
        events = await talk.say("double them all")
        assert sorted(talk.results()[1:]) == [n * 2 for n in range(300)]
    assert [status for _, status in finished(events)] == ["ok"] * 301
    open_calls = most = 0
    for event in events:
        open_calls += isinstance(event, ToolStarted) - isinstance(event, ToolFinished)
        most = max(most, open_calls)
    assert 1 < most <= SIDE_BY_SIDE


async def test_a_schema_that_a_provider_refuses_at_its_top_does_not_end_the_conversation(house: House) -> None:
    schema = {"type": "object", "properties": {"a": {}}, "anyOf": [{"required": ["a"]}]}
    house.push_entry(tool("picky", input_schema=schema))
    async with talking(house, [calls(("load_tool", {"id": "app.generated:picky"})), text("there")]) as talk:
        await talk.say("load it")
        [sent] = [t for t in talk.requests[-1].body["tools"] if t["function"]["name"] == "picky"]
    assert sent["function"]["parameters"] == {"type": "object", "properties": {"a": {}}}


@pytest.mark.parametrize(
    "data",
    [
        {"max_tokens": HUGE},
        {"max_tokens": 9, "output_tokens": HUGE},
        {"max_tokens": 9, "pricing": {"input": HUGE}},
        {"max_tokens": 9, "thinking_effort": -HUGE},
    ],
)
def test_a_model_entry_with_a_number_beyond_reason_is_one_line(data: dict[str, Any]) -> None:
    providers = [{"id": "micro_agi:demo"}]
    entry = Entry(EntryId("app", "odd"), "registry.entry", {"type": "llm.model"}, {"providers": providers, **data})
    with pytest.raises(EntryError, match=r"^app:odd: data\..* must be "):
        read_spec(entry)


@pytest.mark.parametrize(
    "data", [{"max_tokens": HUGE}, {"temperature": HUGE}, {"temperature": True}, {"thinking_effort": HUGE}]
)
def test_an_agent_entry_with_a_number_beyond_reason_is_one_line(data: dict[str, Any]) -> None:
    entry = Entry(EntryId("app", "odd"), "registry.entry", {"type": "agent.gen1"}, {"prompt": "", "model": "m", **data})
    with pytest.raises(EntryError, match=r"^app:odd: (max_tokens|temperature|thinking_effort) is "):
        AgentSpec.from_entry(entry, lambda name: None)


def test_an_agent_entry_whose_tools_are_no_ids_names_itself() -> None:
    data = {"prompt": "", "model": "m", "tools": ["app.tools:*", "app tools"]}
    with pytest.raises(EntryError, match=r"^app:odd: tools: not an entry id"):
        entry = Entry(EntryId("app", "odd"), "registry.entry", {"type": "agent.gen1"}, data)
        AgentSpec.from_entry(entry, lambda name: None)


@pytest.mark.parametrize("broken", ["[user\nname = x\n", None])
def test_a_broken_git_configuration_leaves_the_login_name(
    broken: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / ".gitconfig"
    if broken is None:
        file.mkdir()
    else:
        file.write_text(broken)
    name, mail = person()
    assert name and mail == f"{name}@localhost"


def test_a_config_file_that_nests_without_end_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("a=" + "[" * 50_000)
    with pytest.raises(SettingsError, match="nested too deeply"):
        load_settings({"MICRO_AGI_CONFIG": str(file), "MICRO_AGI_HOME": str(tmp_path)})


async def test_create_tool_with_a_thousand_modules_is_refused_at_once(house: House) -> None:
    outcome = await house.run(
        "app.tools:create_tool",
        {**NEW, "input_schema": "{}", "modules": ["time"] * 1_000},
    )
    assert outcome.error is not None and len(outcome.error.message) < 500
    assert '/modules: ["time", "time",' in outcome.error.message


def test_a_million_backslashes_are_shown() -> None:
    """Once each stood for a search of all that follow it: minutes in which nothing could be interrupted."""
    assert safe_markdown("\\" * 1_000_000)


@pytest.mark.parametrize("pattern", ["a{1,99999999999}", "(?:" * 3_000 + ")" * 3_000, "("])
async def test_a_schema_with_an_odd_pattern_goes_back_to_the_model(pattern: str, house: House) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    outcome = await house.run("app.tools:create_tool", {**NEW, "input_schema": schema})
    assert outcome.ok and str(outcome.value["error"]).startswith("input_schema: ")  # type: ignore[index,call-overload]


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf", "not", "enum"])
async def test_a_schema_that_providers_refuse_is_refused_when_it_is_made(keyword: str, house: House) -> None:
    schema = {"type": "object", "properties": {}, keyword: [{}]}
    outcome = await house.run("app.tools:create_tool", {**NEW, "input_schema": schema})
    assert outcome.value == {
        "error": f"input_schema: models refuse {keyword} at the top of a schema: put it below properties, "
        "or check that in the source"
    }


def test_a_registry_whose_branch_is_gone_is_not_seeded_anew(house: House) -> None:
    house.write(*create(tool("x")))
    tip = house.head
    for ref in ("refs/heads/main", "packed-refs"):
        (house.registry.path / ref).unlink(missing_ok=True)
    with pytest.raises(RegistryError, match=r"^damaged registry: .* holds commits but its branch main is gone"):
        Registry.open(house.registry.path)
    assert tip in git(house.registry.path, "fsck", "--lost-found")


async def test_a_damaged_tool_breaks_itself_only_and_verify_names_it(house: House) -> None:
    house.write(*create(tool("x", "return { handler = function() return 1 end }"), tool("y")))
    blob = git(house.registry.path, "rev-parse", "main:app/generated/x.lua").strip()
    file = house.registry.path / "objects" / blob[:2] / blob[2:]
    file.chmod(0o600)
    file.write_bytes(b"")
    outcome = await house.run("app.generated:x")
    assert outcome.error is not None and "damaged" in outcome.error.message
    assert (await house.run("app.generated:y", {"n": 1})).value == {"n": 1}
    settings = Settings(registry=str(house.registry.path))
    findings = [finding async for finding in verify_registry(settings)]
    failed = {(finding.check, str(finding.id)) for finding in findings if finding.status == "fail"}
    assert ("entries", "app.generated:x") in failed and any(check == "objects" for check, _ in failed)


async def test_a_tool_that_is_deleted_while_another_is_loaded_is_still_reported(house: House) -> None:
    house.write(*create(tool("first"), tool("second")))
    spec = AgentSpec(EntryId("app", "agent"), "", "m", 1, 0.0, None, (ListedTool("app.tools:*"),))
    agent = AgentContext(spec, RegistryTools(house))
    assert isinstance(await agent.load(id_of("app.generated:first"), Nobody()), BoundTool)
    house.write(*delete("app.generated:first"))
    assert isinstance(await agent.load(id_of("app.generated:second"), Nobody()), BoundTool)
    tools, gone = agent.refresh()
    assert gone == (id_of("app.generated:first"),) and "second" in tools and "first" not in tools
    assert agent.refresh()[1] == ()


async def test_verify_names_a_model_that_cannot_be_read(house: House) -> None:
    bad = Entry(EntryId("app", "odd"), "registry.entry", {"type": "llm.model"}, {"max_tokens": "lots", "providers": []})
    house.push_entry(bad)
    settings = Settings(registry=str(house.registry.path))
    findings = [finding async for finding in verify_registry(settings)]
    assert [f.message for f in findings if f.check == "models"] == [
        "app:odd: data.max_tokens must be a whole number of at least 1"
    ]
