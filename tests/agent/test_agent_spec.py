"""What an agent's entry says, traits included, and what of the reference's entries is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micro_agi_kernel.agent.spec import MAX_CONTEXT, AgentSpec, ListedTool
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError

ME = {"agent_id": "app:helper"}


def trait(id: str, kind: str = "registry.entry", type: str = "agent.trait", **data: Any) -> Entry:
    return Entry(EntryId.parse(id), kind, {"type": type, "name": id.partition(":")[2].title()}, data)


TRAITS = (
    trait(
        "app.traits:polite",
        prompt="Say please.\n",
        tools=["app.tools:*", {"id": "app.x:bow", "context": {"deep": True}}],
        context={"tone": "warm", "deep": False, "region": "trait"},
    ),
    trait("app.traits:exact", prompt="Round nothing."),
    trait("app.traits:silent"),
    trait("app.traits:alive", build_func_id="app:build"),
    trait("app.traits:odd", prompt=5),
    trait("app.traits:typo", promt="x"),
    trait("app.traits:twice", tools=[{"id": "app.x:other", "alias": "look"}]),
    trait("app.traits:empty", prompt_func_id=None, tool_wrappers=[], options={}, tools={}, context=[]),
    trait("app.traits:tool", type="tool"),
    trait("app.traits:lua", kind="function.lua"),
    trait("app.generated:evil", prompt="Obey."),
)


def find(name: str) -> Entry | None:
    if ":" in name:
        EntryId.parse(name)
    return next((entry for entry in TRAITS if name in (str(entry.id), entry.text("name"))), None)


def read(**data: Any) -> AgentSpec:
    whole = {"prompt": "Be brief.\n", "model": "m", **data}
    return AgentSpec.from_entry(Entry(EntryId("app", "helper"), "registry.entry", {"type": "agent.gen1"}, whole), find)


def test_an_entry_as_the_reference_writes_it() -> None:
    spec = read(
        model="gpt-4o",
        max_tokens=1024,
        temperature=0.7,
        traits=["Polite", {"id": "app.traits:exact"}],
        memory=["Ann likes\nshort answers", "  ", "Cite sources"],
        tools=["app.tools:*", "app.x:clock", {"id": "app.x:search", "alias": "web_search", "description": "Looks"}],
        delegates=[],
        memory_contract=None,
    )
    assert spec.prompt == (
        "Be brief.\n\nSay please.\n\nRound nothing.\n\n## Memory\n\n- Ann likes\n  short answers\n- Cite sources"
    )
    assert (spec.model, spec.max_tokens, spec.temperature, spec.thinking_effort) == ("gpt-4o", 1024, 0.7, None)
    polite = {"tone": "warm", "region": "trait", **ME}
    assert spec.tools == (
        ListedTool("app.x:clock", context=ME),
        ListedTool("app.x:search", "web_search", "Looks", ME),
        ListedTool("app.x:bow", context={**polite, "deep": True}),
        ListedTool("app.tools:*", context=ME),
        ListedTool("app.tools:*", context={**polite, "deep": False}),
    )


def test_an_entry_that_says_the_least() -> None:
    spec = read(traits=["app.traits:silent", "Empty"])
    assert (spec.prompt, spec.tools, spec.context) == ("Be brief.", (), ME)
    assert (spec.max_tokens, spec.temperature) == (512, 0.0)


def test_of_one_key_the_tool_s_value_counts_then_the_agent_s_then_the_trait_s() -> None:
    spec = read(
        context={"region": "agent", "agent_id": "app:forged"},
        traits=[{"id": "Polite", "context": {"tone": "cool", "region": "use"}}],
        tools=[{"id": "app.x:a", "context": {"region": "tool", "n": [1, {"x": None}]}}, {"id": "app.x:b"}],
    )
    given = {tool.name: tool.context for tool in spec.tools}
    assert given["app.x:a"] == {"region": "tool", "n": [1, {"x": None}], **ME}
    assert given["app.x:b"] == spec.context == {"region": "agent", **ME}
    assert given["app.x:bow"] == {"region": "agent", "tone": "cool", "deep": True, **ME}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    **{
        field: ({field: ["x"]}, rf"^app:helper: {field} is not supported, take it out: \w")
        for field in ("delegates", "memory_contract", "agent_options", "start_prompts", "bindings", "tool_wrapper")
    },
    "unknown": ({"toolz": []}, r"^app:helper: unknown field 'toolz'; there are prompt, model, .*, tools, traits, "),
    "memory-text": ({"memory": "x"}, r"^app:helper: memory must be a list of texts$"),
    "memory-number": ({"memory": ["x", 5]}, r"^app:helper: memory must be a list of texts$"),
    "context-list": ({"context": ["x"]}, r"^app:helper: context must be a mapping$"),
    "context-large": (
        {"context": {"x": "y" * MAX_CONTEXT}},
        r"^app:helper: context: 16\d+ characters as JSON, at most",
    ),
    "context-sum": (
        {"context": {"x": "y" * 9_000}, "tools": [{"id": "app.x:a", "context": {"z": "y" * 9_000}}]},
        r"^app:helper: context: 18\d+ characters",
    ),
    "variable": (
        {"tools": [{"id": "app.x:a", "context": {"key": ["${KEY}"]}}]},
        r"^app:helper: context: '\${NAME}' is not filled in",
    ),
    "tools-table": ({"tools": {"id": "app.x:a"}}, r"^app:helper: tools is a list of ids"),
    "tools-number": ({"tools": [5]}, r"^app:helper: tools is a list of ids"),
    "tools-without-id": ({"tools": [{"alias": "a"}]}, r"^app:helper: tools is a list of ids"),
    "tools-no-id": ({"tools": [{"id": "a b"}]}, r"^app:helper: tools: not an entry id"),
    "tools-schema": ({"tools": [{"id": "app.x:a", "schema": {"x": 1}}]}, r"^app:helper: tools: schema is not supp"),
    "tools-typo": ({"tools": [{"id": "app.x:a", "alais": "b"}]}, r"^app:helper: tools: unknown field 'alais'"),
    "tools-context": ({"tools": [{"id": "app.x:a", "context": 5}]}, r"^app:helper: tools: context must be a mapping"),
    "alias-odd": ({"tools": [{"id": "app.x:a", "alias": "say hello!"}]}, r"^app:helper: tools: the alias 'say hello!'"),
    "alias-long": ({"tools": [{"id": "app.x:a", "alias": "a" * 65}]}, r"^app:helper: tools: the alias 'a"),
    "alias-newline": ({"tools": [{"id": "app.x:a", "alias": "a\n"}]}, r"^app:helper: tools: the alias 'a\\n'"),
    "alias-number": ({"tools": [{"id": "app.x:a", "alias": 5}]}, r"^app:helper: tools: alias must be text"),
    "alias-of-all": (
        {"tools": [{"id": "app.x:*", "alias": "a"}]},
        r"^app:helper: tools: app\.x:\*: an alias or a desc",
    ),
    "alias-twice": (
        {"tools": [{"id": "app.x:look", "alias": "look"}], "traits": ["Twice"]},
        r"^app:helper: two tools have the alias 'look'; give one of them another$",
    ),
    "traits-text": ({"traits": "Polite"}, r"^app:helper: traits is a list of ids or names"),
    "traits-number": ({"traits": [5]}, r"^app:helper: traits is a list of ids or names"),
    "traits-options": (
        {"traits": [{"id": "Polite", "options": {"x": 1}}]},
        r"^app:helper: traits: options is not supp",
    ),
    "traits-typo": ({"traits": [{"id": "Polite", "contxt": {}}]}, r"^app:helper: traits: unknown field 'contxt'"),
    "trait-missing": ({"traits": ["time_aware"]}, r"^app:helper: traits: no trait 'time_aware'; add an entry"),
    "trait-no-id": ({"traits": ["a b:c"]}, r"^app:helper: traits: bad namespace"),
    "trait-dynamic": ({"traits": ["Alive"]}, r"^app\.traits:alive: build_func_id is not supported, take it out: a tr"),
    "trait-odd": ({"traits": ["Odd"]}, r"^app\.traits:odd: prompt must be text$"),
    "trait-typo": (
        {"traits": ["Typo"]},
        r"^app\.traits:typo: unknown field 'promt'; there are prompt, tools, context$",
    ),
    "trait-is-a-tool": ({"traits": ["Tool"]}, r"^app:helper: traits: app\.traits:tool is no trait"),
    "trait-is-lua": ({"traits": ["Lua"]}, r"^app:helper: traits: app\.traits:lua is no trait"),
    "trait-of-the-agent": ({"traits": ["Evil"]}, r"^app:helper: traits: app\.generated:evil does not count"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_one_line_that_names_the_field(case: str) -> None:
    data, line = REFUSED[case]
    with pytest.raises(EntryError, match=line) as caught:
        read(**data)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["Polite", "app.x:a", "app.x:*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "alias", "description", "context", "options", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_FIELDS = ["prompt", "model", "max_tokens", "temperature", "thinking_effort", "tools", "traits", "memory", "context"]


@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=4))
@settings(max_examples=150, deadline=None, database=None)
def test_whatever_stands_there_is_an_agent_or_one_line(data: dict[str, Any]) -> None:
    try:
        spec = read(**data)
    except EntryError as error:
        assert "\n" not in str(error)
    else:
        assert all(tool.context["agent_id"] == "app:helper" for tool in spec.tools)
