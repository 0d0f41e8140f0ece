"""The host's side of the pipe: a child that broke out asks for whatever it likes, and gets errors for it."""

from __future__ import annotations

import itertools
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from house_kit import GOOD, House, create, git, policy, tool

from micro_agi_kernel import entries
from micro_agi_kernel.errors import ErrorKind, MicroAgiError, Refused
from micro_agi_kernel.host import http as http_package
from micro_agi_kernel.permissions import AGENT_SCOPE, TOOL_SCOPE, Permissions
from micro_agi_kernel.registry import Registry, tree_entries
from micro_agi_kernel.sandbox.frames import MAX_VALUE
from micro_agi_kernel.values import Value

SERVICES = ("ctx", "docs", "funcs", "http_client", "registry", "security")

VALID: dict[str, dict[str, Any]] = {
    "ctx.get": {"key": "agent_id"},
    "ctx.all": {},
    "docs.page": {"path": "lua/core/time"},
    "docs.search": {"query": "time", "limit": 3},
    "docs.remote": {},
    "funcs.call": {"id": "app.tools:registry_list", "input": {"namespace": "app"}},
    "http.request": {
        "method": "GET",
        "url": "http://127.0.0.1:9/",
        "headers": {"Accept": "*/*"},
        "query": {"a": 1},
        "body": "x",
        "timeout": 1,
    },
    "http.batch": {"requests": [{"method": "PROPFIND", "url": "http://127.0.0.1:9/", "cookies": {"a": "b"}}]},
    "http.open": {
        "method": "POST",
        "url": "https://127.0.0.1:9/",
        "form": {"a": [1, "b"]},
        "files": [{"name": "f", "filename": "f.txt", "content": "c", "content_type": "text/plain"}],
        "auth": {"user": "u", "pass": "p"},
        "max_response_body": 1,
        "redirects": 1,
        "tls": {"server_name": "a.example", "insecure_skip_verify": True},
        "unix_socket": "/nowhere/socket",
    },
    "http.read": {"stream": 1, "size": 1},
    "http.close": {"stream": 1},
    "registry.get": {"id": "app:gpt-5.1", "commit": "main"},
    "registry.snapshot": {"commit": "main"},
    "registry.find": {
        "filter": {".kind": "function.lua", ".ns": "app*", "meta.type": "tool"},
        "query": "tool",
        "limit": 3,
        "heads": True,
        "commit": "main",
    },
    "registry.similar": {
        "entry": {"id": "app.generated:x", "kind": "function.lua", "meta": {"type": "tool"}, "data": {"source": GOOD}},
    },
    "registry.entries": {"namespace": "app.tools", "commit": "main"},
    "registry.version": {"commit": "main", "step": "previous"},
    "registry.versions": {"limit": 3},
    "registry.history": {"id": "app:gpt-5.1", "limit": 3},
    "registry.uses": {"id": "app:gpt-5.1"},
    "registry.delta": {"from": "main", "to": "main"},
    "registry.apply": {
        "commit": "main",
        "operations": [
            {
                "action": "create",
                "id": "app.generated:x",
                "entry": {
                    "id": "app.generated:x",
                    "kind": "function.lua",
                    "meta": {"type": "tool", "comment": "c", "llm_alias": "x", "input_schema": {"type": "object"}},
                    "data": {"source": GOOD, "modules": ["time"], "method": "handler"},
                },
            }
        ],
    },
    "registry.apply_version": {"commit": "main"},
    "security.named_scope": {"id": "app:agent_security"},
    "security.evaluate": {
        "scope": "app:agent_security",
        "actor": {"id": "service:agent", "meta": {"role": "agent"}},
        "action": "registry.create",
        "resource": "app:x",
        "meta": {"a": 1},
    },
}


def nested(depth: int) -> Any:
    value: Any = {"x": 1}
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    1 << 62,
    1.5,
    "",
    "x",
    "a:b",
    "app.generated:x",
    ":" * 100,
    "main~999999999",
    "main^^^^~0~1",
    "v999999999",
    "0" * 40,
    "dead",
    "../../etc/passwd",
    "a\0b\n\x1b[31m",
    "\ud800",
    "é" * 1_000,
    "x" * 1_000_000,
    b"",
    b"\xff\xfe",
    [],
    [None],
    [b"\xff", {}],
    {},
    {"": 1},
    {"~x": 1, ".bad": 2},
    {".kind": [], ".ns": {}, ".id": None, "meta.type": [1, {}]},
    {"id": b"\xff", "meta": [1]},
    {"x": b"\xff"},
    {"x": float("nan")},
    nested(100),
    nested(400),
)


