"""The registry as Lua meets it: reading at a commit, and changesets that go to the publisher."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

from micro_agi_kernel.entries import Changeset, Entry, EntryId, Operation
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.host.arguments import count, invalid, optional_text, text
from micro_agi_kernel.host.service import Grant, Handler, Payload, in_thread
from micro_agi_kernel.interfaces import Published, Publisher
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.registry import Registry, Snapshot, Version, changeset_between
from micro_agi_kernel.values import Json, Value, as_json, as_value, shorten

MAX_OPERATIONS = 1_000
MAX_HISTORY = 200
MAX_FOUND = 100_000
"""Entries of one answer: more than the pipe to a tool carries, so that only a smaller limit cuts a list short."""


class RegistryService:
    """Answers `registry.*`."""

    module = "registry"

    def __init__(self, registry: Registry, permissions: Permissions, publisher: Publisher) -> None:
        self._registry = registry
        self._permissions = permissions
        self._publisher = publisher
        self.handlers: Mapping[str, Handler] = {
            "registry.get": in_thread(self._get),
            "registry.snapshot": in_thread(self._snapshot),
            "registry.find": in_thread(self._find),
            "registry.entries": in_thread(self._entries),
            "registry.versions": in_thread(self._versions),
            "registry.history": in_thread(self._history),
            "registry.apply": self._apply,
            "registry.apply_version": self._apply_version,
        }

    def _get(self, payload: Payload, grant: Grant) -> Value:
        id = EntryId.parse(text(payload, "id"))
        self._permissions.tool_may(grant.entry, "registry.get", str(id))
        entry = self._at(payload).get(id)
        if entry is None:
            raise Refused(ErrorKind.NOT_FOUND, f"not found: {id}")
        return _value(entry)

    def _snapshot(self, payload: Payload, grant: Grant) -> Value:
        snapshot = self._at(payload)
        return {"commit": snapshot.commit, "version": snapshot.number}

    def _find(self, payload: Payload, grant: Grant) -> Value:
        criteria = payload.get("filter") or {}
        if not isinstance(criteria, dict):
            raise invalid("filter must be a table of fields")
        words = (optional_text(payload, "query") or "").casefold().split()
        limit = count(payload, "limit", MAX_FOUND, MAX_FOUND)
        found = [entry for entry in self._at(payload).find(_json(criteria)) if _holds(entry, words)]
        readable = self._readable(found, grant)
        if payload.get("heads") is True:
            return {"entries": [_head(entry) for entry in readable[:limit]], "total": len(readable)}
        return [_value(entry) for entry in readable[:limit]]

    def _entries(self, payload: Payload, grant: Grant) -> Value:
        found = self._at(payload).entries(optional_text(payload, "namespace"))
        return [_value(entry) for entry in self._readable(found, grant)]

    def _versions(self, payload: Payload, grant: Grant) -> Value:
        limit = count(payload, "limit", 20, MAX_HISTORY)
        return [_version(version) for version in self._registry.versions(limit)]

    def _history(self, payload: Payload, grant: Grant) -> Value:
        id = EntryId.parse(text(payload, "id"))
        self._permissions.tool_may(grant.entry, "registry.get", str(id))
        limit = count(payload, "limit", 20, MAX_HISTORY)
        return [_version(version) for version in self._registry.versions(limit, id=id)]

    async def _apply(self, payload: Payload, grant: Grant) -> Value:
        listed = payload.get("operations")
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_OPERATIONS:
            raise invalid(f"operations must be a list of 1 to {MAX_OPERATIONS}")
        changeset = Changeset(tuple(_operation(item) for item in listed))
        return _published(
            await self._publisher.publish(changeset, grant.context, base=optional_text(payload, "commit"))
        )

    async def _apply_version(self, payload: Payload, grant: Grant) -> Value:
        changeset, base = await asyncio.to_thread(self._restoring, payload)
        return _published(await self._publisher.publish(changeset, grant.context, base=base))

    def _restoring(self, payload: Payload) -> tuple[Changeset, str]:
        """What brings back the wanted version, and the commit that it starts from."""
        current = self._registry.snapshot()
        return changeset_between(current, self._at(payload)), current.commit

    def _at(self, payload: Payload) -> Snapshot:
        return self._registry.snapshot(optional_text(payload, "commit"))

    def _readable(self, entries: list[Entry], grant: Grant) -> list[Entry]:
        readable: list[Entry] = []
        for entry in entries:
            try:
                self._permissions.tool_may(grant.entry, "registry.get", str(entry.id))
            except Refused:
                continue  # what may not be read is not listed either
            readable.append(entry)
        return readable


def _value(entry: Entry) -> Value:
    return as_value(entry.as_json())


def _head(entry: Entry) -> Value:
    """What a list shows of an entry; what it does not say as text is None."""
    return {
        "id": str(entry.id),
        "kind": entry.kind,
        "type": entry.type,
        "title": entry.text("title") or None,
        "comment": entry.text("comment") or None,
    }


def _holds(entry: Entry, words: list[str]) -> bool:
    """Whether id, title and comment together hold all `words`, which are in folded case."""
    shown = f"{entry.id} {entry.text('title')} {entry.text('comment')}".casefold()
    return all(word in shown for word in words)


def _version(version: Version) -> Value:
    return {
        "commit": version.commit,
        "version": version.number,
        "subject": version.subject,
        "actor": version.actor,
        "time": version.time.isoformat(),
    }


def _published(published: Published) -> Value:
    return {"commit": published.commit, "version": published.version}


def _operation(item: Value) -> Operation:
    """One operation as Lua spells it: `{action, id?, entry?}`. Raises Refused."""
    if not isinstance(item, dict):
        raise invalid("each operation must be a table")
    try:
        match item.get("action"):
            case "create" | "update" as action:
                entry = _entry(item.get("entry"))
                return Operation(action, entry.id, entry)
            case "delete":
                return Operation("delete", EntryId.parse(text(item, "id")))
            case other:
                raise invalid(f"action must be create, update or delete, not {shorten(str(other))!r}")
    except EntryError as error:
        raise invalid(str(error)) from error


def _entry(value: Value) -> Entry:
    if not isinstance(value, dict):
        raise invalid("entry must be a table with id, kind, meta and data")
    meta, data = value.get("meta") or {}, value.get("data") or {}
    if not isinstance(meta, dict) or not isinstance(data, dict):
        raise invalid("meta and data of an entry must be tables with text keys")
    return Entry(EntryId.parse(text(value, "id")), text(value, "kind"), _json(meta), _json(data))


def _json(value: dict[str, Value]) -> dict[str, Json]:
    """`value` when it holds no byte strings. Raises Refused."""
    try:
        return cast(dict[str, Json], as_json(value, "value"))
    except EntryError as error:
        raise invalid(str(error)) from error
