"""A refusal names what there is instead: of modules that are global or misspelt, of schemas that would fail later."""

from __future__ import annotations

import json
from typing import Any

import pytest
from house_kit import GOOD, House, create, id_of, policy, tool

from micro_agi_kernel.arguments import require_usable
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import EntryError, Refused
from micro_agi_kernel.kind_checks import check_kind
from micro_agi_kernel.lua_modules._json_work import BadSchema
from micro_agi_kernel.permissions import GLOBALS
from micro_agi_kernel.workspace import module_names

THERE = "; there are: base64, crypto, expr, hash, http_client, json, text, time, url, uuid, yaml"


async def refusal(house: House, **more: Any) -> str:
    head, made = house.head, await house.make("wrong", **more)
    assert house.head == head and set(made) == {"error"}, made
    return str(made["error"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("http-client", "modules: there is no module 'http-client' (did you mean 'http_client'?)"),
        ("http", "modules: there is no module 'http' (did you mean 'http_client'?)"),
        ("JSON", "modules: there is no module 'JSON'"),
        ("datetime", "modules: there is no module 'datetime' (did you mean 'time'?)"),
        ("socket", "modules: there is no module 'socket'"),
        ("x" * 5_000, f"modules: there is no module '{'x' * 79}…'"),
        (
            "text.regexp",
            "modules: there is no module 'text.regexp': list 'text' and take its field, require(\"text\").regexp",
        ),
        ("text.a b", "modules: there is no module 'text.a b' (did you mean 'text'?)"),
        ("string", "modules: 'string' is a global table, no module: use it without require and leave it out"),
        ("os.date", "modules: 'os' is a global table, no module: use it without require and leave it out"),
        ("docs", "policy denied: lua.module on docs (it is for entries that no agent can write)"),
    ],
)
def test_a_module_that_is_not_to_be_had(house: House, name: str, said: str) -> None:
    with pytest.raises(Refused) as caught:
        house.permissions.check_modules(tool("wrong", GOOD, modules=["json", name]), module_names())
    assert str(caught.value) == said + THERE


async def test_what_is_listed_is_what_the_policies_grant(house: House) -> None:
    house.write(*create(policy("app:few", "deny", "lua.module", ["time", "t*"])))
    said = await refusal(house, modules=["text"])
    there = THERE.replace("text, time, ", "")
    assert said == f"policy denied: lua.module on text (policy app:few){there}"
    house.write(*create(policy("app:none", "deny", "lua.module", "*")))
    with pytest.raises(Refused, match=r"^modules: there is no module 'nothing'$"):
        house.permissions.check_modules(tool("t", GOOD, modules=["nothing"]), module_names())


HINTS = {
    "os": "os is a global table: use it without require",
    "math.floor": "math is a global table: use it without require",
    "text.regexp": 'write require("text").regexp',
    "hash.sha256": "add 'hash' to modules and write require(\"hash\").sha256",
    **dict.fromkeys(("json", "_G", "empty_object", "a/b"), "it is not among this entry's modules: add it there"),
}


async def test_a_name_that_cannot_be_required(house: House) -> None:
    source = "return {handler = function(input) local _, e = pcall(require, input.name) return e end}"
    house.write(*create(tool("odd", source, modules=["text"])))
    for name, hint in HINTS.items():
        said = (await house.run("app.generated:odd", {"name": name})).value
        assert said == f"module '{name}' is not available here: {hint}"


async def test_the_globals_of_a_tool_are_those_that_are_named(house: House) -> None:
    source = (
        'local t = {} for k, v in pairs(_G) do if type(v) == "table" and v ~= _G then t[#t + 1] = k end end return t'
    )
    house.write(*create(tool("tables", source)))
    assert set((await house.run("app.generated:tables", {})).value) == GLOBALS  # type: ignore[arg-type]


USABLE: list[dict[str, Any]] = [
    {"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "string"}}},
    {"properties": {"a": {"type": "array", "items": {"$ref": "#"}}}},
    {"properties": {"a": {"$ref": "#b"}}, "$defs": {"any": {"$anchor": "b"}}},
    {"properties": {"a": {"$id": "https://example.com/b", "$ref": "#/$defs/c", "$defs": {"c": {}}}}},
    {"properties": {"a": {"const": {"$ref": "#/nowhere"}}, "b": {"enum": [{"$ref": "#/nowhere"}]}}},
    {"properties": {"$ref": {"type": "string"}, "b": {"default": {"$ref": "#/nowhere"}}}},
    {"properties": {"a": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}},
]

UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "$ref '#/$defs/b' leads to nothing in the schema: define it there"),
    ({"properties": {"a": {"items": {"anyOf": [{"$ref": "b"}]}}}}, "$ref 'b' leads to nothing"),
    ({"$defs": {"b": {"$ref": "https://example.com/c"}}}, "$ref 'https://example.com/c' leads to nothing"),
    ({"$ref": "#"}, "references or parts of it nest too deeply, or without an end"),
    (
        {"properties": {"a": {"pattern": "a(?=b)"}}},
        "the pattern 'a(?=b)': invalid perl operator: (?=; patterns are RE2's",
    ),
    ({"patternProperties": {"(a)\\1": {}}}, "the pattern '(a)\\\\1': invalid escape sequence: \\1; patterns are RE2's"),
    ({"properties": {"a": {"type": "str"}}}, "at /properties/a/type: it must be one or several of array, boolean, "),
    ({"properties": {"a": {"items": [{}]}}}, "at /properties/a/items: use prefixItems"),
    ({"$schema": "https://example.com/"}, "$schema 'https://example.com/' is not known"),
]


def with_schema(schema: dict[str, Any]) -> Entry:
    return tool("t", GOOD, input_schema={"type": "object", **schema})


@pytest.mark.parametrize("schema", USABLE, ids=json.dumps)
def test_a_schema_that_any_call_can_be_held_to(schema: dict[str, Any]) -> None:
    require_usable(json.dumps(schema))
    check_kind(with_schema(schema))


@pytest.mark.parametrize(("schema", "why"), UNUSABLE)
def test_a_schema_that_some_call_could_not_be_held_to(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(BadSchema):
        require_usable(json.dumps(schema))
    with pytest.raises(EntryError) as caught:
        check_kind(with_schema(schema))
    assert str(caught.value).startswith(f"input_schema: {why}") and "\n" not in str(caught.value)


async def test_who_reads_the_history_asks_the_policies_only(house: House) -> None:
    """A module that a later release no longer has is no fault of the commit that listed it."""
    gone = tool("gone", GOOD, modules=["sqlite"])
    house.permissions.check_module(tool("ours", GOOD, modules=["time"]), "time")
    house.write(*create(policy("app:once", "allow", "lua.module", "sqlite")))
    house.permissions.check_module(gone, "sqlite")
    assert await refusal(house, modules=["sqlite"]) == "modules: there is no module 'sqlite'" + THERE
    assert not house.registry.snapshot().has(id_of("app.generated:gone"))