def variants(value: Any) -> Iterator[Any]:
    """`value` with one of its parts, at any depth, hostile or missing."""
    yield from HOSTILE
    if isinstance(value, dict):
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: part} for part in variants(value[key]))
        yield {**value, "unknown": 1}
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from ([*value[:index], part, *value[index + 1 :]] for part in variants(value[index]))


async def test_every_operation_has_an_example(house: House) -> None:
    assert set(VALID) == set(house._functions._host._handlers)


@pytest.mark.parametrize("op", VALID)
async def test_hostile_payloads_are_refused_in_words(house: House, op: str) -> None:
    """Nothing but a MicroAgiError of one line comes out, and what is written is a sound registry."""
    host = house.host(*SERVICES)
    payloads = list(variants(VALID[op]))
    if op in ("registry.apply", "funcs.call"):
        payloads = random.Random(op).sample(payloads, min(400, len(payloads)))
    for payload in payloads:
        try:
            await host.request(op, payload)
        except MicroAgiError as error:
            assert "\n" not in str(error) and len(str(error)) < 2_000, (op, str(error)[:200])
    assert git(house.registry.path, "fsck", "--strict") == ""
    assert house.registry.snapshot().problems() == []


async def test_operations_are_granted_by_module(house: House) -> None:
    by_module = {name: module for name, (module, _) in house._functions._host._handlers.items()}
    for op, module in itertools.product(VALID, (*SERVICES, "time", "registry ", "")):
        if by_module[op] == module:
            continue
        with pytest.raises(Refused, match=f"^not granted: {op}$") as caught:
            await house.host(module).request(op, VALID[op])
        assert caught.value.kind == ErrorKind.PERMISSION_DENIED


@pytest.mark.parametrize(
    "op", ["", "registry", "registry.", "registry.get ", "Registry.get", "os.execute", "x" * 10_000, "\0"]
)
async def test_unknown_operations(house: House, op: str) -> None:
    with pytest.raises(Refused, match=r"^not granted: ") as caught:
        await house.host(*SERVICES).request(op, {})
    assert len(str(caught.value)) < 120


async def test_payloads_are_tables(house: House) -> None:
    for payload in (None, 1, "x", b"x", [{"id": "app:x"}]):
        with pytest.raises(Refused, match=r"the arguments of registry\.get must be a table"):
            await house.host("registry").request("registry.get", payload)
    with pytest.raises(Refused, match="id must be a UTF-8 string"):  # an empty table of Lua comes as a list
        await house.host("registry").request("registry.get", [])


async def ids_of(house: House, op: str, payload: dict[str, Value]) -> set[str]:
    return {entry["id"] for entry in await house.host("registry").request(op, payload)}


async def test_what_may_not_be_read_is_not_listed(house: House) -> None:
    hidden = policy("app:hidden", "deny", "registry.get", "app.generated:secret*")
    before = house.write(*create(tool("secret"), tool("open"))).commit
    house.write(*create(hidden))
    for payload in ({}, {"namespace": "app.generated"}, {"commit": before}):
        assert "app.generated:open" in await ids_of(house, "registry.entries", payload)
        assert "app.generated:secret" not in await ids_of(house, "registry.entries", payload)
    for filter in ({".name": "secret"}, {".id": "app.generated:secret"}, {"meta.llm_alias": "secret"}):
        assert await ids_of(house, "registry.find", {"filter": filter, "commit": before}) == set()
    for op in ("registry.get", "registry.history"):
        for payload in ({}, {"commit": before}):
            with pytest.raises(Refused, match=r"registry\.get on app\.generated:secret \(policy app:hidden\)$"):
                await house.host("registry").request(op, {"id": "app.generated:secret", **payload})
    listed = (await house.run("app.tools:registry_list", {"namespace": "app.generated"})).value
    assert isinstance(listed, dict) and listed["total"] == 1
    for name in ("registry_read", "load_tool"):
        read = (await house.run(f"app.tools:{name}", {"id": "app.generated:secret"})).value
        assert read == {"error": "policy denied: registry.get on app.generated:secret (policy app:hidden)"}


# -- listing


async def listed(house: House, **input: Any) -> Any:
    outcome = await house.run("app.tools:registry_list", input)
    assert outcome.ok, outcome.error
    return outcome.value


