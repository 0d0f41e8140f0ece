"""`imports`: libraries that an entry requires by an alias, with the entry's own modules and no others."""

from __future__ import annotations

from typing import Any

import pytest
from house_kit import GOOD, House, create, id_of, policy, tool

from micro_agi_kernel.entries import Entry, to_files
from micro_agi_kernel.errors import EntryError, ErrorKind
from micro_agi_kernel.kind_checks import KIND_CHECKS

HELPERS = "return {double = function(n) return 2 * n end}"


def library(id: str, source: str = HELPERS, **data: Any) -> Entry:
    return Entry(id_of(id), "library.lua", {}, {"source": source, **data})


def importing(source: str, id: str = "app.generated:user", *, modules: tuple[str, ...] = (), **imports: str) -> Entry:
    entry = tool(id, f"return {{handler = function(input) {source} end}}", modules=modules)
    return Entry(entry.id, entry.kind, entry.meta, {**entry.data, "imports": {**imports}})


async def value(house: House, id: str = "app.generated:user") -> Any:
    outcome = await house.run(id)
    assert outcome.error is None, outcome.error
    return outcome.value


async def refusal(house: House, id: str = "app.generated:user") -> tuple[ErrorKind, str]:
    outcome = await house.run(id)
    assert outcome.error is not None, outcome.value
    assert "\n" not in outcome.error.message
    return outcome.error.kind, outcome.error.message


async def test_a_library_is_required_by_its_alias(house: House) -> None:
    house.write(*create(library("app.lib:helpers"), importing("return require('h').double(21)", h="app.lib:helpers")))
    assert await value(house) == 42


async def test_a_library_runs_once_and_is_shared_by_all_that_import_it(house: House) -> None:
    house.write(
        *create(
            library("app.lib:state", "print('loaded') return {count = 0}"),
            library(
                "app.lib:adder", "local s = require('s') s.count = s.count + 1 return s", imports={"s": "app.lib:state"}
            ),
            importing(
                "local a, s = require('a'), require('state') return {require('a') == a, a == s, s.count}",
                a="app.lib:adder",
                state="app.lib:state",
            ),
        )
    )
    assert await value(house) == [True, True, 1]
    assert house.output == "loaded\n"


async def test_a_library_that_returns_nothing_counts_as_loaded(house: House) -> None:
    house.write(
        *create(library("app.lib:x", "print('once')"), importing("return {require('x'), require('x')}", x="app.lib:x"))
    )
    assert await value(house) == [True, True]
    assert house.output == "once\n"


async def test_a_library_has_the_modules_of_the_entry_and_no_others(house: House) -> None:
    source = "local ok, err = pcall(require, 'json') return {ok = ok, err = not ok and err}"
    house.write(
        *create(
            library("app.lib:x", source, modules=["json"]),
            importing("return require('x')", x="app.lib:x"),
            importing("return require('x').ok", "app.generated:with", modules=("json",), x="app.lib:x"),
        )
    )
    without = await value(house)
    assert without["ok"] is False
    assert "module 'json' is not available here" in without["err"]
    assert await value(house, "app.generated:with") is True


async def test_an_alias_is_known_where_it_is_imported_and_nowhere_else(house: House) -> None:
    source = "return {(pcall(require, 'inner')), (pcall(require, 'app.lib:inner'))}"
    house.write(
        *create(
            library("app.lib:inner"),
            library("app.lib:outer", "require('inner') return 1", imports={"inner": "app.lib:inner"}),
            importing(source, outer="app.lib:outer"),
        )
    )
    assert await value(house) == [False, False]


async def test_globals_of_a_library_are_its_own(house: House) -> None:
    house.write(
        *create(
            library("app.lib:x", "leaked = 1 string.upper = nil print = nil return {seen = secret}"),
            importing(
                "secret = 1 return {require('x').seen == nil, leaked == nil, ('a'):upper(), print ~= nil}",
                x="app.lib:x",
            ),
        )
    )
    assert await value(house) == [True, True, "A", True]


