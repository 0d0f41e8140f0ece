"""A small double of the host's services, and what a program that ran came to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.request import HttpLimits, parse_request
from micro_agi_kernel.interfaces import CallOutcome
from micro_agi_kernel.lua_modules import load_all
from micro_agi_kernel.values import Value, shorten

SEED, APPLIED = "a1" * 20, "b2" * 20
ENTRY: dict[str, Value] = {
    "id": "app.tools:load_tool",
    "kind": "function.lua",
    "meta": {"type": "tool"},
    "data": {"method": "handler"},
}


@dataclass
class Host:
    """Answers each operation as the host would, and keeps what it was asked."""

    asked: list[tuple[str, Value]] = field(default_factory=list)

    async def request(self, op: str, payload: Value) -> Value:
        if payload == []:  # an empty table of Lua
            payload = {}
        self.asked.append((op, payload))
        assert isinstance(payload, dict), f"{op} was sent {payload!r}"
        return ANSWERS[op](payload)


def _not_found(id: Value) -> Refused:
    return Refused(ErrorKind.NOT_FOUND, f"not found: {shorten(str(id))}", retryable=False)


def _http(payload: dict[str, Value]) -> dict[str, Value]:
    """Checked as the host does; the answer is the request's body, or that of the page asked for."""
    request = parse_request(payload, HttpLimits())
    if "192.168." in str(request.target):
        raise Refused(
            ErrorKind.PERMISSION_DENIED, "policy denied: http_client.private_ip on 192.168.1.1", retryable=False
        )
    headers: Value = {"Content-Type": "application/json", "X-Request-Id": "7"}
    body = PAGES.get(str(request.target), payload.get("body", ""))
    return {"status_code": 200, "headers": headers, "cookies": {"id": "8"}, "body": body, "url": str(request.target)}


def _batch(payload: dict[str, Value]) -> Value:
    def one(request: Value) -> Value:
        assert isinstance(request, dict)
        try:
            return {"response": _http(request)}
        except Refused as error:
            return {"error": error.as_error().as_json()}

    assert isinstance(payload["requests"], list)
    return [one(request) for request in payload["requests"]]


def _open(payload: dict[str, Value]) -> Value:
    response = _http(payload)
    body = response.pop("body")
    unread = body if isinstance(body, bytes) else str(body).encode()
    number = len(_streams) + 1
    _streams[number] = unread
    return {**response, "stream": number, "size": len(unread)}


def _read(payload: dict[str, Value]) -> Value:
    number, size = payload["stream"], payload.get("size", 64)
    assert isinstance(number, int) and isinstance(size, int)
    data, _streams[number] = _streams[number][:size], _streams[number][size:]
    return data or None


PAGES: dict[str, Value] = {
    "https://api.example.com/lines": "first\r\nsecond\n\nfourth",
    "https://api.example.com/bytes": b"ab\xff\xe2\x82\xac\xe2\x82",
    "https://api.example.com/large": "x" * 1000,
}
_streams: dict[int, bytes] = {}


def _get(payload: dict[str, Value]) -> Value:
    if payload["id"] == ENTRY["id"]:
        return ENTRY
    raise _not_found(payload["id"])


def _apply(payload: dict[str, Value]) -> Value:
    assert payload["commit"] == SEED
    return {"commit": APPLIED, "version": 2}


def _page(payload: dict[str, Value]) -> Value:
    if payload["path"] == "lua/core/time":
        return "# time\n\nThe current time."
    raise _not_found(payload["path"])


def _call(payload: dict[str, Value]) -> Value:
    match payload:
        case {"id": "app.generated:add", "input": {"a": int(a), "b": int(b)}}:
            return a + b
        case {"id": "app.generated:echo"}:
            return payload.get("input")
    raise _not_found(payload["id"])


CONTEXT: dict[str, Value] = {
    "agent_id": "app:dev_assistant",
    "region": "eu",
    "limits": {"pages": 3},
    "languages": ["en", "fr"],
}


def _value(payload: dict[str, Value]) -> Value:
    if (key := payload["key"]) in CONTEXT:
        return CONTEXT[str(key)]
    raise Refused(ErrorKind.NOT_FOUND, f"key not found: {shorten(str(key))}", retryable=False)


def _evaluate(payload: dict[str, Value]) -> Value:
    denied = str(payload["resource"]).startswith("app:")
    return {"result": "deny" if denied else "undefined", "policy": "app:deny_core_ns" if denied else None}


def _snapshot(payload: dict[str, Value]) -> Value:
    return {"commit": APPLIED, "version": 2} if payload.get("commit") == APPLIED else {"commit": SEED, "version": 1}


def _version(payload: dict[str, Value]) -> Value:
    """The double's registry has two versions: the seed, and what `apply` wrote."""
    versions = [{**_ROW, "commit": SEED, "version": 1, "subject": "Change 12 entries"}, _ROW]
    number = {"v1": 1, SEED: 1, "v2": 2, APPLIED: 2}.get(str(payload["commit"]))
    if number is None:
        raise _not_found(payload["commit"])
    number += {None: 0, "previous": -1, "next": 1}[payload.get("step")]  # type: ignore[index]
    return versions[number - 1] if number in (1, 2) else None


_HEAD: dict[str, Value] = {"id": ENTRY["id"], "kind": ENTRY["kind"], "type": "tool"}
_STEP: dict[str, Value] = {"kind": "entry.create", "entry": ENTRY}
_ROW: dict[str, Value] = {
    "commit": APPLIED,
    "version": 2,
    "subject": "Create app.generated:hello",
    "actor": "service:agent",
    "time": "2026-11-23T10:15:00Z",
}

ANSWERS: dict[str, Callable[[dict[str, Value]], Value]] = {
    "http.request": _http,
    "http.batch": _batch,
    "http.open": _open,
    "http.read": _read,
    "http.close": lambda payload: None,
    "registry.get": _get,
    "registry.find": lambda payload: {"entries": [_HEAD], "total": 1} if payload.get("heads") else [ENTRY],
    "registry.entries": lambda payload: [ENTRY],
    "registry.snapshot": _snapshot,
    "registry.apply": _apply,
    "registry.version": _version,
    "registry.versions": lambda payload: [_ROW],
    "registry.similar": lambda payload: [{"id": "a:c", "title": "", "comment": "", "why": "same code"}],
    "registry.uses": lambda payload: {"calls": 3, "failed": 1},
    "registry.history": lambda payload: [_ROW],
    "registry.delta": lambda payload: [] if payload["from"] == payload["to"] else [_STEP],
    "registry.apply_version": lambda payload: {"commit": "c3" * 20, "version": 3},
    "security.named_scope": lambda payload: {"id": payload["id"], "policies": ["app:deny_core_ns"]},
    "security.evaluate": _evaluate,
    "docs.page": _page,
    "docs.search": lambda payload: [{"path": "lua/core/time", "title": "time", "excerpt": "The current time."}],
    "docs.remote": lambda payload: None,
    "ctx.all": lambda payload: CONTEXT,
    "ctx.get": _value,
    "funcs.call": _call,
}


@dataclass
class Ran:
    """What a program came to."""

    outcome: CallOutcome
    output: str
    asked: list[tuple[str, Value]]

    @property
    def value(self) -> Any:
        assert self.outcome.error is None, self.outcome.error
        return self.outcome.value


RunLua = Callable[..., Awaitable[Ran]]
"""`await run_lua(source, input)`: the fixture of conftest.py."""

ALL_MODULES = tuple(load_all())
