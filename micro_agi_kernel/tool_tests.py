"""The tests that live with a tool, in `data.tests` of its entry: an input, and what the tool must make of it.

{name?, input, and one of expect | schema | error,
 http? = [{method?, url, status?, headers?, body?}], now? = RFC 3339}
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.go_time import parse_time
from micro_agi_kernel.values import Json, check_json, shorten

MAX_TESTS = 20
MAX_SIZE = 64_000
"""Characters of JSON of all tests of one tool."""
MAX_STUBS = 20
MAX_NAME = 80
MIN_ERROR = 3
"""Letters and digits of a part of an error's text: fewer are in almost all."""

_OF_NULL = ' (for a result of null, which gets lost in expect, take "schema": {"type": "null"})'
_RFC3339 = "2006-01-02T15:04:05.999999999Z07:00"
_FIELDS = ("name", "input", "expect", "schema", "error", "http", "now")
_STUB_FIELDS = ("method", "url", "status", "headers", "body")
_KINDS: tuple[Literal["expect", "schema", "error"], ...] = ("expect", "schema", "error")
_HEADER = re.compile(r"[ -~]{0,2000}")
_TOKEN = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Stub:
    """The answer to one HTTP request of a test."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class ToolTest:
    """One test of a tool."""

    name: str
    input: Json
    kind: Literal["expect", "schema", "error"]
    wanted: Json
    """The result itself, a JSON Schema that it must fit, or a part of the error's text."""
    http: tuple[Stub, ...] = ()
    """All that the network answers."""
    now: int | None = None
    """Nanoseconds since 1970 at which the clock stands."""


def read_tests(entry: Entry) -> tuple[ToolTest, ...]:
    """The tests of an entry. Raises EntryError with what their author must mend."""
    listed = entry.data.get("tests", [])
    if not isinstance(listed, list) or len(listed) > MAX_TESTS:
        raise EntryError(
            f'tests: a list of at most {MAX_TESTS}, such as [{{"input": {{"n": 2}}, "expect": 4}}], is required'
        )
    check_json(listed, "tests")
    if (size := len(json.dumps(listed))) > MAX_SIZE:
        raise EntryError(f"tests: {size} characters of JSON, at most {MAX_SIZE} are allowed: take smaller inputs")
    return tuple(_read_test(item, place_of_test(number)) for number, item in enumerate(listed, 1))


def place_of_test(number: int) -> str:
    """What a line about a test begins with, and its name if it has none; the first is 1."""
    return f"tests[{number}]"


def names_of_tests(entry: Entry) -> list[str]:
    """What the tests of an entry are called, sound or not."""
    tests = entry.data.get("tests")
    listed = tests if isinstance(tests, list) else []
    names = [test.get("name") if isinstance(test, dict) else None for test in listed]
    return [name if isinstance(name, str) else place_of_test(place) for place, name in enumerate(names, 1)]


def _read_test(item: Json, where: str) -> ToolTest:
    if not isinstance(item, dict):
        raise EntryError(f"{where}: an object with input and one of expect, schema or error is required")
    _check_fields(item, _FIELDS, where)
    name = item.get("name", where)
    if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= MAX_NAME:
        raise EntryError(f"{where}: name: one line of 1 to {MAX_NAME} characters is required")
    if "input" not in item:
        raise EntryError(f"{where}: input is missing: what the handler gets, {{}} for no arguments")
    kinds = [kind for kind in _KINDS if kind in item]
    if len(kinds) != 1:
        given = " and ".join(kinds) or f"none{_OF_NULL}"
        raise EntryError(f"{where}: exactly one of expect, schema and error is required, not {given}")
    kind = kinds[0]
    wanted = item[kind]
    if kind == "error" and (not isinstance(wanted, str) or not wanted):
        raise EntryError(f'{where}: error: a part of the error\'s kind and message is required, such as "INVALID"')
    if kind == "error" and sum(map(str.isalnum, str(wanted))) < MIN_ERROR:
        what = f"{shorten(str(wanted))!r} is in almost every error"
        raise EntryError(
            f"{where}: error: {what}: take {MIN_ERROR} letters or digits at least of the one that must come"
        )
    if kind == "schema" and not isinstance(wanted, dict | bool) and wanted != []:  # an empty table of Lua
        raise EntryError(f"{where}: schema: a JSON Schema is required")
    return ToolTest(name, item["input"], kind, wanted, _read_stubs(item.get("http", []), where), _read_now(item, where))


def _read_now(item: Mapping[str, Json], where: str) -> int | None:
    if "now" not in item:
        return None
    try:
        return parse_time(_RFC3339, cast(str, item["now"])).instant
    except (ValueError, TypeError, AttributeError) as error:
        raise EntryError(f'{where}: now: a time as in RFC 3339 is required, such as "2024-02-29T12:00:00Z"') from error


def _read_stubs(listed: Json, where: str) -> tuple[Stub, ...]:
    where = f"{where}: http"
    if not isinstance(listed, list) or len(listed) > MAX_STUBS:
        raise EntryError(f"{where}: a list of at most {MAX_STUBS} answers is required")
    return tuple(_read_stub(item, f"{where}[{number}]") for number, item in enumerate(listed, 1))


def _read_stub(item: Json, where: str) -> Stub:
    if not isinstance(item, dict):
        raise EntryError(f"{where}: an object with the url of a request, and what is answered, is required")
    _check_fields(item, _STUB_FIELDS, where)
    method, url = item.get("method", "GET"), item.get("url")
    status, body, headers = item.get("status", 200), item.get("body", ""), item.get("headers") or {}
    if not isinstance(method, str) or not _TOKEN.fullmatch(method):
        raise EntryError(f"{where}: method: a word such as GET is required, not {shorten(repr(method))}")
    if not isinstance(url, str):
        raise EntryError(f"{where}: url: the whole URL of the request is required, with its query")
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise EntryError(f"{where}: status: a whole number from 200 to 599 is required, not {shorten(repr(status))}")
    if not isinstance(body, str):
        raise EntryError(f"{where}: body: text is required; JSON as its text")
    if not isinstance(headers, dict):
        raise EntryError(f'{where}: headers: an object of texts is required, such as {{"content-type": "text/csv"}}')
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not isinstance(value, str) or not _HEADER.fullmatch(value):
            raise EntryError(f"{where}: headers: {shorten(name)!r} is no name of a header with one line of text")
    return Stub(method.upper(), url, status, cast(Mapping[str, str], headers), body)


def _check_fields(item: Mapping[str, Json], known: Collection[str], where: str) -> None:
    if unknown := sorted(item.keys() - set(known)):
        raise EntryError(f"{where}: there is no field {shorten(unknown[0])!r}; there are {', '.join(known)}")
