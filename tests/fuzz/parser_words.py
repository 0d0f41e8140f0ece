"""What makes sense to each kind of parser, so that texts put together at random get far."""

from __future__ import annotations

YAML_WORDS = (
    "kind: ", "version: '1'", "meta:", "\n", "  ", "- ", "&a ", "*a", "<<: ", "|", ">", "'", '"', "{", "}", "[", "]",
    "!!python/object ", "? ", ": ", "#", "---", "...", "0x1", "1e999", ".nan", "2026-01-01", "~", "\n====\n",
    "function.lua",
)  # fmt: skip

JSON_WORDS = (
    "{", "}", "[", "]", ",", ":", '"', '"a"', '"$ref"', '"#"', "1e400", "-0", "NaN", "true", "null", "9" * 400,
    "\\ud800", "[" * 50,
)  # fmt: skip

HTML_WORDS = (
    "<", ">", "</", "<p>", "<script>", "<svg ", "<math>", "<style>", "<a href=", "javascript:", '"', "'", "&#x6a;",
    "&lt", "<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "&a;", "<img src=x onerror=1", "/>",
    "<table><td>", "xmlns='http://www.w3.org/2000/svg'", "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'>",
    "</svg>", "<use href='#a'/>", "style='x:url(//a)'", "\x00", "<b><i><b>", "</b>",
)  # fmt: skip

MD_WORDS = (
    "#", "*", "_", "`", "```", "~~~", "\n", "\n\n", "    ", "[a](", "javascript:x)", "![", "](", "<b>", "$", "$$",
    "\\(", "\\", "\\href{x}", "|", "|--|", "> ", "- ", "1. ", "&#0;", "\x1b[31m", "\u202e", "http://", "\t", "\r",
    "\u2028",
)  # fmt: skip

LOG_WORDS = (
    '{"kind":"Answer"', '{"kind":"Request"', '{"kind":"State"', '{"kind":"ToolFinished"', '{"kind":"Turn"',
    ',"text":"x"', ',"messages":[{"role":"tool"}]', ',"calls":[{"id":"a","name":"b"}]', ',"calls":5',
    ',"usage":{"prompt":-1}', ',"data":[]', ',"id":"app:x"', "}", "\n", "\x00", "\udcff",
    '{"kind":"Prompt","text":1}', "NaN", '{"kind":"RegistryShown","tools":[{}]}',
)  # fmt: skip

STREAM_WORDS = (
    'data: {"choices":[{"delta":', '{"content":"x"}', '{"tool_calls":[{"index":0,"id":"a","function":{"name":"b"}}]}',
    "}]}", '{"tool_calls":[{"index":1e9,"function":{"arguments":{}}}]}', '{"content":"\\ud83d"}',
    '{"content":"\\ude00"}', "[DONE]", "\n", 'data: {"usage":{"prompt_tokens":"x"}}', "data: null", "data: []",
    '{"tool_calls":7}', "data: ", 'data: {"choices":[{"finish_reason":["x"]}]}', '{"content":["x"],"refusal":5}',
)  # fmt: skip

TOML_WORDS = (
    "[mcp.servers.x]", "[sandbox]", "model", " = ", '"x"', "1", "true", "\n", "[", "]", "[[", "]]", ".", "command",
    "url", "{", "}", "0x", "'''", "1979-05-27", "inf", "registry", "path", "[[trusted]]", "[[registry]]", "key",
    "sessions.log",
)  # fmt: skip

GIT_WORDS = (
    "tree aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "parent bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "author A <a@b> 1 +0000", "author A <a@b> 99999999999999999999 +9999", "committer ", "\n", "\n\n", "gpgsig ", " ",
    "100644 x\x00AAAAAAAAAAAAAAAAAAAA", "40000 ..\x00BBBBBBBBBBBBBBBBBBBB", "\x00", "Actor: service:agent",
    "Create: app:x", "Policy: ", "\udcff", "\r\n", "---", "File: ", "(cherry picked from commit x)", "\x1b]0;x\x07",
    "\u202e",
)  # fmt: skip

TIME_WORDS = (
    "2006", "01", "Jan", "January", "Mon", "02", "_2", "15", "03", "PM", "04", "05", ".000", ",999", "MST", "-0700",
    "Z07:00", "|", "1h", "-", "5.5m", "9223372036854775808ns", "µs", ".", "2026", "12", "Dec", "GMT+3", "Z", "60",
    "+24:00", " ",
)  # fmt: skip

CELL_WORDS = (
    "%", "%%", "%%parameters", "%revert v1", "\n", " ", "@", '@"', '"', "@a.csv", "name = 1", " # x", "=", "%%lua",
    "\u2028", "\x00", "~/",
)  # fmt: skip

LUA_WORDS = (
    "local ", "function ", "end ", "x", " = ", "1", "0x", "'", '"', "[[", "]]", "[=[", "--", "--[[", "\\z", "\\u{",
    "}", "\\x", "..", "...", "::a::", "goto a ", "return ", "\n", "(", ")", "{", "for i=1,2 do ", "repeat until ",
    "if x then ", "\x00", "\udcff",
)  # fmt: skip

URL_WORDS = (
    "http://", "https://", "//", "@", ":", "/", "[::1]", "127.1", "0x7f.1", "%00", "%", "\\", "?", "#", "xn--", "。",
    "user:pw@", "git@", "ssh://", "file:///", "ext::", "-", "host", ":99999", "\t", "ａ",
)  # fmt: skip

ISO_WORDS = (
    "0001-01-01", "9999-12-31", "2026-01-02", "T", " ", "00:00:00", "23:59:59", ".999999", "Z", "+23:59", "-23:59",
    "W01", "-", "24:00",
)  # fmt: skip

HEAD_WORDS = (
    "Set-Cookie", ":", ";", "=", '"', "a", " ", "\n", "Content-Length", "Content-Encoding", "gzip", "9" * 20, "-1",
    "\x00", "\udcff", "\x1f\udc8b\x08\x00\x00\x00\x00\x00\x00\x03", "x\udc9cKL\x04\x00", "\x1f\udc8b",
)  # fmt: skip
