"""The parameters of a run as text: a line `name = JSON` for each, which a person, a model and papermill all read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.values import Json, check_json, shorten

_LINE = re.compile(r"\s*(\w[\w.-]*)\s*=\s*(.*)")
_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One line: a name, its value, and what a `#` behind it says."""

    name: str
    value: Json
    comment: str = ""


def read_parameters(text: str) -> tuple[Parameter, ...]:
    """The parameters that the lines of `text` set; empty lines and those that begin with `#` set none.

    Raises Refused with one line that names the first line that is none.
    """
    return tuple(_read(text))


def _read(text: str) -> Iterator[Parameter]:
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise _wrong(line, 'write name = JSON, as in city = "Oslo"')
        try:
            value, end = json.JSONDecoder().raw_decode(found[2])
            check_json(value, found[1])
        except (ValueError, RecursionError, EntryError) as error:
            raise _wrong(line, 'the value must be JSON, and a text in quotes: city = "Oslo"') from error
        rest = found[2][end:].strip()
        if rest and not rest.startswith("#"):
            raise _wrong(line, "behind the value may only stand a comment: # ...")
        yield Parameter(found[1], value, rest.lstrip("# "))


def _wrong(line: str, advice: str) -> Refused:
    return Refused(ErrorKind.INVALID, f"no parameter: {shorten(line.strip())}; {advice}")


def written(parameters: Mapping[str, object]) -> str:
    """The lines that `read_parameters` reads. What is not of JSON, such as a date, is written as its text.

    Every character that cannot be seen, or that would end the line, is written as JSON's escape of it.
    Raises ValueError for a name that is none.
    """
    return "".join(f"{_checked(name)} = {json_text(value)}\n" for name, value in parameters.items())


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a parameter: letters, digits, _, . and - only")
    return name


def json_text(value: object) -> str:
    """A value in one line of JSON."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in text)
