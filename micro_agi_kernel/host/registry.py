"""The registry as Lua meets it: reading at a commit, and changesets that go to the publisher."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import cast

from micro_agi_kernel.entries import AGENT, Changeset, Entry, EntryId, Operation
from micro_agi_kernel.errors import EntryError, ErrorKind, NoSuchRevision, Refused
from micro_agi_kernel.host.arguments import count, invalid, optional_text, text
from micro_agi_kernel.host.service import Grant, Handler, Payload, in_thread
from micro_agi_kernel.interfaces import CallContext, Published, Publisher
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.pinning import Pin
from micro_agi_kernel.registry import Head, Registry, Snapshot, Version, operation_between
from micro_agi_kernel.registry.store import NEWEST
from micro_agi_kernel.registry.uses import UseCounter
from micro_agi_kernel.rollback import restore
from micro_agi_kernel.values import Json, Value, as_json, as_value, shorten

MAX_OPERATIONS = 1_000
MAX_HISTORY = 200
MAX_ANSWER = 8 << 20
"""Characters of the entries in one answer: what the pipe to a tool carries."""
MAX_SIMILAR = 5
"""Tools that are named as similar to one."""
MAX_TITLE, MAX_COMMENT = 80, 300
MAX_FOUND = 100_000
"""Entries of one answer: more than the pipe to a tool carries, so that only a smaller limit cuts a list short."""
_TOLD = ("Policy", "Tests", "Cost", "Model", "Prompt", "Session", "Cell")
"""Trailers of a commit that the history of an entry shows."""


class RegistryService:
    """Answers `registry.*`."""

    module = "registry"

    def __init__(
        self, registry: Registry, pin: Pin, permissions: Permissions, publisher: Publisher, uses: UseCounter
    ) -> None:
        self._registry = registry
        self._pin = pin
        self._uses = uses
        self._permissions = permissions
        self._publisher = publisher
        self.handlers: Mapping[str, Handler] = {
            "registry.get": in_thread(self._get),
            "registry.snapshot": in_thread(self._snapshot),
            "registry.find": in_thread(self._find),
            "registry.similar": in_thread(self._similar),
            "registry.entries": in_thread(self._entries),
            "registry.version": in_thread(self._version),
            "registry.versions": in_thread(self._versions),
            "registry.history": in_thread(self._history),
            "registry.uses": in_thread(self._used),
            "registry.delta": in_thread(self._delta),
            "registry.apply": self._apply,
            "registry.apply_version": self._apply_version,
        }

    def _get(self, payload: Payload, grant: Grant) -> Value:
        id = EntryId.parse(text(payload, "id"))
        self._permissions.check_action(grant.entry, "registry.get", str(id))
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
        limit = count(payload, "limit", MAX_FOUND, MAX_FOUND)
        snapshot, policies = self._at(payload), self._registry.snapshot()
        found, _ = snapshot.search(optional_text(payload, "query") or "", _json(criteria))
        readable = [head for head in found if self._may_read(head.id, grant, policies)]
        if payload.get("heads") is True:
            return {"entries": [_head(head) for head in readable[:limit]], "total": len(readable)}
        return _values(snapshot.several(head.id for head in readable[:limit]))

    def _similar(self, payload: Payload, grant: Grant) -> Value:
        """The tool that an entry would write over, if this session did not write that last, and tools like the entry.

        What is no news (the entry stands as it is) is not named; the tools are those of `Snapshot.similar`.
        """
        snapshot, entry = self._registry.snapshot(), _entry(payload.get("entry"))
        standing = self._standing(entry, grant, snapshot)
        found = snapshot.similar(entry)
        readable = [each for each in found if self._may_read(each.head.id, grant, snapshot)]
        alike = [_shown(each.head.id, each.head.title, each.head.comment, each.why) for each in readable[:MAX_SIMILAR]]
        return [*standing, *alike]

    def _standing(self, entry: Entry, grant: Grant, snapshot: Snapshot) -> list[Value]:
        """The other entry of its id, with the commit that made it what it is, as a list of one or none."""
        there = snapshot.get(entry.id)
        if there is None or there == entry or not self._may_read(entry.id, grant, snapshot):
            return []
        last = next(self._registry.versions(1, id=entry.id, start=snapshot.commit))
        if last.said_by_agent.get("Session") == grant.context.provenance.session:
            return []
        uses = self._uses.of(entry.id)
        shown = _shown(entry.id, there.text("title"), there.text("comment"), "same name")
        return [{**shown, "commit": last.commit, "uses": {"calls": uses.calls, "failed": uses.failed}}]

    def _entries(self, payload: Payload, grant: Grant) -> Value:
        snapshot, policies = self._at(payload), self._registry.snapshot()
        ids = snapshot.ids(optional_text(payload, "namespace"))
        return _values(snapshot.several(id for id in ids if self._may_read(id, grant, policies)))

    def _version(self, payload: Payload, grant: Grant) -> Value:
        """One version, or the one before or after it: None where there is none."""
        version = self._registry.version(self._at(payload).commit)
        match payload.get("step"):
            case None:
                return self._row(version, grant)
            case "previous":
                return self._row(self._registry.version(version.parents[0]), grant) if version.parents else None
            case "next":
                return self._next(version, grant)
        raise invalid("step must be previous or next")

    def _next(self, version: Version, grant: Grant) -> Value:
        if version.commit == self._pin.commit:
            return None
        try:
            after = self._registry.version(f"v{version.number + 1}")
        except NoSuchRevision:
            return None
        return self._row(after, grant) if version.commit in after.parents[:1] else None

    def _versions(self, payload: Payload, grant: Grant) -> Value:
        limit = count(payload, "limit", 20, MAX_HISTORY)
        return [self._row(version, grant) for version in self._registry.versions(limit, start=self._pin.commit or None)]

    def _history(self, payload: Payload, grant: Grant) -> Value:
        id = EntryId.parse(text(payload, "id"))
        self._permissions.check_action(grant.entry, "registry.get", str(id))
        limit = count(payload, "limit", 20, MAX_HISTORY)
        versions = self._registry.versions(limit, id=id, start=self._pin.commit or None)
        return [{**self._row(version, grant), **_said(version, id)} for version in versions]

    def _used(self, payload: Payload, grant: Grant) -> Value:
        """How often an entry was called on this machine, and how often that failed."""
        id = EntryId.parse(text(payload, "id"))
        self._permissions.check_action(grant.entry, "registry.get", str(id))
        uses = self._uses.of(id)
        return {"calls": uses.calls, "failed": uses.failed}

    def _delta(self, payload: Payload, grant: Grant) -> Value:
        """What turns one commit's entries into those of another, as Lua's Changes spells it."""
        before, after = self._registry.snapshot(text(payload, "from")), self._registry.snapshot(text(payload, "to"))
        ids = [id for _, id in before.changes_to(after)[0] if self._may_read(id, grant)]
        if len(ids) > MAX_OPERATIONS:
            raise invalid(f"the snapshots differ in {len(ids)} entries; {MAX_OPERATIONS} at most")
        steps: list[tuple[str, Entry]] = []
        for id in ids:
            with suppress(EntryError):  # as in every list, what is broken is left out
                for operation in operation_between(before, after, id):
                    entry = operation.entry or before.get(id)
                    if entry is not None:
                        steps.append((f"entry.{operation.action}", entry))
        entries = _values(entry for _, entry in steps)
        return [{"kind": kind, "entry": entry} for (kind, _), entry in zip(steps, entries, strict=True)]

    async def _apply(self, payload: Payload, grant: Grant) -> Value:
        await asyncio.to_thread(self._pin.check_writable)
        listed = payload.get("operations")
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_OPERATIONS:
            raise invalid(f"operations must be a list of 1 to {MAX_OPERATIONS}")
        changeset = Changeset(tuple(_operation(item) for item in listed))
        return _published(
            await self._publisher.publish(changeset, _by_agent(grant), base=optional_text(payload, "commit"))
        )

    async def _apply_version(self, payload: Payload, grant: Grant) -> Value:
        await asyncio.to_thread(self._pin.check_writable)
        commit = await asyncio.to_thread(self._restorable, payload)
        done = await restore(self._registry, self._publisher, _by_agent(grant), commit)
        if done.published is None:
            return await asyncio.to_thread(self._snapshot, {}, grant)
        return _published(done.published)

    def _restorable(self, payload: Payload) -> str:
        """The commit to bring back. Raises Refused when that would take too many operations."""
        wanted = self._at(payload)
        count = len(self._registry.snapshot().changes_to(wanted)[0])
        if count > MAX_OPERATIONS:
            raise invalid(f"the version differs from the newest in {count} entries; {MAX_OPERATIONS} at most")
        return wanted.commit

    def _at(self, payload: Payload) -> Snapshot:
        rev = optional_text(payload, "commit")
        return self._pin.current() if rev is None or rev in NEWEST else self._registry.snapshot(rev)

    def _may_read(self, id: EntryId, grant: Grant, policies: Snapshot | None = None) -> bool:
        """Whether the entry may be read, and so be listed, under the policies of a snapshot or the newest."""
        try:
            self._permissions.check_action(grant.entry, "registry.get", str(id), policies)
        except Refused:
            return False
        return True

    def _row(self, version: Version, grant: Grant) -> dict[str, Value]:
        """A version as Lua reads it; its subject names an entry only to who may read that."""
        named = [id for _, id in version.operations] if len(version.operations) == 1 else []
        return {
            "commit": version.commit,
            "version": version.number,
            "subject": version.subject if all(self._may_read(id, grant) for id in named) else "",
            "actor": version.actor,
            "time": version.time.isoformat(),
        }


def _by_agent(grant: Grant) -> CallContext:
    """The context of what Lua writes: so that policies are asked, whoever made the call."""
    return replace(grant.context, actor=AGENT)


def _said(version: Version, id: EntryId) -> dict[str, Value]:
    """What a commit did to an entry, and what it says of how that came about."""
    said: dict[str, Value] = {key.lower(): text for key, text in version.said_by_agent.items() if key in _TOLD}
    action = next((action for action, changed in version.operations if changed == id), None)
    return {"action": action, **said} if action is not None else said


def _values(entries: Iterable[Entry]) -> list[Value]:
    """The entries as one answer. Raises Refused as soon as they are more than a tool can be sent."""
    values: list[Value] = []
    size = 0
    for entry in entries:
        size += len(json.dumps(entry.as_json(), ensure_ascii=False))
        if size > MAX_ANSWER:
            raise invalid(f"more than {MAX_ANSWER >> 20} MiB of entries: ask for fewer, with find or list")
        values.append(_value(entry))
    return values


def _value(entry: Entry) -> Value:
    return as_value(entry.as_json())


def _head(head: Head) -> Value:
    """What a list shows of an entry; what it does not say as text is None."""
    return {
        "id": str(head.id),
        "kind": head.kind,
        "type": head.type,
        "title": head.title or None,
        "comment": head.comment or None,
    }


def _shown(id: EntryId, title: str, comment: str, why: str) -> dict[str, Value]:
    """What is shown of a tool that is like another."""
    return {"id": str(id), "title": shorten(title, MAX_TITLE), "comment": shorten(comment, MAX_COMMENT), "why": why}


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