async def test_a_built_in_entry_can_be_imported_as_well_as_used_by_built_in_tools(house: House) -> None:
    house.write(
        *create(library("app.tools:helpers"), importing("return require('h').double(2)", h="app.tools:helpers"))
    )
    assert await value(house) == 4


FAILING = {
    "return = 1": (ErrorKind.SYNTAX, "helpers:1: "),
    "\n\nerror('no luck')": (ErrorKind.UNKNOWN, "helpers:3: no luck"),
    "error(errors.new({kind = errors.CONFLICT, message = 'busy'}))": (ErrorKind.CONFLICT, "busy"),
    "while true do end": (ErrorKind.TIMEOUT, "time limit of 1 s reached at helpers:1"),
    "local t = {} for i = 1, 1e9 do t[i] = {} end": (ErrorKind.MEMORY_LIMIT, "memory limit of 16 MiB reached"),
}


@pytest.mark.parametrize("source", FAILING)
async def test_a_library_that_fails_to_load_says_where(house: House, source: str) -> None:
    kind, reason = FAILING[source]
    user = importing("return require('h')", h="app.lib:helpers")
    limited = Entry(user.id, user.kind, {**user.meta, "limits": {"timeout": 1, "memory": 16}}, user.data)
    house.write(*create(library("app.lib:helpers", source), limited))
    found = await refusal(house)
    assert found[0] is kind
    assert reason in found[1]


async def test_a_library_that_failed_is_loaded_anew(house: House) -> None:
    source = "if not require('s')[1] then require('s')[1] = true error('first') end return 'second'"
    house.write(
        *create(
            library("app.lib:s", "return {}"),
            library("app.lib:x", source, imports={"s": "app.lib:s"}),
            importing("return {(pcall(require, 'x')), require('x')}", x="app.lib:x"),
        )
    )
    assert await value(house) == [False, "second"]


async def test_a_library_that_imports_itself_is_an_error(house: House) -> None:
    house.write(
        *create(
            library("app.lib:a", "return require('b')", imports={"b": "app.lib:b"}),
            library("app.lib:b", "\nlocal a = require('a') return a", imports={"a": "app.lib:a"}),
            importing("return require('a')", a="app.lib:a"),
        )
    )
    kind, message = await refusal(house)
    assert kind is ErrorKind.UNKNOWN
    assert message == "b:2: the library app.lib:a is being loaded: does it import itself?"


async def test_a_library_may_wait_while_it_is_loaded(house: House) -> None:
    source = "require('time').sleep('1ms') return 'slept'"
    house.write(
        *create(library("app.lib:x", source), importing("return require('x')", modules=("time",), x="app.lib:x"))
    )
    assert await value(house) == "slept"


async def test_what_cannot_be_imported_is_refused_before_anything_runs(house: House) -> None:
    house.write(
        *create(
            tool("app.generated:other"),
            library("app.lib:missing_inside", imports={"x": "app.lib:none"}),
            library("app.lib:secret"),
            policy("app:deny_secret", "deny", "tool.load", "app.lib:secret"),
            importing("", "app.generated:a", x="app.lib:none"),
            importing("", "app.generated:b", x="app.generated:other"),
            importing("", "app.generated:c", x="app.lib:missing_inside"),
            importing("", "app.generated:d", x="app.lib:secret"),
        )
    )
    assert await refusal(house, "app.generated:a") == (
        ErrorKind.NOT_FOUND,
        "not found: app.lib:none, which app.generated:a imports",
    )
    assert await refusal(house, "app.generated:b") == (
        ErrorKind.INVALID,
        "not a library: app.generated:other has the kind function.lua, not library.lua",
    )
    assert await refusal(house, "app.generated:c") == (
        ErrorKind.NOT_FOUND,
        "not found: app.lib:none, which app.generated:c imports",
    )
    kind, message = await refusal(house, "app.generated:d")
    assert (kind, message) == (
        ErrorKind.PERMISSION_DENIED,
        "policy denied: tool.load on app.lib:secret (policy app:deny_secret)",
    )


