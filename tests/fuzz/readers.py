"""The table's other half: what reads JSON of an entry, a tool, a model's stream or a server, whatever stands in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from micro_agi_kernel.arguments import check_arguments, schema_problems
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, MicroAgiError, Refused, SettingsError
from micro_agi_kernel.frontends.display_vega import RefusedChart, safe_vegalite
from micro_agi_kernel.frontends.displays import safe_bundle
from micro_agi_kernel.host.http.request import HttpLimits, parse_request
from micro_agi_kernel.lua_entries import read_lua
from micro_agi_kernel.lua_modules._json_work import BadSchema
from micro_agi_kernel.mcp_client.definitions import ListedByServer, read_offer
from micro_agi_kernel.mcp_client.results import read_result
from micro_agi_kernel.mcp_settings import McpServer, read_servers
from micro_agi_kernel.messages import UserMessage
from micro_agi_kernel.models.catalog import read_spec
from micro_agi_kernel.models.chat_format import Answer
from micro_agi_kernel.policy.conditions import Condition
from micro_agi_kernel.policy.policies import Policy, check_policy
from micro_agi_kernel.tool_tests import read_tests

ID = EntryId("app.generated", "x")
SERVER = McpServer("odd", ("odd",))


@dataclass(frozen=True)
class Reader:
    """One reader of JSON; as a parser, it raises nothing but `refuses`."""

    name: str
    module: str
    run: Callable[[Any], Any]
    fields: tuple[str, ...]
    """The names that it knows."""
    words: tuple[str, ...] = ()
    """Texts that mean something to it."""
    refuses: tuple[type[Exception], ...] = (EntryError,)


def _entry(kind: str, value: Any) -> Entry:
    table = value if isinstance(value, dict) else {"data": value}
    halves = [table.get(half) if isinstance(table.get(half), dict) else table for half in ("meta", "data")]
    return Entry(ID, kind, *halves)


def _answer(value: Any) -> None:
    said = Answer(5_000)
    for event in value if isinstance(value, list) else [value, {"choices": [{"delta": value}]}, {"choices": [value]}]:
        for chunk in said.add(event):
            chunk.text.encode()
    for call in said.calls((UserMessage("x"),)):
        assert call.id and 0 < len(call.name) <= 64 and call.name.isascii()


def _offer(value: Any) -> None:
    listed = value if isinstance(value, list) else [value]
    tools = [ListedByServer(str(each), json.dumps(each), each if isinstance(each, dict) else {}) for each in listed]
    offer = read_offer(SERVER, [*map(ListedByServer.of, listed), *tools])
    for id, entry in offer.entries.items():
        assert id.namespace == "mcp.odd" and entry.id == id


def _bundle(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    texts = dict.fromkeys(("text/plain", "text/markdown", "text/html", "image/svg+xml"), text)
    made = safe_bundle({**texts, "application/json": value, "application/vnd.vegalite.v5+json": value}, "x")
    assert "\x1b" not in made["text/plain"]
    json.dumps(made)


def _check(value: Any) -> None:
    entry = Entry(
        ID, "function.lua", {"input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}, {}
    )
    check_arguments(entry, value)


def _chart(value: Any) -> None:
    chart = {"mark": "bar", "data": {"values": []}, **(value if isinstance(value, dict) else {"encoding": value})}
    made, _ = safe_vegalite(chart)
    assert not {"signal", "url", "expr", "href", "params"} & _keys({**made, "$schema": ""})


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        inside = (item for key, item in value.items() if key not in ("values", "datasets", "parse"))  # rows
        return {*value}.union(*map(_keys, inside))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


READERS = (
    Reader(
        "lua entry",
        "lua_entries.py",
        lambda value: read_lua(_entry("function.lua", value)),
        ("source", "method", "modules", "imports", "calls", "meta", "data", "limits", "memory"),
        ("return {}", "app:x", "time"),
    ),
    Reader(
        "model entry",
        "models/catalog.py",
        lambda value: read_spec(_entry("registry.entry", value)),
        (
            "meta",
            "data",
            "name",
            "max_tokens",
            "providers",
            "id",
            "options",
            "base_url",
            "pricing",
            "capabilities",
            "class",
            "output_tokens",
        ),
        ("wippy.llm.openai:provider", "http://x/v1", "llm.model"),
    ),
    Reader(
        "policy",
        "policy/policies.py",
        lambda value: (
            check_policy(_entry("security.policy", value)),
            Policy.from_entry(_entry("security.policy", value)),
        ),
        (
            "policy",
            "actions",
            "resources",
            "effect",
            "conditions",
            "groups",
            "field",
            "operator",
            "value",
            "expression",
        ),
        ("*", "deny", "a.**", "meta.x"),
    ),
    Reader(
        "condition of a policy",
        "policy/conditions.py",
        lambda value: Condition.parse(value, "x"),
        ("field", "operator", "value", "value_from"),
        ("eq", "matches", "in", "meta.x", "("),
    ),
    Reader(
        "tests of a tool",
        "tool_tests.py",
        lambda value: read_tests(_entry("function.lua", value)),
        (
            "meta",
            "tests",
            "input",
            "expect",
            "error",
            "http",
            "method",
            "url",
            "status",
            "body",
            "now",
            "name",
            "headers",
        ),
        ("GET", "https://x", "2026-01-01T00:00:00Z"),
    ),
    Reader(
        "stream of a model",
        "models/chat_format.py",
        _answer,
        (
            "choices",
            "delta",
            "content",
            "reasoning",
            "refusal",
            "tool_calls",
            "index",
            "id",
            "function",
            "name",
            "arguments",
            "finish_reason",
            "usage",
            "prompt_tokens",
            "completion_tokens",
            "prompt_tokens_details",
            "cached_tokens",
        ),
        ("stop", "<think>"),
        (),
    ),
    Reader(
        "settings of servers",
        "mcp_settings.py",
        lambda value: read_servers(value, "x"),
        ("a", "command", "url", "env", "api_key_env", "tools"),
        ("https://x", "http://127.0.0.1:1", "x"),
        (SettingsError,),
    ),
    Reader(
        "tools of a server",
        "mcp_client/definitions.py",
        _offer,
        ("name", "inputSchema", "type", "properties", "$ref", "$defs", "anyOf", "enum", "pattern", "required"),
        ("#", "object", "#/$defs/a", "((("),
    ),
    Reader(
        "answer of a server",
        "mcp_client/results.py",
        lambda value: read_result("odd", value if isinstance(value, dict) else {"content": value}),
        ("content", "type", "text", "data", "mimeType", "resource", "uri", "structuredContent", "isError", "blob"),
        ("text", "image", "image/png", "resource"),
        (Refused,),
    ),
    Reader(
        "request of a tool",
        "host/http/request.py",
        lambda value: parse_request(value if isinstance(value, dict) else {"url": value}, HttpLimits()),
        (
            "method",
            "url",
            "headers",
            "body",
            "form",
            "files",
            "auth",
            "tls",
            "timeout",
            "cookies",
            "query",
            "max_redirects",
            "cert",
            "key",
            "user",
        ),
        ("GET", "https://example.com", "X-A", "1s"),
        (MicroAgiError,),
    ),
    Reader("arguments of a call", "arguments.py", _check, ("a", "b"), ("1",), (Refused,)),
    Reader(
        "schema of a tool",
        "arguments.py",
        lambda value: schema_problems(json.dumps(value), {"a": [1]}, 50_000),
        (
            "type",
            "properties",
            "items",
            "$ref",
            "$defs",
            "anyOf",
            "allOf",
            "not",
            "pattern",
            "patternProperties",
            "a",
            "if",
            "then",
            "$id",
            "$anchor",
        ),
        ("#", "object", "#/$defs/a", "(a*)*", "http://x"),
        (BadSchema,),
    ),
    Reader(
        "chart of a tool",
        "frontends/display_vega.py",
        _chart,
        (
            "mark",
            "encoding",
            "x",
            "y",
            "field",
            "type",
            "data",
            "values",
            "url",
            "signal",
            "expr",
            "href",
            "title",
            "layer",
            "facet",
            "width",
            "params",
            "transform",
        ),
        ("bar", "quantitative", "</script>", "a.b"),
        (RefusedChart,),
    ),
    Reader(
        "display of a tool",
        "frontends/displays.py",
        _bundle,
        ("mark", "a", "text", "values"),
        ("<b>", "# x", "\x1b[1m"),
        (),
    ),
)
