"""The examples of the reference's documentation, read from a checkout of it, and what their comments promise.

Nothing of that documentation is in this project. A comment after a statement that is a Lua literal (`-- 7`, `-- "B"`),
also on the next line or as `-- name.field = 7`, states a value; so do lines of YAML below a call. `checked` gives the
example with each turned into a call of CHECK, which prints what it found. Where it says nothing, an `err` must be nil.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

_NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?:\.\.\.)?"
_LITERAL = rf"(?:{_NUMBER}|\"[^\"]*\"|'[^']*'|true|false|nil)"
_STATED = rf"({_LITERAL}(?:, {_LITERAL})*)(?=$| \()"

_AT_THE_END = re.compile(rf"^(?P<code>.*\S)\s+-- {_STATED}")
_BELOW = re.compile(rf"^\s*-- (?:Returns: )?{_STATED}")
_FIELD = re.compile(rf"([a-z_]\w*(?:\.\w+)*) = ({_LITERAL})(?=$|, | \()")
_PRINT = re.compile(r"^(\s*)print\((.*)\)$")
_LOCAL = re.compile(r"^\s*local (\w+(?:, \w+)*) = ")
_YAML = re.compile(r"^\s*-- (- \w+|\w+: \S+)$")
_CALL = re.compile(r"^\s*[\w.]+[.:]\w+\(.*\)$")

CHECK = """
local function CHECK(line, stated, ...)
  local given, wrong = table.pack(...), nil
  for i = 1, stated.n do
    local got, want = given[i], stated[i]
    if type(got) == "string" then got = got:gsub("\\n$", "") end
    local same = rawequal(got, want) or got == want
    if type(got) == "number" and type(want) == "number" then same = math.abs(got - want) < 1e-9 * math.max(1, want) end
    if type(want) == "table" then -- of a number as far as it is written, of a list item by item
      same = want.begins and tostring(got):sub(1, #want.begins) == want.begins
      if not want.begins then
        same = type(got) == "table" and #got == #want
        for k, fields in ipairs(same and want or {}) do
          for name, value in pairs(fields) do same = same and got[k][name] == value end
        end
      end
    end
    if not same then wrong = tostring(got):gsub("\\n", " / ") end
  end
  print("\\1" .. line .. ": " .. (wrong or "as stated"))
  return ...
end
"""


@dataclass(frozen=True)
class Example:
    page: str
    """Below en/lua/, without .md."""
    number: int
    """Of the Lua blocks of the page, from 1."""
    source: str

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"


def read(checkout: str, pages: tuple[str, ...]) -> list[Example]:
    """All Lua blocks of the pages. `checkout` is a clone, bare or not; what it has at HEAD counts."""
    from dulwich.objectspec import parse_tree
    from dulwich.repo import Repo

    found = []
    with Repo(str(Path(checkout).expanduser())) as repo:
        tree = parse_tree(repo, b"HEAD")
        for page in pages:
            _, blob = tree.lookup_path(repo.__getitem__, f"en/lua/{page}.md".encode())
            text = repo[blob].as_raw_string().decode()
            blocks = re.findall(r"^```lua\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
            found += [Example(page, number, block) for number, block in enumerate(blocks, 1)]
    return found


def expressions(source: str) -> str:
    """A block that lists expressions, each with a comment, as a program that evaluates them and checks literals."""
    lines = []
    for number, line in enumerate(source.splitlines(), 1):
        code, _, comment = line.partition("--")
        stated = re.match(rf"{_STATED}", comment.strip())
        if not code.strip() or code.startswith("local "):
            lines.append(code)
        elif stated:
            lines.append(f"CHECK({number}, {_as_lua(stated[1])}, {code.strip()})")
        else:
            lines.append(f"local _ = {code.strip()}")
    return "\n".join(lines)


def checked(source: str, failing: Container[int] = ()) -> str:
    """The example with a CHECK wherever a comment states a value; the calls in the lines `failing` give an error."""
    lines, out, last, index = source.splitlines(), [], "", 0
    while index < len(lines):
        line, number = lines[index], index + 1
        if found := _LOCAL.match(line):
            last = found[1]
        here, yaml = _AT_THE_END.match(line), _yaml_below(lines[index + 1 :])
        below = _BELOW.match(lines[index + 1]) if index + 1 < len(lines) else None
        if line.lstrip().startswith("--"):
            line, used = _stated_below(lines[index:], last, number)
            index += used - 1
        elif here:
            line = _check(here["code"], _as_lua(here[2]), number, last)
        elif below:
            line = _check(line, _as_lua(below[1]), number, last)
        elif yaml:
            line = _check(line, f"{{n = 1, {_quoted(yaml)}}}", number, last)
        elif re.search(r", err\b", last) and _ends_a_local(line) and number not in failing:
            code, comment, said = line.partition("  -- ")
            line = f"{code} CHECK({number}, {{n = 1, nil}}, err){comment}{said}"
        out.append(line)
        index += 1
    return "\n".join(out)


def _check(code: str, stated: str, number: int, last: str) -> str:
    """A statement and what is stated of it."""
    check = f"CHECK({number}, {stated}, "
    if found := _PRINT.match(code):
        return f"{found[1]}{check}{found[2]})"
    if _CALL.match(code):
        return f"{check}{code.strip()})"
    if _ends_a_local(code):
        return f"{code} {check}{last})"
    return code


def _ends_a_local(code: str) -> bool:
    """Whether the line is a `local` at the margin with all its brackets, or the last line of one."""
    if code.startswith("local "):
        return code.count("(") == code.count(")") and code.count("{") == code.count("}")
    return code in ("})", "]])", ")")


def _yaml_below(lines: list[str]) -> str:
    """The YAML that a run of comment lines holds; empty if it is something else."""
    found = []
    for line in lines:
        if not line.lstrip().startswith("--"):
            break
        text = _YAML.match(line)
        if not text:
            return ""
        found.append(text[1])
    return "\n".join(found)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _stated_below(lines: list[str], last: str, number: int) -> tuple[str, int]:
    """What a comment line states, and how many lines it took: `name = literal` pairs, or a list of tables."""
    text = lines[0].strip().removeprefix("--").strip()
    if re.fullmatch(r"\{\w+ = .*\}", text) and last:
        items = []
        for line in lines:
            item = re.fullmatch(r"\s*-- (\{\w+ = .*\})", line)
            if not item:
                break
            items.append(item[1])
        return f"CHECK({number}, {{n = 1, {{{', '.join(items)}}}}}, {last.split(', ')[0]})", len(items)
    pairs = _FIELD.findall(text)
    if pairs and _FIELD.match(text):
        return " ".join(f"CHECK({number}, {_as_lua(value)}, {name})" for name, value in pairs), 1
    return lines[0], 1


def _as_lua(stated: str) -> str:
    """`7, "a"` as `{n = 2, 7, "a"}`; a number that ends in `...` as {begins = text}."""
    items = []
    for item in re.findall(_LITERAL, stated):
        if item.endswith("..."):
            item = f'{{begins = "{item[:-3]}"}}'
        elif item[0] in "-0123456789":
            item = item.replace(",", "")
        items.append(item)
    return f"{{n = {len(items)}, {', '.join(items)}}}"
