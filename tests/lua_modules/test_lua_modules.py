"""What the Lua modules do beyond their pages: rules, payloads for the host, and every kind of wrong argument."""

from __future__ import annotations

import time

import pytest
from lua_double import ENTRY, SEED, RunLua

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")

# -- time


async def test_now_is_now(run_lua: RunLua) -> None:
    before = int(time.time())
    ran = await run_lua('return require("time").now():unix()')
    assert before <= ran.value <= time.time()


async def test_times_reach_far_beyond_the_years_that_python_knows(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local berlin = time.load_location("Europe/Berlin")
        return {
          time.date(-44, 3, 15, 12, 0, 0, 0, time.utc):format("Mon 2006-01-02"),
          time.date(12024, 7, 1, 12, 0, 0, 0, berlin):format("2006-01-02 15:04 MST -0700"),
          time.date(12024, 1, 1, 12, 0, 0, 0, berlin):utc():format_rfc3339(),
          time.date(1, 1, 1, 0, 0, 0, 0, time.utc):is_zero(),
          time.unix(math.maxinteger, 0):year() > 292000000000,
        }
    """)
    assert ran.value == [
        "Thu -0044-03-15",
        "12024-07-01 12:00 CEST +0200",
        "12024-01-01T11:00:00Z",
        True,
        True,
    ]


async def test_an_hour_that_the_clock_skips_or_repeats(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local berlin = time.load_location("Europe/Berlin")
        local function at(month, day, hour, minute)
          return time.date(2024, month, day, hour, minute, 0, 0, berlin):format(time.RFC3339)
        end
        return {at(3, 31, 1, 59), at(3, 31, 2, 30), at(10, 27, 1, 59), at(10, 27, 2, 30), at(10, 27, 3, 0)}
    """)
    assert ran.value == [
        "2024-03-31T01:59:00+01:00",
        "2024-03-31T03:30:00+02:00",  # 02:30 does not exist
        "2024-10-27T01:59:00+02:00",
        "2024-10-27T02:30:00+01:00",  # 02:30 came twice
        "2024-10-27T03:00:00+01:00",
    ]


async def test_a_fraction_ends_where_its_digits_end(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local t = time.date(2024, 2, 29, 13, 4, 5, 120000000, time.utc)
        return {t:format("5.000"), t:format("5.999"), t:format("5,00"), t:format("5.001"), t:format("5.900")}
    """)
    assert ran.value == ["5.120", "5.12", "5,12", "5.002", "5.900"]


async def test_names_of_zones_are_looked_up_and_never_opened(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local kinds = {}
        for i, name in ipairs({"../../etc/passwd", "europe/berlin", ("x"):rep(200), "\\xff", ""}) do
          local place, err = time.load_location(name)
          kinds[i] = err:kind()
        end
        return kinds
    """)
    assert ran.value == ["NOT_FOUND", "NOT_FOUND", "INVALID", "INVALID", "INVALID"]


async def test_durations_of_all_three_forms_are_taken(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local t = time.unix(0, 0)
        return {
          t:add("1m"):unix(), t:add(2 * time.MINUTE):unix(), t:add(time.parse_duration("3m")):unix(),
          t:add(0.5 * time.SECOND):nanosecond(), t:add("-1ns"):format(time.RFC3339NANO),
          time.parse_duration("-1500us"):milliseconds(), time.unix(1.9, 0):unix(),
        }
    """)
    assert ran.value == [60, 120, 180, 500_000_000, "1969-12-31T23:59:59.999999999Z", -1, 1]


async def test_layouts_and_zone_names_cannot_grow_into_a_bomb(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local _, long_name = pcall(time.fixed_zone, ("Z"):rep(1000), 0)
        local _, long_layout = pcall(function() return time.now():format(("January"):rep(1000)) end)
        local _, long_duration = time.parse_duration(("1h"):rep(1000))
        return {long_name:kind(), long_layout:kind(), long_duration:kind()}
    """)
    assert ran.value == ["INVALID"] * 3


