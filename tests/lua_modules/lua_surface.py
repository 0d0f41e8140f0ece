"""All that a tool can call: found by walking the modules, not by a list, so that what is new is covered at once.

A name is `module.function` (`text.regexp.compile`), or `module.Class:method` for what an object offers.
"""

from __future__ import annotations

import re
from pathlib import Path

from lua_double import ALL_MODULES, RunLua

from micro_agi_kernel.lua_modules import load_all
from micro_agi_kernel.resources import resource

DOCS = resource("registry_repo") / "docs"
MODULES = load_all()
PATHS = {
    "base64": "lua/data/base64",
    "channel": "lua/core/channel",
    "coroutine": "lua/core/channel",
    "crypto": "lua/security/crypto",
    "ctx": "lua/core/context",
    "display": "lua/display",
    "docs": "lua/docs",
    "errors": "lua/core/errors",
    "expr": "lua/dynamic/expression",
    "funcs": "lua/core/funcs",
    "hash": "lua/security/hash",
    "http_client": "lua/http/client",
    "json": "lua/data/json",
    "registry": "lua/core/registry",
    "security": "lua/security/security",
    "text": "lua/text/text",
    "time": "lua/core/time",
    "url": "lua/http/url",
    "uuid": "lua/security/uuid",
    "yaml": "lua/data/yaml",
}
"""The page of each: where the reference has one too, at its path."""

GLOBALS = {
    "channel": "channel",
    "coroutine": "{spawn = coroutine.spawn}",
    "display": "{display = display, progress = progress}",
    "errors": "errors",
}
"""What is there without `require` and has a page of its own."""

ROOTS = (*ALL_MODULES, *GLOBALS)

MAKERS = {
    "channel.Channel": "(function() local ch = channel.new(9); ch:send(1); return ch end)()",
    "errors.Error": 'errors.new("failed")',
    "expr.Program": 'expr.compile("(a ?? 1) + 1")',
    "http_client.Scanner": 'http_client.get("https://api.example.com/lines", {stream = true}).stream:scanner("lines")',
    "http_client.Stream": 'http_client.get("https://api.example.com/lines", {stream = true}).stream',
    "registry.Changes": 'registry.snapshot():changes():delete("app.generated:old")',
    "registry.History": "registry.history()",
    "registry.Snapshot": "registry.snapshot()",
    "registry.Version": "registry.current_version()",
    "security.Actor": 'security.new_actor("service:agent", {role = "agent"})',
    "security.Scope": 'security.named_scope("app:agent_security")',
    "text.Differ": "text.diff.new()",
    "text.Regexp": 'text.regexp.compile("([a-z])([0-9]+)")',
    "text.Splitter": "text.splitter.recursive({chunk_size = 10, chunk_overlap = 0})",
    "time.Duration": 'time.parse_duration("90m")',
    "time.Location": 'time.load_location("Europe/Berlin")',
    "time.Ticker": 'time.ticker("1h")',
    "time.Time": "time.unix(1703862245, 0):utc()",
    "time.Timer": 'time.timer("1h")',
}
"""An expression for an object of each class."""


def with_modules(source: str) -> str:
    """The source with every module that it names required under its own name."""
    named = [name for name in ALL_MODULES if re.search(rf"\b{name}[.,)]", source)]
    return "".join(f'local {name} = require("{name}") ' for name in named) + source


def callee(name: str) -> str:
    """What to write before the parenthesis to call it."""
    owner, colon, method = name.partition(":")
    if colon:
        return f"({MAKERS[owner]}):{method}"
    root, _, path = name.partition(".")
    return f"({GLOBALS.get(root, root)}).{path}"


def page_of(root: str) -> Path:
    return DOCS / f"{PATHS[root]}.md"


def pages_of(root: str) -> list[Path]:
    """Its page, and those beside it that go on with a part of it, titled `# root: part`."""
    first = page_of(root)
    others = [page for page in first.parent.glob("*.md") if page.read_text().startswith(f"# {root}: ")]
    return [first, *sorted(others)]


def text_on(root: str) -> str:
    return "".join(page.read_text() for page in pages_of(root))


def error_sections(root: str) -> list[str]:
    """What stands under `## Errors` on each of its pages."""
    sections = re.findall(r"^## Errors\n(.*?)(?=^##? |\Z)", text_on(root), re.DOTALL | re.MULTILINE)
    assert len(sections) == len(pages_of(root)), f"each page of {root} has a section 'Errors'"
    return sections


def classes_of(module: str) -> set[str]:
    """The classes in the chunk of a module: tables with an `__index` of their own."""
    return set(re.findall(r"\b([A-Z]\w*)\.__index\b", _text_of(module)))


def words_of(root: str) -> list[str]:
    """Every word that may be the name of a method: classes are out of a tool's reach, so their names come from text."""
    text = _text_of(root) if root in MODULES else ""
    return sorted(set(re.findall(r"[A-Za-z]\w*", text + text_on(root))))


def _text_of(module: str) -> str:
    return "".join((MODULES[module].chunk, *MODULES[module].parts.values()))


_FIND = """
local found, constants = {}, {}
local function walk(name, value)
  for key, item in pairs(value) do
    if type(item) == "function" then
      found[#found + 1] = name .. "." .. key
    elseif type(item) == "table" and getmetatable(item) == nil then
      walk(name .. "." .. key, item)
    else
      constants[#constants + 1] = name .. "." .. key
    end
  end
end
ROOTS
local function methods(name, object, words)
  for word in words:gmatch("%S+") do
    if type(object[word]) == "function" then found[#found + 1] = name .. ":" .. word end
  end
end
MAKERS
return {found, constants}
"""


async def surface(run_lua: RunLua) -> tuple[set[str], set[str]]:
    """The names of all functions and methods, and those of all else that a module holds: constants and objects."""
    roots = [f'walk("{name}", {GLOBALS.get(name, name)})' for name in ROOTS]
    makers = [
        f'methods("{name}", {expression}, "{" ".join(words_of(name.split(".")[0]))}")'
        for name, expression in MAKERS.items()
    ]
    source = _FIND.replace("ROOTS", "\n".join(roots)).replace("MAKERS", "\n".join(makers))
    ran = await run_lua(with_modules(source))
    functions, constants = ran.value
    return set(functions), set(constants)
