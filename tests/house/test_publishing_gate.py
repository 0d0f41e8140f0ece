"""The one place that writes the registry: no word of a tool gets past it, whatever create_tool.lua checks or skips."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from conformance_kit import vectors
from house_kit import (
    BROKEN_SCOPES,
    GOOD,
    NO_CHECKS,
    RESTORE,
    House,
    create,
    delete,
    git,
    id_of,
    policy,
    tool,
    update,
)

from micro_agi_kernel.entries import Changeset, FileChange
from micro_agi_kernel.errors import EntryError, MicroAgiError, Refused
from micro_agi_kernel.events import EntryPublished
from micro_agi_kernel.values import MAX_DEPTH
from micro_agi_kernel.workspace import module_names


def wish(action: str, id: str, kind: str = "function.lua", meta: Any = None, **data: Any) -> dict[str, Any]:
    """One operation as the unchecked create_tool takes it: a good tool, but for what is given."""
    usual = {
        "type": "tool",
        "comment": "For a test",
        "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}},
    }
    meta = {**usual, **(meta or {})} if kind == "function.lua" else meta or {}
    entry: dict[str, Any] = {"id": id}
    if action != "delete":
        source = {"source": GOOD, "method": "handler"} if kind.endswith(".lua") else {}
        entry |= {"kind": kind, "meta": meta, "data": {**source, **data}}
    return {"action": action, "entry": entry}


def schema(value: Any) -> dict[str, Any]:
    return wish("create", "app.generated:x", meta={"input_schema": value})


BODY = {"actions": "*", "resources": "*", "effect": "allow"}
CORE = "policy denied: registry.{} on {} (policy app:deny_core_ns)"
TOOLS = "policy denied: registry.{} on {} (policy app:deny_tools_ns)"

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "core": (wish("create", "app:x"), CORE.format("create", "app:x")),
    "core-model": (
        wish("update", "app:gpt-5.1", "registry.entry", {"type": "llm.model"}),
        CORE.format("update", "app:gpt-5.1"),
    ),
    "core-policy": (
        wish("update", "app:deny_core_ns", "security.policy", policy=BODY, groups=["agent_security"]),
        CORE.format("update", "app:deny_core_ns"),
    ),
    "core-delete": (wish("delete", "app:deny_core_ns"), CORE.format("delete", "app:deny_core_ns")),
    "tools": (wish("create", "app.tools:x"), TOOLS.format("create", "app.tools:x")),
    "tools-update": (wish("update", "app.tools:load_tool"), TOOLS.format("update", "app.tools:load_tool")),
    "tools-delete": (wish("delete", "app.tools:load_tool"), TOOLS.format("delete", "app.tools:load_tool")),
    "other-namespace": (wish("create", "app.others:x"), "an agent writes in app.generated only, not app.others:x"),
    "deeper-namespace": (
        wish("create", "app.generated.sub:x"),
        "an agent writes in app.generated only, not app.generated.sub:x",
    ),
    "other-root": (wish("create", "wippy:x"), "an agent writes in app.generated only, not wippy:x"),
    "policy": (
        wish("create", "app.generated:p", "security.policy", policy=BODY, groups=["tool_security"]),
        "an agent writes tools and libraries only, not 'security.policy' app.generated:p",
    ),
    "expression": (
        wish("create", "app.generated:p", "security.policy.expr", policy={**BODY, "expression": "true"}),
        "an agent writes tools and libraries only, not 'security.policy.expr' app.generated:p",
    ),
    "model": (
        wish("create", "app.generated:m", "registry.entry", {"type": "llm.model"}),
        "an agent writes tools and libraries only, not 'registry.entry' app.generated:m",
    ),
    "no-tool": (wish("create", "app.generated:x", meta={"type": "agent.gen1"}), "an agent writes tools and libraries"),
    "untyped": (wish("create", "app.generated:x", meta={"type": False}), "an agent writes tools and libraries only"),
    "library-that-is-a-model": (
        wish("create", "app.generated:m", "library.lua", {"type": "llm.model", "class": ["reasoning"]}),
        "a library has no meta.type",
    ),
    "library-that-is-an-agent": (
        wish("create", "app.generated:m", "library.lua", {"type": "agent.gen1"}),
        "a library has no meta.type",
    ),
    "kind-with-a-tail": (wish("create", "app.generated:x", "function.lua.bc"), "an agent writes tools and libraries"),
    "empty-kind": (wish("create", "app.generated:x", ""), "an agent writes tools and libraries only"),
    "alias": (wish("create", "app.generated:x", meta={"llm_alias": "y"}), "llm_alias must be 'x', the tool's name"),
    "alias-of-a-built-in": (wish("create", "app.generated:x", meta={"llm_alias": "load_tool"}), "llm_alias must be"),
    "built-in": (wish("create", "app.generated:load_tool"), "'load_tool' is a built-in tool; choose another name"),
    "no-source": (wish("create", "app.generated:x", source=""), "source: Lua source is required"),
    "source-is-a-number": (wish("create", "app.generated:x", source=5), "source: Lua source is required"),
    "long-source": (
        wish("create", "app.generated:x", source="--" + "x" * 15_999),
        "source: 16001 characters, at most 16000 are allowed",
    ),
    "broken-source": (wish("create", "app.generated:broken", source="local a = 1\nlocal b = = 2"), "broken:2:"),
    "bytecode": (
        wish("create", "app.generated:x", source="\x1bLuaT\0"),
        "source: Lua text is required, not compiled code",
    ),
    "method": (wish("create", "app.generated:x", method="a b"), "method: the name of a function"),
    "method-is-a-list": (wish("create", "app.generated:x", method=[1]), "method: the name of a function"),
    "no-description": (
        wish("create", "app.generated:x", meta={"comment": "", "llm_description": " "}),
        "description: ",
    ),
    "long-description": (wish("create", "app.generated:x", meta={"comment": "x" * 2_001}), "description: 1 to 2000"),
    "no-schema": (schema(None), 'input_schema: a JSON Schema with "type": "object" is required'),
    "schema-as-text": (schema('{"type": "object"}'), 'input_schema: a JSON Schema with "type": "object" is required'),
    "schema-of-a-list": (schema({"type": "array"}), 'input_schema: a JSON Schema with "type": "object" is required'),
    "schema-of-anything": (schema({"type": ["object", "null"]}), "input_schema: a JSON Schema"),
    "invalid-schema": (
        schema({"type": "object", "properties": {"a": {"type": "text"}}}),
        "input_schema: at /properties/a/type: it must be one or several of array, boolean, ",
    ),
    "schema-with-bad-required": (
        schema({"type": "object", "required": "a"}),
        "input_schema: at /required: it must be a list",
    ),
    "long-schema": (
        schema({"type": "object", "title": "x" * 16_000}),
        "input_schema: 16031 characters of JSON, at most 16000",
    ),
    "modules-as-a-map": (wish("create", "app.generated:x", modules={"a": "time"}), "modules: a list of module names"),
    "modules-of-numbers": (wish("create", "app.generated:x", modules=[1]), "modules: a list of module names"),
    "absent": (wish("delete", "app.generated:nothing"), "not found: app.generated:nothing"),
    "update-of-nothing": (wish("update", "app.generated:nothing"), "not found: app.generated:nothing"),
    "reserved-name": (wish("create", "app.generated:con"), "reserves"),
    "no-id": (wish("create", "nothing"), "not an entry id"),
}


@pytest.fixture
def outlaw(house: House) -> House:
    """A house whose create_tool skips all its checks."""
    house.uncheck_create_tool()
    return house


async def ask(house: House, *wishes: dict[str, Any]) -> str:
    """What the unchecked create_tool answers to wishes that must be refused: its error, and no commit."""
    head = house.head
    outcome = await house.run("app.tools:create_tool", {"operations": list(wishes)})
    assert house.head == head
    assert not any(isinstance(event, EntryPublished) for event in house.events)
    if outcome.error is not None:
        return outcome.error.message
    assert isinstance(outcome.value, dict) and isinstance(outcome.value.get("error"), str), outcome.value
    return str(outcome.value["error"])


async def test_unchecked_create_tool_writes_tools_and_libraries(outlaw: House) -> None:
    wishes = [wish("create", "app.generated:good"), wish("create", "app.generated:lib", "library.lua")]
    outcome = await outlaw.run("app.tools:create_tool", {"operations": wishes})
    assert outcome.ok and outcome.value == {"commit": outlaw.head}
    assert outlaw.registry.version("main").trailers["Policy"].startswith("undefined (app:deny_core_ns")


@pytest.mark.parametrize("case", REFUSED)
async def test_refusals(outlaw: House, case: str) -> None:
    wanted, reason = REFUSED[case]
    said = await ask(outlaw, wanted)
    assert reason in said
    assert said.startswith("policy denied: ") == reason.startswith("policy denied: ")
    assert "\n" not in said


async def test_one_bad_operation_spoils_the_changeset(outlaw: House) -> None:
    good = wish("create", "app.generated:good")
    assert "app:x" in await ask(outlaw, good, wish("create", "app:x"))
    assert "stands twice" in await ask(outlaw, good, good)


@pytest.mark.parametrize("module", ["os", "io", "debug", "ffi", "nonsense", "", "time ", "Time", "*", "time/../os"])
async def test_modules_outside_the_allow_list(outlaw: House, module: str) -> None:
    said = await ask(outlaw, wish("create", "app.generated:x", modules=["time", module]))
    assert said.startswith(
        f"modules: {module!r} is a global table" if module == "os" else "modules: there is no module "
    )
    assert said.endswith("; there are: base64, crypto, expr, hash, http_client, json, text, time, url, uuid, yaml")


@pytest.mark.parametrize("module", ["registry", "funcs", "security", "docs", "ctx"])
async def test_host_modules_are_granted_by_no_policy(outlaw: House, module: str) -> None:
    assert f"lua.module on {module}" in await ask(outlaw, wish("create", "app.generated:x", modules=[module]))
    outlaw.write(*create(policy("app:open_all", "allow", "*", "*")))
    assert f"lua.module on {module}" in await ask(outlaw, wish("create", "app.generated:x", modules=[module]))


async def test_an_allowed_module_that_does_not_exist(outlaw: House) -> None:
    missing = next(m for m in ("expr", "text", "yaml", "crypto", "url", "nothing") if m not in module_names())
    outlaw.write(*create(policy("app:allow_nothing", "allow", "lua.module", "nothing")))
    said = await ask(outlaw, wish("create", "app.generated:x", modules=[missing]))
    assert said.startswith(f"modules: there is no module {missing!r}; there are: ") and "time" in said


async def test_create_tool_itself_names_what_is_wrong(house: House) -> None:
    """The real create_tool, with the arguments that a model gets wrong."""
    head = house.head
    for arguments, reason in [
        ({"name": "Bad Name"}, "name: "),
        ({"name": "x" * 65}, "name: "),
        ({"name": "../../app/x"}, "name: "),
        ({"name": 5}, "name: "),
        ({"name": "load_tool"}, "'load_tool' is a built-in tool"),
        ({"description": ""}, "description: "),
        ({"source": "x" * 16_001}, "/source: "),
        ({"source": None}, "source: "),
        ({"source": "return {"}, "good:1:"),
        ({"input_schema": "{"}, "input_schema: not JSON"),
        ({"description": " \n"}, "description: 1 to 2000 characters are required, not 0"),
        ({"input_schema": "[]"}, "input_schema: "),
        ({"input_schema": 7}, "input_schema: "),
        ({"input_schema": {"type": "string"}}, "input_schema: "),
        ({"modules": "time"}, "modules: "),
        ({"modules": ["os"]}, "modules: 'os' is a global table"),
        ({"modules": ["registry"]}, "policy denied: lua.module on registry"),
        ({"modules": [["time"]]}, "/modules[1]: "),
        ({"modules": {"a": "time"}}, "modules: "),
    ]:
        said = await house.make(**{"name": "good", **arguments})
        assert set(said) == {"error"} and reason in said["error"], (arguments, said)
    assert house.head == head


async def test_create_tool_takes_a_schema_as_text_and_updates(house: House) -> None:
    made = await house.make("good", GOOD, input_schema='{"type": "object", "properties": {}}')
    assert made == {"created": True, "id": "app.generated:good", "commit": house.head}
    made = await house.make("good", "return { handler = function() return 2 end }", intent="replace")
    assert made == {"updated": True, "id": "app.generated:good", "commit": house.head}
    assert (await house.run("app.generated:good", {})).value == 2


async def test_longest_source_and_unicode_are_counted_in_characters(outlaw: House) -> None:
    source = f"{GOOD}\n--".ljust(16_000, "é") + "\n"
    assert len(source) == 16_001
    assert "16001 characters" in await ask(outlaw, wish("create", "app.generated:x", source=source))
    made = await outlaw.run(
        "app.tools:create_tool", {"operations": [wish("create", "app.generated:x", source=source[:-1])]}
    )
    assert made.value == {"commit": outlaw.head}


async def test_odd_names(outlaw: House) -> None:
    names = [
        "../app/x",
        "..",
        ".",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "a\0b",
        "a\nb",
        "x.yaml",
        ".git",
        "-x",
        "X",
        "é",
        "a:b",
    ]
    await check_names(outlaw, names)


async def test_naughty_names(outlaw: House) -> None:
    await check_names(outlaw, vectors("naughty_strings.json"))


async def check_names(outlaw: House, names: list[str]) -> None:
    """Whatever a name holds: refused in words, or a plain tool; never another file."""
    head, host = outlaw.head, outlaw.host("registry")
    for name in names:
        if name in ("undefined", "undef", "null", "nil", "true", "false", "then", "constructor"):
            continue
        try:
            id_of(f"app.generated:{name}")
        except EntryError:
            pass
        else:
            if name.isascii() and name.replace("_", "").isalnum() and name[0].isalpha() and name == name.lower():
                continue
        payload = {"operations": [wish("create", f"app.generated:{name}")]}
        payload["operations"][0]["entry"]["id"] = f"app.generated:{name}"
        with pytest.raises((Refused, EntryError)) as caught:
            await host.request("registry.apply", payload)
        assert len(str(caught.value)) < 1_000
    assert outlaw.head == head


async def test_naughty_strings_come_back_as_they_were(house: House) -> None:
    strings = vectors("naughty_strings.json")
    entry = tool(
        "naughty",
        "-- " + " ".join(strings).replace("\n", " ").replace("\r", " ")[:9_000] + f"\n{GOOD}",
        examples=strings,
    )
    await house.publishing.publish(Changeset(create(entry)), house.context())
    assert house.registry.snapshot().get(entry.id) == entry
    assert git(house.registry.path, "fsck", "--strict") == ""


NESTED: Any = []
for _ in range(MAX_DEPTH + 50):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("meta", {"x": b"\xff"}),
        ("data", {"x": [b"\xff\xfe"]}),
        ("meta", {"x": float("nan")}),
        ("data", {"x": float("inf")}),
        ("meta", {"x": NESTED}),
        ("data", {"x": {"y": NESTED}}),
        ("meta", {"x": "\ud800"}),
        ("meta", {"\udfff": 1}),
        ("meta", {"input_schema": {"type": "object", "properties": {"x": NESTED}}}),
        ("meta", {"x": "y" * (1 << 20)}),
    ],
)
async def test_values_that_no_file_can_hold(house: House, where: str, value: Any) -> None:
    """From a child that broke out: what Lua could not even say."""
    head, operation = house.head, wish("create", "app.generated:x")
    operation["entry"][where] |= value
    with pytest.raises(MicroAgiError):
        await house.host("registry").request("registry.apply", {"operations": [operation]})
    assert house.head == head


async def test_the_depth_of_a_schema_is_bounded(house: House) -> None:
    nested: Any = {"type": "string"}
    for _ in range(40):
        nested = {"type": "object", "properties": {"x": nested}}
    with pytest.raises(Refused, match=r"^input_schema: nested too deeply"):
        await house.publishing.publish(Changeset(create(tool("deep", input_schema=nested))), house.context())


@pytest.mark.parametrize("count", [0, 1_001])
async def test_number_of_operations(house: House, count: int) -> None:
    operations = [wish("create", f"app.generated:x{number}") for number in range(count)]
    with pytest.raises(Refused, match="operations must be a list of 1 to 1000"):
        await house.host("registry").request("registry.apply", {"operations": operations})


async def test_files_are_out_of_reach_for_an_agent(house: House) -> None:
    head = house.head
    for path in ("docs/lua/core/time.md", "registry.yaml", "app/x.yaml"):
        for operations in ((), create(tool("x"))):
            with pytest.raises((Refused, EntryError)) as caught:
                change = Changeset(operations, (FileChange(path, b"x"),))
                await house.publishing.publish(change, house.context())
            assert str(caught.value) == f"an agent may not change files: {path}"
    assert house.head == head


async def test_twins_in_case(house: House) -> None:
    person = house.context("user:ann")
    await house.publishing.publish(Changeset(create(tool("app.others:thing"))), person)
    head = house.head
    with pytest.raises(Refused, match=r"app/others/Thing\.(yaml|lua) cannot stand beside app/others/thing\.(yaml|lua)"):
        await house.publishing.publish(Changeset(create(tool("app.others:Thing"))), person)
    house.uncheck_create_tool()
    head = house.head
    with pytest.raises(Refused, match="bad tool name 'Thing'"):
        await house.publishing.publish(Changeset(create(tool("Thing", llm_alias=""))), house.context())
    assert house.head == head


async def restorer(house: House) -> None:
    house.write(*create(tool("app.tools:restore", RESTORE, modules=["registry"])))


async def test_apply_version_cannot_restore_a_core_entry(house: House) -> None:
    await restorer(house)
    before = house.head
    house.write(*create(policy("app:extra", "deny", "*", "app.generated:secret*", "agent_security")))
    head = house.head
    outcome = await house.run("app.tools:restore", {"commit": before})
    assert outcome.value == {"error": "policy denied: registry.delete on app:extra (policy app:deny_core_ns)"}
    real = house.registry.snapshot().get(id_of("app.tools:load_tool"))
    assert real is not None
    house.write(*delete("app:extra"), *update(replace(real, data={**real.data, "source": NO_CHECKS})))
    head = house.head
    outcome = await house.run("app.tools:restore", {"commit": before})
    assert outcome.value == {
        "error": "policy denied: registry.update on app.tools:load_tool (policy app:deny_tools_ns)"
    }
    assert house.head == head


async def test_apply_version_restores_generated_tools_and_no_pages(house: House) -> None:
    await restorer(house)
    before = house.head
    await house.make("one", GOOD)
    outcome = await house.run("app.tools:restore", {"commit": before})
    assert outcome.value == {"commit": house.head} and not house.registry.snapshot().has(id_of("app.generated:one"))
    house.write(files=(FileChange("docs/lua/core/time.md", b"# Another"),))
    head = house.head
    outcome = await house.run("app.tools:restore", {"commit": before})
    assert outcome.value == {"error": "an agent may not change files: docs/lua/core/time.md"}
    assert house.head == head


@pytest.mark.parametrize("case", BROKEN_SCOPES)
async def test_a_scope_that_cannot_be_read_refuses_every_agent_write(house: House, case: str) -> None:
    await house.make("old", GOOD)
    house.push(BROKEN_SCOPES[case])
    head = house.head
    said = await house.make("new", GOOD.replace("1", "2"))
    assert set(said) == {"error"} and said["error"].startswith("failed to load security scope: "), said
    assert "failed" not in said["error"][1:]
    for operation in (*create(tool("new")), *update(tool("old")), *delete("app.generated:old")):
        with pytest.raises(Refused, match=r"^failed to load security scope: "):
            await house.publishing.publish(Changeset((operation,)), house.context())
    assert house.head == head


async def test_a_person_mends_what_an_agent_may_not(house: House) -> None:
    house.push(BROKEN_SCOPES["misspelt-effect"])
    published = await house.publishing.publish(Changeset(delete("app:p")), house.context("user:ann"))
    assert published.commit == house.head
    assert "created" in await house.make("new", GOOD)
    with pytest.raises(Refused, match="effect is allow, deny or ask"):
        bad = policy("app:bad", "denied", "*", "*")
        await house.publishing.publish(Changeset(create(bad)), house.context("user:ann"))
    with pytest.raises(Refused, match="expression is missing"):
        bad = replace(policy("app:bad", "deny", "*", "*"), kind="security.policy.expr")
        await house.publishing.publish(Changeset(create(bad)), house.context("user:ann"))


@pytest.mark.parametrize("effect", ["deny", "ask"])
async def test_a_policy_on_generated_tools(house: House, effect: str) -> None:
    entry = policy("app:frozen", effect, "registry.update", "app.generated:kept*", "agent_security")
    house.write(*create(entry))
    await house.make("kept_one", GOOD)
    head = house.head
    said = await house.make("kept_one", "return { handler = function() return 2 end }", intent="replace")
    reason = {
        "deny": "policy denied: registry.update on app.generated:kept_one (policy app:frozen)",
        "ask": "a person must approve this (policy app:frozen), and nobody can be asked here: "
        "registry.update on app.generated:kept_one",
    }[effect]
    assert said["error"].startswith(reason)
    with pytest.raises(Refused, match=f"^{re.escape(reason)}$"):
        change = Changeset(update(tool("kept_one")))
        await house.publishing.publish(change, house.context())
    assert house.head == head