async def test_sleep_waits_in_a_coroutine_too(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local start = time.now()
        local co = coroutine.wrap(function() time.sleep("15ms"); coroutine.yield("slept") end)
        local said = co()
        return {said, time.now():sub(start):milliseconds() >= 15, time.sleep(-1) == nil}
    """)
    assert ran.value == ["slept", True, True]


# -- json


@pytest.mark.parametrize(
    ("lua", "text"),
    [
        ("nil", "null"),
        ("42", "42"),
        ("99.50", "99.5"),
        ("3.0", "3"),
        ("1e15", "1000000000000000"),
        ("0.1", "0.1"),
        ("1/3", "0.3333333333333333"),
        ("1e300", "1e+300"),
        ("-0.0", "0"),
        ("math.mininteger", "-9223372036854775808"),
        ("math.huge", "null"),
        ("0/0", "null"),
        ("print", "null"),
        ('"a\\"b\\\\c\\n\\0é"', '"a\\"b\\\\c\\n\\u0000é"'),
        ('{b = 1, a = {}, ["k\\n"] = 2}', '{"a":[],"b":1,"k\\n":2}'),
        ("json.decode('[{}, [], {\"a\": {}}]')", '[{},[],{"a":{}}]'),
        ("{setmetatable({1}, {__metatable = 'error'}), setmetatable({}, {__metatable = 'channel'})}", "[[1],[]]"),
        ('errors.new({kind = errors.INVALID, message = "no"})', '"INVALID: no"'),
        ("time.unix(0, 0)", '"1970-01-01 00:00:00 +0000 UTC"'),
    ],
)
async def test_json_encode(lua: str, text: str, run_lua: RunLua) -> None:
    ran = await run_lua(f'local json, time = require("json"), require("time")\nreturn (json.encode({lua}))')
    assert ran.value == text


@pytest.mark.parametrize(
    ("lua", "kind", "message"),
    [
        ("{1, 2, a = 3}", "INTERNAL", "mixed table"),
        ("{1, nil, 3}", "INTERNAL", "sparse array"),
        ("{[0] = 1}", "INTERNAL", "a key is neither"),
        ("{[1.5] = 1}", "INTERNAL", "a key is neither"),
        ("{[true] = 1}", "INTERNAL", "a key is neither"),
        ("cycle", "INTERNAL", "recursive"),
        ("deep(129)", "INTERNAL", "deeper than 128"),
        ('{a = "\\xff"}', "INVALID", "not valid UTF-8"),
        ('{["\\xff"] = 1}', "INVALID", "not valid UTF-8"),
    ],
)
async def test_json_encode_refuses(lua: str, kind: str, message: str, run_lua: RunLua) -> None:
    ran = await run_lua(f"""
        local json = require("json")
        local cycle = {{}}
        cycle.list = {{cycle}}
        local function deep(levels)
          local value = {{}}
          for _ = 2, levels do value = {{value}} end
          return value
        end
        assert(json.encode(deep(128)))
        local shared = {{1}}
        assert(json.encode({{shared, shared}}) == "[[1],[1]]")
        local text, err = json.encode({lua})
        return {{tostring(text), err:kind(), err:message(), err:retryable()}}
    """)
    assert isinstance(ran.value, list)
    assert ran.value[:2] == ["nil", kind]
    assert message in str(ran.value[2])
    assert ran.value[3] is False


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9223372036854775807", (1 << 63) - 1),
        ("9223372036854775808", float(1 << 63)),
        ("-9223372036854775808", -(1 << 63)),
        ("1" + "0" * 30, 1e30),
        ("1.0", 1.0),
        ('"\\ud83d\\ude00 \\ud800"', "😀 �"),
        ('{"\\udfff": ["\\udfff"]}', {"�": ["�"]}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("[" * 127 + "]" * 127, None),
    ],
)
async def test_json_decode(text: str, value: Value, run_lua: RunLua) -> None:
    ran = await run_lua("return {handler = function(text) return (require('json').decode(text)) end}", text)
    if value is not None:
        assert ran.value == value
        assert type(ran.value) is type(value)
    else:
        assert ran.value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "INVALID"),
        (b"\xff", "INTERNAL"),
        ("nope", "INTERNAL"),
        ("[1,]", "INTERNAL"),
        ("NaN", "INTERNAL"),
        ("1e999", "INTERNAL"),
        ("1" * 5000, "INTERNAL"),
        ("[" * 130 + "]" * 130, "INTERNAL"),
        ("[" * 100_000, "INTERNAL"),
        ('{"a":' * 100_000, "INTERNAL"),
    ],
)
async def test_json_decode_refuses(text: Value, kind: str, run_lua: RunLua) -> None:
    ran = await run_lua("return {handler = function(text) return require('json').decode(text) end}", text)
    assert ran.outcome.error is not None
    assert (ran.outcome.error.kind, ran.outcome.error.retryable) == (ErrorKind(kind), False)


# -- uuid, hash, base64


async def test_uuids_are_what_they_say(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local uuid = require("uuid")
        local v1, v7, odd = uuid.parse(uuid.v1()), uuid.parse(uuid.v7()), 1
        for _ = 1, 20 do odd = odd & uuid.parse(uuid.v1()).node:byte(1) end
        local names = {}
        for i, version in ipairs({3, 5}) do
          names[i] = uuid["v" .. version]("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com")
        end
        return {v1 = v1.version, node = #v1.node, random_node = odd, now = v1.timestamp,
          v7 = v7.version, now7 = v7.timestamp,
          v4 = uuid.version(uuid.v4()), differ = uuid.v4() ~= uuid.v4(), names = names,
          bytes = uuid.v5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "\\xff") ~= nil,
          urn = uuid.format("{6BA7B810-9DAD-11D1-80B4-00C04FD430C8}", "urn")}
    """)
    value = ran.value
    assert isinstance(value, dict)
    for key in ("now", "now7"):
        assert abs(value.pop(key) - time.time()) < 60
    assert value == {
        "v1": 1,
        "node": 6,
        "random_node": 1,
        "v7": 7,
        "v4": 4,
        "differ": True,
        "bytes": True,
        # the values of RFC 9562, appendix A.2 and A.4
        "names": ["5df41881-3aed-3515-88a7-2f4a814cf09e", "2ed6657d-e927-568b-95e1-2665a8aea6a2"],
        "urn": "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    }


async def test_hmac_is_that_of_rfc_2202_and_4231(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local hash = require("hash")
        local data, key = "what do ya want for nothing?", "Jefe"
        return {hash.hmac_md5(data, key), hash.hmac_sha1(data, key), hash.hmac_sha256(data, key),
          hash.hmac_sha512(data, key):sub(1, 32), hash.hmac_sha256(data, key, true):byte(1),
          #hash.sha512("\\xff", true)}
    """)
    assert ran.value == [
        "750c783e6ab0b503eaa86e310a5db738",
        "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "164b7a7bfcf819e2e395fbe73b56e0a3",
        0x5B,
        64,
    ]


async def test_base64_is_strict(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local base64 = require("base64")
        local bad = 0
        for _, text in ipairs({"Zg", "Zg=", "Z===", "Zg===", "Zm9v=", "Zg==Zg==", "Zm 9v", "Zm9-", "=", "Zm9v\\0"}) do
          local data, err = base64.decode(text)
          if data == nil and err:kind() == errors.INVALID then bad = bad + 1 end
        end
        local lines = base64.decode("Zm9v\\r\\nYmFy\\n")
        return {bad, lines, base64.encode("\\xff\\0"), base64.decode(""), base64.encode("")}
    """)
    assert ran.value == [10, "foobar", "/wA=", "", ""]


# -- host modules


async def test_registry_asks_the_host_for_exactly_what_was_said(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local registry = require("registry")
        local snap = registry.snapshot()
        snap:get("app.tools:load_tool"); snap:find({}); snap:find({type = "tool"})
        snap:namespace("app"); snap:entries()
        registry.find(); registry.versions(); registry.history("a:b", 3); registry.history()
        registry.list(); registry.list({type = "tool"}, {query = "Load it", limit = 3})
        local changes = snap:changes():update({id = "a:b", kind = "k", meta = {}, data = {x = 1}})
        local version = changes:delete({ns = "a", name = "c"}):apply()
        registry.apply_version(version); registry.apply_version(registry.versions()[1]); registry.apply_version(7)
        registry.snapshot_at(7); registry.snapshot_at("abcd"); registry.snapshot_at(version); registry.current_version()
        return {version:id(), version:commit(), version:string(), tostring(version)}
    """)
    assert ran.value == [2, "b2" * 20, "2 (b2b2b2b)", "2 (b2b2b2b)"]
    entry: Value = {"id": "a:b", "kind": "k", "meta": {}, "data": {"x": 1}}
    assert ran.asked == [
        ("registry.snapshot", {}),
        ("registry.get", {"id": ENTRY["id"], "commit": SEED}),
        ("registry.find", {"filter": {}, "commit": SEED}),
        ("registry.find", {"filter": {"type": "tool"}, "commit": SEED}),
        ("registry.entries", {"commit": SEED, "namespace": "app"}),
        ("registry.entries", {"commit": SEED}),
        ("registry.find", {"filter": {}}),
        ("registry.versions", {"limit": 100}),
        ("registry.history", {"id": "a:b", "limit": 3}),
        ("registry.versions", {"limit": 100}),
        ("registry.find", {"filter": {}, "heads": True}),
        ("registry.find", {"filter": {"type": "tool"}, "query": "Load it", "limit": 3, "heads": True}),
        (
            "registry.apply",
            {
                "commit": SEED,
                "operations": [
                    {"action": "update", "id": "a:b", "entry": entry},
                    {"action": "delete", "id": "a:c"},
                ],
            },
        ),
        ("registry.apply_version", {"commit": "b2" * 20}),
        ("registry.versions", {"limit": 100}),
        ("registry.apply_version", {"commit": "b2" * 20}),
        ("registry.apply_version", {"commit": "v7"}),
        ("registry.snapshot", {"commit": "v7"}),
        ("registry.snapshot", {"commit": "abcd"}),
        ("registry.snapshot", {"commit": "b2" * 20}),
        ("registry.snapshot", {}),
    ]


async def test_an_empty_changeset_is_not_sent(run_lua: RunLua) -> None:
    for arguments in ('"x"', 'nil, "x"', "{}, {limit = 0}", "{}, {query = 1}"):
        ran = await run_lua(f'return require("registry").list({arguments})')
        assert ran.outcome.error is not None and ran.outcome.error.kind is ErrorKind.INVALID and ran.asked == []
    ran = await run_lua('return require("registry").snapshot():changes():apply()')
    assert ran.outcome.error is not None
    assert (ran.outcome.error.kind, ran.outcome.error.message) == (ErrorKind.INVALID, "no changes to apply")
    assert [op for op, _ in ran.asked] == ["registry.snapshot"]


async def test_security_and_funcs_send_objects_for_empty_tables(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local security, funcs = require("security"), require("funcs")
        local actor = security.new_actor("service:agent")
        local scope = security.named_scope("app:agent_security")
        local answers = {scope:evaluate(actor, "registry.create", "app:x"), funcs.call("app.generated:echo")}
        funcs.call("app.generated:echo", {})
        return {answers[1], actor:id()}
    """)
    assert ran.value == ["deny", "service:agent"]
    assert ran.asked == [
        ("security.named_scope", {"id": "app:agent_security"}),
        (
            "security.evaluate",
            {
                "scope": "app:agent_security",
                "actor": {"id": "service:agent", "meta": {}},
                "action": "registry.create",
                "resource": "app:x",
                "meta": {},
            },
        ),
        ("funcs.call", {"id": "app.generated:echo"}),
        ("funcs.call", {"id": "app.generated:echo", "input": {}}),
    ]


async def test_an_error_of_the_host_keeps_its_kind_and_words(run_lua: RunLua) -> None:
    ran = await run_lua('return require("registry").get("app:nothing")')
    assert ran.outcome.error is not None
    assert (ran.outcome.error.kind, ran.outcome.error.message) == (ErrorKind.NOT_FOUND, "not found: app:nothing")


@pytest.mark.parametrize("object", ["time.now()", "time.utc", "time.parse_duration('1s')", "time.ticker('1s')"])
async def test_the_class_of_an_object_is_out_of_reach(run_lua: RunLua, object: str) -> None:
    source = f"""
        local time = require("time")
        local object = {object}
        local replaced = pcall(setmetatable, object, {{}})
        return {{ getmetatable(object), replaced, object.__index == nil, object.__metatable == nil }}
    """
    assert (await run_lua(source)).value == ["object", False, True, True]
