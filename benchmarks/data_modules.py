"""Speed of the Lua modules for data, beside Python's libraries.

About a megabyte, as an API answers (45 bytes a value) and as many small values (10 bytes each). The time of a module is
processor time inside the jailed child, so without the call around it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import jsonschema
import re2
import yaml
from _rows import Found, Row, Size, main
from sandbox import ISSUES, ROWS, NoHost, ignore

from micro_agi_kernel.interfaces import MIB, Limits, Program
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.values import Value

TIMES: dict[Size, int] = {"quick": 1, "usual": 7, "large": 31}
BESIDE = {"json.validate": "jsonschema", "json": "Python's json", "yaml": "PyYAML with libyaml", "regexp": "google-re2"}
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
class Case:
    """One thing that a module does, and what does the same in Python."""

    name: str
    lua: str
    """An expression in which `given` is `input`."""
    python: Callable[[], object]
    input: Value


def cases() -> list[Case]:
    found = []
    for name, data in (("an API's answer", ISSUES), ("small values", ROWS)):
        as_json = json.dumps(data, separators=(",", ":"))
        as_yaml = yaml.dump(data, Dumper=yaml.CSafeDumper)
        found += [
            Case(f"json.decode, {name}", "json.decode(given)", lambda t=as_json: json.loads(t), as_json),
            Case(f"json.encode, {name}", "json.encode(given)", lambda d=data: json.dumps(d), data),
            Case(
                f"yaml.decode, {name}", "yaml.decode(given)", lambda t=as_yaml: yaml.load(t, yaml.CSafeLoader), as_yaml
            ),
            Case(
                f"yaml.encode, {name}", "yaml.encode(given)", lambda d=data: yaml.dump(d, Dumper=yaml.CSafeDumper), data
            ),
        ]
    text = json.dumps(ROWS)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validate = f"json.validate_string([[{json.dumps(SCHEMA)}]], given)"
    found.append(
        Case("json.validate_string, small values", validate, lambda: validator.is_valid(json.loads(text)), text)
    )
    return found + regexp_cases(json.dumps(ISSUES))


def regexp_cases(text: str) -> list[Case]:
    word, number = re2.compile(r"[a-z]{5,}"), re2.compile(r"(\d+)")
    find = "text.regexp.compile('[a-z]{5,}'):find_all_string(given)"
    replace = "text.regexp.compile('([0-9]+)'):replace_all_string(given, '<$1>')"
    return [
        Case(f"regexp, {len(word.findall(text)):,} words found", find, lambda: word.findall(text), text),
        Case(
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


async def in_the_jail(sandbox: JailedSandbox, case: Case, times: int) -> float:
    """The median of some runs, in milliseconds."""
    source = PROGRAM.replace("TIMES", str(times)).replace("LUA", case.lua)
    limits = Limits(seconds=60, memory=512 * MIB)
    program = Program(source, "benchmark", case.input, modules=frozenset({"json", "yaml", "text"}), limits=limits)
    outcome = await sandbox.run(program, NoHost(), ignore)
    assert outcome.error is None and isinstance(outcome.value, list), outcome.error
    return statistics.median(float(str(value)) for value in outcome.value)


def in_python(case: Case, times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.process_time()
        case.python()
        taken.append((time.process_time() - start) * 1000)
    return statistics.median(taken)


async def rows(size: Size) -> AsyncIterator[Found]:
    sandbox = JailedSandbox("micro_agi_kernel.lua_modules", spares=1)
    for case in cases():
        taken, python = await in_the_jail(sandbox, case, TIMES[size]), in_python(case, TIMES[size])
        beside = next(name for start, name in BESIDE.items() if case.name.startswith(start))
        yield Row("data_modules", case.name, taken, "ms", beside, python)
    await sandbox.close()


if __name__ == "__main__":
    main(rows, __doc__)
