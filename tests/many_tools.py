"""Tools as a registry has them after months: as many as wanted, each with a description and a schema of real size."""

from __future__ import annotations

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.values import Json

_ACTIONS = {
    "list": "Lists the {things} that fit, newest first, with the fields that a person asks for most",
    "read": "Reads one of the {things} whole, with its history and who changed it last",
    "count": "Counts the {things} by day, week or month, and says how that compares with the period before",
    "export": "Writes the {things} as CSV or JSON lines, with the columns in the order that was asked for",
    "compare": "Compares the {things} of two sources and tells what is missing, what is new and what differs",
    "check": "Checks the {things} against the rules of the house and explains each finding in one sentence",
    "forecast": "Estimates how the {things} will go on in the coming weeks, with a range for each value",
    "merge": "Joins the {things} that mean the same, keeps the older name and reports what was joined",
}
_THINGS = (
    *("invoices", "tickets", "commits", "sensors", "recipes", "flights", "contracts", "measurements", "visitors"),
    *("deliveries", "translations", "backups", "meetings", "readings", "payments", "releases", "subscribers"),
    *("experiments", "proteins", "galaxies", "timetables", "warehouses", "surveys", "certificates", "rivers"),
)
MOST = len(_ACTIONS) * len(_THINGS)
_PROPERTIES: tuple[tuple[str, dict[str, Json]], ...] = (
    ("source", {"type": "string", "description": "Address or name of the source that is read, without a path"}),
    ("since", {"type": "string", "format": "date", "description": "First day, as 2025-03-01; all days without it"}),
    ("limit", {"type": "integer", "minimum": 1, "maximum": 500, "description": "How many at most, 50 unless given"}),
    ("order", {"type": "string", "enum": ["name", "date", "size"], "description": "What the answer is sorted by"}),
    ("fields", {"type": "array", "items": {"type": "string"}, "description": "Names of the fields that are wanted"}),
    ("strict", {"type": "boolean", "description": "Whether one unreadable record makes the whole call fail"}),
)


def many_tools(count: int) -> list[Entry]:
    """`count` different tools of app.generated, at most MOST; their schemas have 3 to 6 properties."""
    names = [(action, things) for things in _THINGS for action in _ACTIONS][:count]
    return [_tool(action, things, 3 + number % 4) for number, (action, things) in enumerate(names)]


def _tool(action: str, things: str, properties: int) -> Entry:
    description = f"{_ACTIONS[action].format(things=things)}. Gives a table, and a note when the source was cut."
    schema: Json = {"type": "object", "properties": dict(_PROPERTIES[:properties]), "required": ["source"]}
    id = EntryId("app.generated", f"{action}_{things}")
    meta: dict[str, Json] = {
        "type": "tool",
        "comment": description,
        "input_schema": schema,
        "llm_alias": id.name,
        "llm_description": description,
    }
    source = "return { handler = function(input) return { rows = {}, source = input.source } end }\n"
    return Entry(id, "function.lua", meta, {"source": source, "modules": [], "method": "handler"})
