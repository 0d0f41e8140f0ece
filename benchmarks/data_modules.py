"""Speed of the Lua modules for data, beside Python's libraries. `python benchmarks/data_modules.py [TIMES]`

About a megabyte, as an API answers (45 bytes a value) and as many small values (10 bytes each). The time of a module is
processor time inside the jailed child, so without the call around it. Ratios can be compared between machines.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonschema
import re2
import yaml
from sandbox import ISSUES, ROWS, NoHost, ignore

from micro_agi_kernel.interfaces import MIB, Limits, Program
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.values import Value

SCHEMA: Any = {
    "items": {
        "required": ["id", "name"],
        "properties": {
            "id": {"type": "integer", "minimum": 0},
            "name": {"type": "string", "minLength": 1},
            "tags": {"items": {"enum": ["a", "b"]}},
            "price": {"type": "number"},
        },
    }
}


@dataclass(frozen=True)
class Row:
    """One thing that a module does, and what does the same in Python."""

    name: str
    lua: str
    """An expression in which `given` is `input`."""
    python: Callable[[], object]
    input: Value


def rows() -> list[Row]:
    found = []
    for name, data in (("an API's answer", ISSUES), ("small values", ROWS)):
        as_json = json.dumps(data, separators=(",", ":"))
        as_yaml = yaml.dump(data, Dumper=yaml.CSafeDumper)
        found += [
            Row(f"json.decode, {name}", "json.decode(given)", lambda t=as_json: json.loads(t), as_json),
            Row(f"json.encode, {name}", "json.encode(given)", lambda d=data: json.dumps(d), data),
            Row(
                f"yaml.decode, {name}", "yaml.decode(given)", lambda t=as_yaml: yaml.load(t, yaml.CSafeLoader), as_yaml
            ),
            Row(
                f"yaml.encode, {name}", "yaml.encode(given)", lambda d=data: yaml.dump(d, Dumper=yaml.CSafeDumper), data
            ),
        ]
    text = json.dumps(ROWS)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validate = f"json.validate_string([[{json.dumps(SCHEMA)}]], given)"
    found.append(
        Row("json.validate_string, small values", validate, lambda: validator.is_valid(json.loads(text)), text)
    )
    return found + regexp_rows(json.dumps(ISSUES))


def regexp_rows(text: str) -> list[Row]:
    word, number = re2.compile(r"[a-z]{5,}"), re2.compile(r"(\d+)")
    find = "text.regexp.compile('[a-z]{5,}'):find_all_string(given)"
    replace = "text.regexp.compile('([0-9]+)'):replace_all_string(given, '<$1>')"
    return [
        Row(f"regexp, {len(word.findall(text)):,} words found", find, lambda: word.findall(text), text),
        Row(
            f"regexp, {len(number.findall(text)):,} numbers replaced", replace, lambda: number.sub(r"<\1>", text), text
        ),
    ]


PROGRAM = """
local json, yaml, text = require("json"), require("yaml"), require("text")
return {handler = function(given)
  local taken = {}
  for i = 1, TIMES do
    local start = os.clock()
    assert(LUA)
    taken[i] = (os.clock() - start) * 1000
  end
  return taken
end}
"""


async def in_the_jail(sandbox: JailedSandbox, row: Row, times: int) -> float:
    """The median of some runs, in milliseconds."""
    source = PROGRAM.replace("TIMES", str(times)).replace("LUA", row.lua)
    limits = Limits(seconds=60, memory=512 * MIB)
    program = Program(source, "benchmark", row.input, modules=frozenset({"json", "yaml", "text"}), limits=limits)
    outcome = await sandbox.run(program, NoHost(), ignore)
    assert outcome.error is None and isinstance(outcome.value, list), outcome.error
    return statistics.median(float(str(value)) for value in outcome.value)


def in_python(row: Row, times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.process_time()
        row.python()
        taken.append((time.process_time() - start) * 1000)
    return statistics.median(taken)


async def main(times: int) -> None:
    sandbox = JailedSandbox("micro_agi_kernel.lua_modules", spares=1)
    print(f"{'':40} {'ms':>8} {'Python, ms':>12} {'ratio':>8}")
    for row in rows():
        taken, python = await in_the_jail(sandbox, row, times), in_python(row, times)
        print(f"{row.name:40} {taken:8.1f} {python:12.1f} {taken / python:8.2f}", flush=True)
    await sandbox.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
