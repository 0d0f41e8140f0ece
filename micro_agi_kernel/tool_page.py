"""A page about one tool, for the person: what it takes, where it comes from, what it cost and how it was used."""

from __future__ import annotations

import json
from collections.abc import Iterable

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.markdown_text import code, fenced, prose, table
from micro_agi_kernel.naming import named, nothing_named
from micro_agi_kernel.registry import Registry, Snapshot, Version
from micro_agi_kernel.registry.cost import Cost
from micro_agi_kernel.registry.uses import UseCounter, Uses
from micro_agi_kernel.tool_costs import NOT_KNOWN, making
from micro_agi_kernel.tool_tests import names_of_tests
from micro_agi_kernel.values import Json, many, minute_of, money, short_commit, shorten

MAX_ROWS = 20
"""Rows of a table: arguments, commits."""
MAX_TEXT = 400
"""Characters of one text, but for the source."""

_HEADS = ("version", "commit", "time", "change", "by", "tests", "cost")


def tool_page(registry: Registry, uses: UseCounter, name: str, at: Snapshot | None = None) -> str:
    """The page, in Markdown, of the tool of that name or id in the snapshot `at`, or now. Blocks.

    Cost and use are those of now. Raises Refused for a tool that there is not.
    """
    snapshot = at or registry.snapshot()
    entry = _named(registry, snapshot, name)
    versions = list(registry.versions(MAX_ROWS + 1, id=entry.id, start=snapshot.commit))
    older = len(versions) > MAX_ROWS
    commits, cost = making(registry, entry.id)
    used = uses.of(entry.id)
    facts = [
        ("modules", _codes(entry.modules)),
        ("imports", _codes(entry.imports)),
        ("calls", _codes(entry.calls)),
        ("tests", _codes(names_of_tests(entry))),
        ("made", _origin(versions[-1]) if versions and not older else ""),
        ("cost to make", f"{_cost(cost)} in {many(commits, 'commit')}" if cost.is_known else ""),
        ("used", _used(used)),
    ]
    parts = [
        f"**{code(str(entry.id))}**",
        prose(shorten(entry.description, MAX_TEXT)),
        _arguments(entry.meta.get("input_schema")),
        "\n".join(f"- {label}: {text}" for label, text in facts if text),
        table(_HEADS, [_row(entry.id, version) for version in versions[:MAX_ROWS]]),
        f"Older ones: `micro-agi registry log {entry.id}`" if older else "",
        fenced(entry.source.rstrip(), "lua") if entry.source else "",
    ]
    return "\n\n".join(part for part in parts if part)


def server_tool_page(entry: Entry) -> str:
    """The page, in Markdown, of a tool of an MCP server: all of it is what the server says."""
    server, tool = str(entry.data["server"]), str(entry.data["tool"])
    parts = [
        f"**{code(str(entry.id))}**",
        prose(shorten(entry.description, MAX_TEXT)),
        f"- from: the MCP server {code(server)}, which calls it {code(tool)}",
        f"- for the model: {code(entry.text('llm_alias'))}",
        _arguments(entry.meta.get("input_schema")),
        fenced(json.dumps(entry.meta.get("input_schema"), ensure_ascii=False, indent=2), "json"),
    ]
    return "\n\n".join(parts)


def _named(registry: Registry, snapshot: Snapshot, name: str) -> Entry:
    id = named(registry, name, snapshot, tools=True, cell=True)
    entry = snapshot.get(id)
    if entry is None:
        raise nothing_named(snapshot, name, id.name, tools=True, cell=True)
    if not entry.is_tool:
        raise Refused(ErrorKind.INVALID, f"{id} is no tool: %registry shows the tools")
    return entry


def _arguments(schema: Json) -> str:
    """The properties of an input schema as a table."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(schema, dict) or not isinstance(properties, dict) or not properties:
        return "It takes no named arguments."
    needed = schema.get("required")
    required = needed if isinstance(needed, list) else []
    rows = [
        (code(name), _type(each), "yes" if name in required else "", _meaning(each))
        for name, each in list(properties.items())[:MAX_ROWS]
    ]
    return table(("argument", "type", "required", "meaning"), rows)


def _type(schema: Json) -> str:
    said = schema.get("type") if isinstance(schema, dict) else None
    types = said if isinstance(said, list) else [said]
    return ", ".join(code(each) for each in types if isinstance(each, str))


def _meaning(schema: Json) -> str:
    said = schema.get("description") if isinstance(schema, dict) else None
    return prose(shorten(said, MAX_TEXT)) if isinstance(said, str) else ""


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(code(shorten(text, MAX_TEXT)) for text in texts)


def _origin(first: Version) -> str:
    said = first.said_by_agent
    words = [f"on {minute_of(first.time)} by {code(said.get('Model') or first.actor)}"]
    if prompt := said.get("Prompt"):
        words.append(f"for {code(prompt)}")
    if session := said.get("Session"):
        cell = said.get("Cell")
        words.append(f"in session {code(session)}" + (f", cell {code(cell)}" if cell else ""))
    return " ".join(words)


def _used(uses: Uses) -> str:
    if not uses.calls:
        return "never on this machine"
    return f"{many(uses.calls, 'time')}, {uses.failed:,} of them failed"


def _cost(cost: Cost) -> str:
    return f"{money(cost.money)}, {cost.tokens:,} tokens" if cost.is_known else NOT_KNOWN


def _row(id: EntryId, version: Version) -> tuple[str, ...]:
    said = version.said_by_agent
    action = next((action for action, changed in version.operations if changed == id), "")
    texts = (action, version.actor, said.get("Tests", ""), said.get("Cost", ""))
    when = minute_of(version.time)
    return (f"v{version.number}", code(short_commit(version.commit)), when, *(code(text) for text in texts))