async def test_a_list_holds_what_was_asked_for(house: House) -> None:
    plain, other = tool("plain", title="Straße 7", comment="Measures ROADS"), tool("other", comment="nothing")
    house.write(*create(plain, other))
    head = {"id": "app.generated:plain", "kind": "function.lua", "type": "tool"}
    head |= {"title": "Straße 7", "comment": "Measures ROADS"}
    for query in ("roads", "STRASSE measures", "PLAIN  roads 7", "generated:pl"):
        assert await listed(house, query=query) == {"entries": [head], "total": 1, "truncated": False}, query
    assert await listed(house, query="roads nothing") == {"entries": [], "total": 0, "truncated": False}
    both = await listed(house, namespace="app.generated", limit=1)
    assert [entry["id"] for entry in both["entries"]] == ["app.generated:other"]
    assert (both["total"], both["truncated"]) == (2, True) and "title" not in both["entries"][0]
    find = {"filter": {".ns": "app.generated"}, "query": "roads"}
    assert await ids_of(house, "registry.find", find) == {"app.generated:plain"}
    assert len(await ids_of(house, "registry.find", {"limit": 2})) == 2


async def test_a_list_of_more_source_than_the_pipe_carries(house: House) -> None:
    source = GOOD + "\n--" + "x" * 800_000
    many = [tool(f"large{n}", source) for n in range(MAX_VALUE // len(source) + 1)]
    house.write(*create(*many))
    assert (await listed(house, namespace="app.generated"))["total"] == len(many)


# -- what is read, and where


def count_parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the YAML files of entries that are parsed from here on."""
    parsed: list[str] = []
    for module in (tree_entries, entries):
        load = module.load_yaml

        def count(content: bytes, name: str, load: Callable[..., Any] = load) -> Any:
            parsed.append(name)
            return load(content, name)

        monkeypatch.setattr(module, "load_yaml", count)
    return parsed


def test_scopes_read_their_own_namespace_and_each_file_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(tool("x"), tool("y")))
    house.push({"app/generated/broken.yaml": b"a: [", "app/odd/stray.yml": b"kind: x"})
    parsed = count_parses(monkeypatch)
    with Registry.open(house.registry.path) as registry:
        snapshot = registry.snapshot()
        for name in (AGENT_SCOPE, TOOL_SCOPE):
            assert Permissions(registry).scope(name, snapshot).policies
        assert sorted(parsed) == sorted(f"{id.name}.yaml" for id in snapshot.ids() if id.namespace == "app")


@pytest.fixture
def readers(house: House, monkeypatch: pytest.MonkeyPatch) -> set[threading.Thread]:
    """The threads that read the branch or an object of the registry."""
    found: set[threading.Thread] = set()
    objects = house.registry.objects

    def recording(read: Callable[..., Any]) -> Callable[..., Any]:
        def record(*args: Any) -> Any:
            found.add(threading.current_thread())
            return read(*args)

        return record

    for name in ("head", "commit", "tree", "blob"):
        monkeypatch.setattr(objects, name, recording(getattr(objects, name)))
    return found


@pytest.mark.parametrize("op", [op for op in VALID if op not in ("ctx.get", "ctx.all", "docs.remote", "funcs.call")])
async def test_nothing_is_read_on_the_event_loop(
    house: House, op: str, readers: set[threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*args: Any, **more: Any) -> Any:
        raise Refused(ErrorKind.INVALID, "not now")

    monkeypatch.setattr(house.publishing, "publish", refuse)
    try:
        await house.host(*SERVICES).request(op, VALID[op])
    except Refused as refusal:
        refused = ("http.request", "http.open", "http.read", "registry.apply", "registry.apply_version")
        assert op in refused, refusal
    assert threading.current_thread() not in readers
    assert readers or op in ("registry.apply", "http.read", "http.close")


async def test_the_http_client_is_imported_in_a_thread(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{http_package.__name__}.guarded"
    importers: list[threading.Thread] = []

    class Watch:
        def find_spec(self, wanted: str, *args: Any) -> None:
            if wanted == name:
                importers.append(threading.current_thread())

    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(http_package, "guarded", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Watch(), *sys.meta_path])
    with pytest.raises(MicroAgiError, match=r"private_ip"):
        await house.host(*SERVICES).request("http.request", VALID["http.request"])
    assert len(importers) == 1 and importers[0] is not threading.current_thread()


async def test_security_answers_what_the_host_would_do(house: House) -> None:
    host = house.host("security")

    async def ask(action: str, resource: str) -> Any:
        question = {"scope": "app:agent_security", "action": action, "resource": resource}
        return await host.request("security.evaluate", {**question, "actor": {"id": "service:agent", "meta": {}}})

    assert await ask("registry.create", "app:x") == {"result": "deny", "policy": "app:deny_core_ns"}
    assert await ask("registry.create", "app.tools:x") == {"result": "deny", "policy": "app:deny_tools_ns"}
    assert await ask("registry.create", "app.generated:x") == {"result": "undefined", "policy": None}
    house.write(*create(policy("app:asked", "ask", "*", "app.generated:q*", "agent_security")))
    assert await ask("registry.create", "app.generated:q") == {"result": "ask", "policy": "app:asked"}
