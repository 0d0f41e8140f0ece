"""One call of every function and method that succeeds: its arguments, and what then holds of its results."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """Arguments and `holds` are Lua, with each module under its name; `r`, `s` and `t` are the first three results."""

    arguments: str
    holds: str
    required: int | None = None
    """How many arguments must be given; None: all of them."""


_NAMESPACE = '"6ba7b810-9dad-11d1-80b4-00c04fd430c8"'
_DIFFS = 'text.diff.new():compare("one two", "one three")'
_LINES = '"https://api.example.com/lines"'
_KEY = '("k"):rep(32)'
_TOKEN = 'crypto.jwt.encode({sub = "a"}, "secret", "HS512")'
_BERLIN = 'time.load_location("Europe/Berlin")'
_ENTRY = '{id = "app.generated:new", kind = "function.lua", meta = {type = "tool"}, data = {method = "handler"}}'

_BASE64 = {
    "base64.encode": Call('"\\xff\\0"', 'r == "/wA="'),
    "base64.decode": Call('"/wA="', 'r == "\\xff\\0"'),
}

_CHANNEL = {
    "channel.new": Call("3", "r:send(1) and r:receive() == 1", required=0),
    "channel.select": Call("{channel.new(1):case_send(7)}, true", "r.ok and r.value == 7", required=1),
    "channel.Channel:send": Call('"x"', "r == true", required=0),
    "channel.Channel:receive": Call("", "r == 1 and s == true"),
    "channel.Channel:close": Call("", "r == nil"),
    "channel.Channel:case_send": Call("1", "channel.select({r}).ok", required=0),
    "channel.Channel:case_receive": Call("", "channel.select({r}).value == 1"),
    "coroutine.spawn": Call("print, 1", 'type(r) == "thread"', required=1),
}

_CRYPTO = {
    "crypto.random.bytes": Call("32", "#r == 32"),
    "crypto.random.string": Call('8, "ab"', 'r:find("^[ab]+$") and #r == 8', required=1),
    "crypto.random.uuid": Call("", "uuid.version(r) == 4"),
    "crypto.hmac.sha256": Call('"key", "data"', 'r:sub(1, 8) == "5031fe3d"'),
    "crypto.hmac.sha512": Call('"key", "data"', 'r:sub(1, 8) == "3c5953a1"'),
    **{
        f"crypto.encrypt.{cipher}": Call(
            f'"data", {_KEY}, "aad"', f'crypto.decrypt.{cipher}(r, {_KEY}, "aad") == "data"', required=2
        )
        for cipher in ("aes", "chacha20")
    },
    **{
        f"crypto.decrypt.{cipher}": Call(
            f'crypto.encrypt.{cipher}("data", {_KEY}, "aad"), {_KEY}, "aad"', 'r == "data"', required=2
        )
        for cipher in ("aes", "chacha20")
    },
    "crypto.jwt.encode": Call(
        '{exp = 9999999999, sub = "a"}, "secret", "HS256"',
        'crypto.jwt.verify(r, "secret").sub == "a"',
        required=2,
    ),
    "crypto.jwt.verify": Call(f'{_TOKEN}, "secret", "HS512", false', 'r.sub == "a"', required=2),
    "crypto.pbkdf2": Call('"password", "salt", 2, 32, "sha256"', "r:byte(1) == 0xae and #r == 32", required=4),
    "crypto.constant_time_compare": Call('"a", "a"', "r == true"),
}

_CTX = {
    "ctx.all": Call("", 'r.region == "eu" and r.limits.pages == 3'),
    "ctx.get": Call('"region"', 'r == "eu"'),
}

_DISPLAY = {
    "display.display": Call('{["text/plain"] = "4"}', "r == nil"),
    "display.progress": Call('1, 2, "half"', "r == nil", required=1),
}

_DOCS = {
    "docs.page": Call('"lua/core/time"', 'r:find("# time", 1, true) == 1'),
    "docs.search": Call('"time", 3', 'r[1].path == "lua/core/time"', required=1),
    "docs.remote": Call("", "r == nil and s == nil"),
}

_ERRORS = {
    "errors.new": Call('{message = "m", kind = "TIMEOUT"}', 'r:kind() == "TIMEOUT" and r:message() == "m"'),
    "errors.wrap": Call('errors.new("m"), "c"', 'tostring(r) == "c: m"'),
    "errors.is": Call('errors.new("m"), "UNKNOWN"', "r == true", required=0),
    "errors.call_stack": Call('errors.new("m")', 'r.thread == "main" and #r.frames > 0', required=0),
    "errors.Error:kind": Call("", 'r == "UNKNOWN"'),
    "errors.Error:message": Call("", 'r == "failed"'),
    "errors.Error:retryable": Call("", "r == nil"),
    "errors.Error:details": Call("", "r == nil"),
    "errors.Error:stack": Call("", 'r:find("test:%d+")'),
}

_EXPR = {
    "expr.eval": Call('"price * n > least", {price = 2.5, n = 4, least = 9}', "r == true", required=1),
    "expr.compile": Call('"a + 1", {a = 1}', "r:run({a = 2}) == 3", required=1),
    "expr.Program:run": Call("{a = 2}", "r == 3", required=0),
}

_FUNCS = {
    "funcs.call": Call('"app.generated:add", {a = 2, b = 3}', "r == 5", required=1),
}

_HASH = {
    "hash.md5": Call('"data", false', 'r == "8d777f385d3dfec8815d20f7496026dc"', required=1),
    "hash.sha1": Call('"data", true', "r:byte(1) == 0xa1 and #r == 20", required=1),
    "hash.sha256": Call('"data", false', 'r:sub(1, 8) == "3a6eb079"', required=1),
    "hash.sha512": Call('"data", true', "r:byte(1) == 0x77 and #r == 64", required=1),
    "hash.hmac_md5": Call('"data", "key", false', 'r == "9d5c73ef85594d34ec4438b7c97e51d8"', required=2),
    "hash.hmac_sha1": Call('"data", "key", true', "r:byte(1) == 0x10 and #r == 20", required=2),
    "hash.hmac_sha256": Call('"data", "key", false', 'r:sub(1, 8) == "5031fe3d"', required=2),
    "hash.hmac_sha512": Call('"data", "key", true', "r:byte(1) == 0x3c and #r == 64", required=2),
    "hash.fnv32": Call('"hello"', "r == 3069866343"),
    "hash.fnv64": Call('"hello"', "r == 0x7b495389bdbdd4c7"),
}

_HTTP_CLIENT = {
    **{
        f"http_client.{method}": Call(f'{_LINES}, {{timeout = "5s"}}', "r.status_code == 200", required=1)
        for method in ("get", "post", "put", "patch", "delete", "head")
    },
    "http_client.request": Call(f'"OPTIONS", {_LINES}, {{headers = {{}}}}', "r.status_code == 200", required=2),
    "http_client.request_batch": Call(f'{{{{"GET", {_LINES}}}}}', "r[1].status_code == 200 and s == nil"),
    "http_client.encode_uri": Call('"a b&c"', 'r == "a+b%26c"'),
    "http_client.decode_uri": Call('"a+b%26c"', 'r == "a b&c"'),
    "http_client.Stream:read": Call("5", 'r == "first"', required=0),
    "http_client.Stream:scanner": Call('"words"', 'r:scan() and r:text() == "first"', required=0),
    "http_client.Stream:stat": Call("", "r.position == 0 and not r.seekable"),
    "http_client.Stream:close": Call("", "r == true"),
    "http_client.Stream:seek": Call("", "r == nil and s:kind() == errors.INTERNAL"),
    "http_client.Scanner:scan": Call("", "r == true"),
    "http_client.Scanner:text": Call("", 'r == ""'),
    "http_client.Scanner:err": Call("", "r == nil"),
}

_JSON = {
    "json.encode": Call("{b = {1, 2.5}, a = true}", 'r == \'{"a":true,"b":[1,2.5]}\'', required=0),
    "json.validate": Call('{type = "integer"}, 3', "r == true and s == nil"),
    "json.validate_string": Call('\'{"type": "integer"}\', "3"', "r == true and s == nil"),
    "json.decode": Call("'{\"a\": [1, null]}'", "r.a[1] == 1"),
}

_REGISTRY = {
    "registry.get": Call('"app.tools:load_tool"', 'r.kind == "function.lua"'),
    "registry.find": Call('{[".ns"] = "app.tools"}', 'r[1].id == "app.tools:load_tool"', required=0),
    "registry.list": Call('{type = "tool"}, {query = "load", limit = 3}', "r.total == 1", required=0),
    "registry.parse_id": Call('"app.tools:load_tool"', 'r.ns == "app.tools" and r.name == "load_tool"'),
    "registry.snapshot": Call("", "r:version():id() == 1"),
    "registry.snapshot_at": Call("1", "r:version():id() == 1"),
    "registry.current_version": Call("", "r:id() == 1"),
    "registry.versions": Call("5", "r[1]:id() == 2", required=0),
    "registry.build_delta": Call("{}, {{id = 'a:b', kind = 'k'}}", 'r[1].kind == "entry.create"'),
    "registry.similar": Call('{id = "a:b", kind = "function.lua"}', 'r[1].why == "same code"', required=1),
    "registry.uses": Call('"app.tools:load_tool"', "r.calls == 3", required=1),
    "registry.history": Call('"app.tools:load_tool", 5', "r[1].version == 2", required=0),
    "registry.apply_version": Call("1", "r:id() == 3"),
    "registry.Snapshot:entries": Call("", "#r == 1"),
    "registry.Snapshot:get": Call('"app.tools:load_tool"', 'r.kind == "function.lua"'),
    "registry.Snapshot:find": Call("{}", "#r == 1", required=0),
    "registry.Snapshot:namespace": Call('"app.tools"', "#r == 1"),
    "registry.Snapshot:version": Call("", "r:id() == 1"),
    "registry.Snapshot:changes": Call("", "#r:ops() == 0"),
    "registry.Version:id": Call("", "r == 1"),
    "registry.Version:previous": Call("", "r == nil and s == nil"),
    "registry.Version:next": Call("", "r:id() == 2"),
    "registry.Version:info": Call("", 'r.subject == "Change 12 entries"'),
    "registry.History:versions": Call("", "r[1]:id() == 2"),
    "registry.History:get_version": Call("2", "r:id() == 2"),
    "registry.History:snapshot_at": Call("1", "r:version():id() == 1"),
    "registry.Version:commit": Call("", "#r == 40"),
    "registry.Version:string": Call("", 'r == "1 (a1a1a1a)"'),
    "registry.Changes:create": Call(_ENTRY, "#r:ops() == 2"),
    "registry.Changes:update": Call(_ENTRY, "#r:ops() == 2"),
    "registry.Changes:delete": Call('"app.generated:x"', "#r:ops() == 2"),
    "registry.Changes:ops": Call("", 'r[1].kind == "entry.delete"'),
    "registry.Changes:apply": Call("", "r:id() == 2"),
}

_SECURITY = {
    "security.new_actor": Call('"user:1", {role = "admin"}', 'r:meta().role == "admin"', required=1),
    "security.named_scope": Call('"app:agent_security"', "r ~= nil and s == nil"),
    "security.Actor:id": Call("", 'r == "service:agent"'),
    "security.Actor:meta": Call("", 'r.role == "agent"'),
    "security.Scope:evaluate": Call(
        'security.new_actor("a"), "registry.create", "app:x", {x = 1}',
        'r == "deny" and s == nil and t == "app:deny_core_ns"',
        required=3,
    ),
}

_TEXT = {
    "text.regexp.compile": Call('"(a+)(?P<n>b)?"', "r:num_subexp() == 2"),
    "text.Regexp:match_string": Call('"a12 b3"', "r == true"),
    "text.Regexp:find_string": Call('"a12 b3"', 'r == "a12"'),
    "text.Regexp:find_all_string": Call('"a12 b3"', 'r[2] == "b3"'),
    "text.Regexp:find_string_submatch": Call('"a12 b3"', 'r[3] == "12"'),
    "text.Regexp:find_all_string_submatch": Call('"a12 b3"', 'r[2][3] == "3"'),
    "text.Regexp:find_string_index": Call('"a12 b3"', "r[1] == 1 and r[2] == 3"),
    "text.Regexp:find_all_string_index": Call('"a12 b3"', "r[2][1] == 5 and r[2][2] == 6"),
    "text.Regexp:replace_all_string": Call('"a12 b3", "$2$1"', 'r == "12a 3b"'),
    "text.Regexp:split": Call('"x a12 b3", -1', 'r[1] == "x "', required=1),
    "text.Regexp:num_subexp": Call("", "r == 2"),
    "text.Regexp:subexp_names": Call("", "#r == 3"),
    "text.Regexp:string": Call("", 'r == "([a-z])([0-9]+)"'),
    "text.diff.new": Call("{diff_timeout = 0.5}", 'r:compare("a", "b")[1].operation == "delete"', required=0),
    "text.Differ:compare": Call('"one two", "one three"', 'r[1].operation == "equal" and r[1].text == "one t"'),
    "text.Differ:summarize": Call(_DIFFS, "r.equals == 5 and r.deletions == 2 and r.insertions == 4"),
    "text.Differ:pretty_text": Call(_DIFFS, 'r:find("one t", 1, true) == 1'),
    "text.Differ:pretty_html": Call(_DIFFS, 'r:find("<del", 1, true) ~= nil'),
    "text.Differ:patch_make": Call('"one two", "one three"', "#r == 1"),
    "text.Differ:patch_apply": Call(
        'text.diff.new():patch_make("one two", "one three"), "one two"', 'r == "one three" and s == true'
    ),
    "text.splitter.recursive": Call(
        "{chunk_size = 10, chunk_overlap = 0}", '#r:split_text("one two three four") == 2', required=0
    ),
    "text.splitter.markdown": Call(
        "{chunk_size = 20, chunk_overlap = 0}", '#r:split_text("# One\\n\\nTwo.\\n") >= 1', required=0
    ),
    "text.Splitter:split_text": Call('"one two three four"', "#r == 2"),
    "text.Splitter:split_batch": Call(
        '{{content = "one two three four", metadata = {page = 7}}}', "#r == 2 and r[2].metadata.page == 7"
    ),
}

_TIME = {
    "time.now": Call("", "r:unix() > 1700000000"),
    "time.unix": Call("1703862245, 5", "r:nanosecond() == 5", required=1),
    "time.date": Call(
        f"2024, 2, 29, 13, 4, 5, 6, {_BERLIN}", 'r:format_rfc3339() == "2024-02-29T13:04:05+01:00"', required=3
    ),
    "time.parse": Call(
        f'"2006-01-02 15:04", "2024-02-29 13:04", {_BERLIN}',
        'r:format_rfc3339() == "2024-02-29T13:04:00+01:00"',
        required=2,
    ),
    "time.parse_duration": Call('"1h30m"', "r:minutes() == 90"),
    "time.load_location": Call('"Asia/Tokyo"', 'r:string() == "Asia/Tokyo"'),
    "time.fixed_zone": Call('"IST", 19800', 'r:string() == "IST"'),
    "time.sleep": Call('"1ms"', "r == nil and s == nil"),
    "time.after": Call('"1ms"', "r:receive():unix() > 1700000000"),
    "time.timer": Call('"1ms"', "r:response():receive():unix() > 1700000000"),
    "time.ticker": Call('"1ms"', "r:response():receive():unix() > 1700000000"),
    "time.Duration:hours": Call("", "r == 1.5"),
    "time.Duration:minutes": Call("", "r == 90"),
    "time.Duration:seconds": Call("", "r == 5400"),
    "time.Duration:milliseconds": Call("", "r == 5400000"),
    "time.Duration:microseconds": Call("", "r == 5400000000"),
    "time.Duration:nanoseconds": Call("", "r == 5400000000000"),
    "time.Location:string": Call("", 'r == "Europe/Berlin"'),
    "time.Ticker:response": Call("", 'type(r) == "table" and s == nil'),
    "time.Ticker:channel": Call("", 'type(r) == "table" and s == nil'),
    "time.Ticker:stop": Call("", "r == true"),
    "time.Timer:response": Call("", 'type(r) == "table" and s == nil'),
    "time.Timer:channel": Call("", 'type(r) == "table" and s == nil'),
    "time.Timer:stop": Call("", "r == true"),
    "time.Timer:reset": Call('"2h"', "r == true"),
    "time.Time:format": Call('"2006-01-02 15:04:05 MST"', 'r == "2023-12-29 15:04:05 UTC"'),
    "time.Time:format_rfc3339": Call("", 'r == "2023-12-29T15:04:05Z"'),
    "time.Time:unix": Call("", "r == 1703862245"),
    "time.Time:unix_nano": Call("", "r == 1703862245000000000"),
    "time.Time:year": Call("", "r == 2023"),
    "time.Time:month": Call("", "r == 12"),
    "time.Time:day": Call("", "r == 29"),
    "time.Time:hour": Call("", "r == 15"),
    "time.Time:minute": Call("", "r == 4"),
    "time.Time:second": Call("", "r == 5"),
    "time.Time:nanosecond": Call("", "r == 0"),
    "time.Time:weekday": Call("", "r == time.FRIDAY"),
    "time.Time:year_day": Call("", "r == 363"),
    "time.Time:date": Call("", "r == 2023 and s == 12 and t == 29"),
    "time.Time:clock": Call("", "r == 15 and s == 4 and t == 5"),
    "time.Time:is_zero": Call("", "r == false"),
    "time.Time:add": Call('"1h"', "r:hour() == 16"),
    "time.Time:add_date": Call("1, 0, -28", 'r:format("2006-01-02") == "2024-12-01"'),
    "time.Time:sub": Call("time.unix(1703862244, 0)", "r:seconds() == 1"),
    "time.Time:before": Call("time.unix(0, 0)", "r == false"),
    "time.Time:after": Call("time.unix(0, 0)", "r == true"),
    "time.Time:equal": Call("time.unix(1703862245, 0)", "r == true"),
    "time.Time:utc": Call("", "r:hour() == 15"),
    "time.Time:in_local": Call("", 'r:location():string() == "Local"'),
    "time.Time:in_location": Call(_BERLIN, "r:hour() == 16"),
    "time.Time:location": Call("", 'r:string() == "UTC"'),
    "time.Time:round": Call('time.parse_duration("1h")', "r:hour() == 15 and r:minute() == 0"),
    "time.Time:truncate": Call('time.parse_duration("1m")', "r:minute() == 4 and r:second() == 0"),
}

_URL = {
    "url.parse": Call(
        '"../b?x=1&x=2#top", "https://example.com:8080/a/c"',
        'r.href == "https://example.com:8080/b?x=1&x=2#top" and r.port == "8080" and r.query.x[2] == "2"',
        required=1,
    ),
    "url.build": Call(
        '{protocol = "https:", hostname = "example.com", pathname = "/a b", query = {x = "1"}}',
        'r == "https://example.com/a%20b?x=1"',
    ),
    "url.join": Call('"https://example.com/a/b", "../c"', 'r == "https://example.com/c"'),
    "url.encode": Call('"a b/é"', 'r == "a%20b%2F%C3%A9"'),
    "url.decode": Call('"a%20b%2F%C3%A9"', 'r == "a b/é"'),
    "url.encode_query": Call('{q = "a b", n = {1, 2}}', 'r == "n=1&n=2&q=a+b"'),
    "url.decode_query": Call('"?n=1&n=2&q=a+b"', 'r.q == "a b" and r.n[2] == "2"'),
}

_UUID = {
    "uuid.v1": Call("", "uuid.version(r) == 1"),
    "uuid.v3": Call(f'{_NAMESPACE}, "www.example.com"', 'r == "5df41881-3aed-3515-88a7-2f4a814cf09e"'),
    "uuid.v4": Call("", "uuid.version(r) == 4"),
    "uuid.v5": Call(f'{_NAMESPACE}, "www.example.com"', 'r == "2ed6657d-e927-568b-95e1-2665a8aea6a2"'),
    "uuid.v7": Call("", "uuid.version(r) == 7"),
    "uuid.validate": Call(_NAMESPACE, "r == true", required=0),
    "uuid.version": Call(_NAMESPACE, "r == 1"),
    "uuid.variant": Call(_NAMESPACE, 'r == "RFC4122"'),
    "uuid.parse": Call(_NAMESPACE, "r.version == 1 and #r.node == 6"),
    "uuid.format": Call(f'{_NAMESPACE}, "simple"', 'r == "6ba7b8109dad11d180b400c04fd430c8"', required=1),
}

_YAML = {
    "yaml.encode": Call(
        '{name = "x", list = {1, true}}, {field_order = {"name"}}',
        'r:find("^name: x\\nlist:\\n *- 1\\n *- true\\n$")',
        required=1,
    ),
    "yaml.decode": Call('"a: [1, 2.5, yes, null]"', "r.a[1] == 1 and r.a[2] == 2.5"),
}

CALLS: dict[str, Call] = {
    **_BASE64,
    **_CHANNEL,
    **_CRYPTO,
    **_CTX,
    **_DISPLAY,
    **_DOCS,
    **_ERRORS,
    **_EXPR,
    **_FUNCS,
    **_HASH,
    **_HTTP_CLIENT,
    **_JSON,
    **_REGISTRY,
    **_SECURITY,
    **_TEXT,
    **_TIME,
    **_URL,
    **_UUID,
    **_YAML,
}