async def test_what_an_agent_can_rewrite_never_runs_with_the_powers_of_others(house: House) -> None:
    """Directly, or through a library in between."""
    house.write(
        *create(
            library("app.generated:lib", "return require('registry')"),
            library("app.lib:between", "return require('lib')", imports={"lib": "app.generated:lib"}),
            importing("return require('lib')", "app.tools:mine", modules=("registry",), lib="app.generated:lib"),
            importing("return require('between')", "app.tools:yours", modules=("registry",), between="app.lib:between"),
            importing("return require('lib')", "app.generated:user", lib="app.generated:lib"),
        )
    )
    for id in ("app.tools:mine", "app.tools:yours"):
        kind, message = await refusal(house, id)
        assert kind is ErrorKind.PERMISSION_DENIED
        assert message == f"{id} may not import app.generated:lib: an agent can rewrite that"
    kind, message = await refusal(house)
    assert "module 'registry' is not available here" in message


async def test_the_number_of_libraries_is_bounded(house: House) -> None:
    chain = [library(f"app.lib:l{n}", "return 1", imports={"next": f"app.lib:l{n + 1}"}) for n in range(80)]
    house.write(*create(*chain, library("app.lib:l80"), importing("return 1", first="app.lib:l0")))
    assert await refusal(house) == (ErrorKind.INVALID, "app.generated:user: more than 64 libraries, with theirs")


BAD_IMPORTS: dict[str, tuple[Any, str]] = {
    "list": (["app.lib:x"], "imports: a mapping of alias to entry id"),
    "text": ("app.lib:x", "imports: a mapping of alias to entry id"),
    "alias": ({"a-b": "app.lib:x"}, "imports: 'a-b' is no alias"),
    "number": ({"a": 1}, "imports.a: the id of a library.lua entry is required"),
    "id": ({"a": "no id"}, "imports.a: not an entry id"),
    "module": ({"json": "app.lib:x"}, "imports: 'json' is also among modules"),
    "many": ({f"a{n}": "app.lib:x" for n in range(33)}, "imports: at most 32"),
}


@pytest.mark.parametrize("case", BAD_IMPORTS)
@pytest.mark.parametrize("kind", ["function.lua", "library.lua"])
def test_bad_imports_do_not_pass_the_kind_check(kind: str, case: str) -> None:
    imports, reason = BAD_IMPORTS[case]
    entry = Entry(id_of("app.generated:x"), kind, {}, {"source": GOOD, "modules": ["json"], "imports": imports})
    with pytest.raises(EntryError, match=reason.replace("(", r"\(")):
        KIND_CHECKS[kind](entry)


def test_an_entry_with_imports_keeps_them_in_its_files() -> None:
    files = to_files(importing("", h="app.lib:helpers"))
    assert b"imports:\n    h: app.lib:helpers\n" in files["user.yaml"]


async def test_create_tool_takes_imports(house: House) -> None:
    house.write(*create(library("app.lib:helpers")))
    source = "local h = require('h') return {handler = function() return h.double(4) end}"
    made = await house.make("user", source, imports={"h": "app.lib:helpers"})
    assert made["created"] is True, made
    assert await value(house) == 8
    kept = house.registry.snapshot().get(id_of("app.generated:user"))
    assert kept is not None and kept.data["imports"] == {"h": "app.lib:helpers"}


@pytest.mark.parametrize(
    ("imports", "reason"),
    [
        ({"h": "app.lib:none"}, "not found: app.lib:none, which app.generated:user imports"),
        (
            {"h": "app.tools:create_tool"},
            "not a library: app.tools:create_tool has the kind function.lua, not library.lua",
        ),
        ({"h": 1}, "/imports/h: 1 is not of type string"),
        ("app.lib:x", '/imports: "app.lib:x" is not of type object'),
        ({"a b": "app.lib:x"}, "imports: 'a b' is no alias"),
    ],
)
async def test_create_tool_says_what_is_wrong_with_imports(house: House, imports: Any, reason: str) -> None:
    house.write(*create(library("app.lib:x")))
    before = house.head
    made = await house.make("user", GOOD, imports=imports)
    assert reason in made["error"]
    assert house.head == before
