"""The Lua modules `hash`, `base64` and `uuid`: their rules beyond what the vectors tell."""

from __future__ import annotations

import time

import pytest
from lua_double import RunLua

from micro_agi_kernel.lua_modules import uuid

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_base64_of_megabytes_needs_little_more_memory_than_its_text(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local base64 = require("base64")
        local data = ("\\0\\xff\\x10"):rep(1 << 20)
        local text = base64.encode(data)
        return {#text, base64.decode(text) == data, base64.decode(text .. "=") == nil}
    """)
    assert ran.value == [4 << 20, True, True]


async def test_uuids_of_version_7_sort_as_they_were_made(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local uuid = require("uuid")
        local previous, sorted = uuid.v7(), true
        for _ = 1, 200 do
          local next = uuid.v7()
          sorted = sorted and previous < next
          previous = next
        end
        return {sorted, uuid.version(previous), uuid.variant(previous)}
    """)
    assert ran.value == [True, 7, "RFC4122"]


async def test_uuids_of_version_7_sort_even_while_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_123_456_789)
    monkeypatch.setattr(uuid, "_latest", 0)
    made = [str(uuid.MODULE.functions["v7"]()) for _ in range(5_000)]
    assert made == sorted(set(made))
    # RFC 9562: 48 bits of milliseconds first, which the 5,000 have crossed into the next.
    assert {int(text.replace("-", "")[:12], 16) for text in made} == {1_800_000_000_123, 1_800_000_000_124}


async def test_the_forms_of_a_uuid(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local uuid = require("uuid")
        local plain = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
        local found = {}
        local bare = plain:gsub("-", "")
        for i, text in ipairs({plain, plain:upper(), "{" .. plain .. "}", "URN:UUID:" .. plain, bare}) do
          found[i] = uuid.format(text)
        end
        local kinds = {}
        for i, form in ipairs({"hex", "", true, 7}) do kinds[i] = select(2, uuid.format(plain, form)):kind() end
        local parsed = uuid.parse(plain)
        return {found, kinds, parsed.timestamp, parsed.variant, uuid.parse(found[1]).version, uuid.validate(7)}
    """)
    assert ran.value == [
        ["6ba7b810-9dad-11d1-80b4-00c04fd430c8"] * 5,
        ["INVALID"] * 4,
        886_630_433,  # 1998-02-04T22:13:53Z
        "RFC4122",
        1,
        False,
    ]


async def test_the_flag_for_bytes_is_whatever_lua_takes_for_true(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local hash = require("hash")
        local sizes = {}
        for i, flag in ipairs({true, 0, "", {}}) do sizes[i] = #hash.md5("x", flag) + #hash.hmac_md5("x", "k", flag) end
        return {sizes, #hash.md5("x", false), #hash.md5("x", nil), #hash.hmac_md5("x", "", false)}
    """)
    assert ran.value == [[32] * 4, 32, 32, 32]
