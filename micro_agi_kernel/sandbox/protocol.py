"""The protocol of main and child: every message, and the check that turns a child's hostile bytes into one.

| main says         | written by                         | which is                                               |
|-------------------|------------------------------------|--------------------------------------------------------|
| modules           | `request_of`                       | what the program may require: for Python               |
| source, input ... | `request_of`                       | the program: for Lua                                   |
| id, value/error   | call.py                            | the answer to the `ask` of that id                     |
| id 0              | call.py                            | `TIME_IS_OVER`                                         |

| a child says, `t` | written by                         | parsed to                                              |
|-------------------|------------------------------------|--------------------------------------------------------|
| ready             | child.py                           | `Ready`                                                |
| out               | pipe.py                            | `Printed`                                              |
| progress, display | showing.lua                        | `Progress`, `Display`                                  |
| ask               | vm.py for modules.lua              | `Ask`                                                  |
| at                | vm.py for scheduler.lua            | `Place`                                                |
| end               | ending.lua, or vm.py where Lua is  | `End`                                                  |
|                   | out of memory or Python fails      |                                                        |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

from micro_agi_kernel.errors import CallError, ErrorKind
from micro_agi_kernel.interfaces import Program
from micro_agi_kernel.outputs import JSON_FORMS, PICTURE_FORMS, TEXT_FORMS, Display, Output, Printed, Progress
from micro_agi_kernel.sandbox.frames import FrameError, dumps, loads, pack
from micro_agi_kernel.values import Value, shorten

MAX_ERROR_TEXT = 8 << 10
"""Characters of an error message that are kept; ending.lua sends at most as many bytes."""

MAX_PROGRESS_TEXT = 200
"""Characters of a progress text that are kept."""

TIME_IS_OVER = b'\0\0\0\x08{"id":0}'
"""Main's word that the time limit is reached, as the frame that it is. The ids of requests begin with 1."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What must be known of a call before its child is jailed: the Lua limit in bytes, CPU seconds."""

    memory: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the jail, as a child found it."""

    name: str
    active: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """The child is jailed and waits for its program."""

    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to a service of the host; answered by `id`, in any order."""

    id: int
    op: str
    payload: Value


@dataclass(frozen=True, slots=True)
class Place:
    """A limit is reached, and this is where: "NAME:LINE"."""

    where: str


@dataclass(frozen=True, slots=True)
class End:
    """The call is over."""

    value: Value = None
    error: CallError | None = None


ChildMessage: TypeAlias = Ready | Output | Ask | Place | End
"""What a child says. What it shows is asked of the same check in the child, so that an honest one learns of faults."""


def parse_child_message(data: bytes) -> ChildMessage:
    """What a child says in `data`. A child is hostile: raises FrameError for anything but an honest message."""
    message = loads(data)
    match message:
        case {"t": "out", "text": str(text), **rest} if text and not rest:
            return Printed(text)
        case {"t": "progress", "value": value, **rest} if not rest:
            return _progress(value)
        case {"t": "display", "value": value, **rest} if not rest:
            return _display(value)
        case {"t": "ask", "id": int(id), "op": str(op), "payload": payload, **rest} if not rest:
            if not isinstance(id, bool):
                return Ask(id, op, payload)
        case {"t": "end", "value": value, **rest} if not rest:
            return End(value)
        case {"t": "end", "error": dict(error), **rest} if not rest:
            return End(error=_call_error(error))
        case {"t": "at", "where": str(where), **rest} if not rest:
            return Place(where[:MAX_ERROR_TEXT])
        case {"t": "ready", "layers": list(layers), **rest} if not rest:
            return Ready(tuple(_layer(layer) for layer in layers))
    raise FrameError("no message that a child sends")


def request_of(program: Program) -> bytes:
    """The two messages that a child waits for: what Python needs to know, and what Lua needs to know."""
    source: dict[str, Value] = {
        "source": program.source,
        "name": program.chunk_name,
        "method": program.method,
        "input": program.input,
        "dry": program.dry,
        "seconds": program.limits.seconds,
        "memory": program.limits.memory,
        "output": program.limits.output,
        "host_calls": program.limits.host_calls,
        "now": None if program.now is None else program.now // 1_000_000_000,
        "imports": {**program.imports},
        "libraries": {
            key: {"source": library.source, "name": library.chunk_name, "imports": {**library.imports}}
            for key, library in program.libraries.items()
        },
    }
    header = dumps({"modules": [*sorted(program.modules)], "now": program.now})
    return pack(header) + pack(dumps(source))


def _call_error(error: dict[str, Value]) -> CallError:
    match error:
        case {"kind": str(kind), "message": str(message), **rest} if rest.keys() <= {"retryable"}:
            retryable = rest.get("retryable")
            if kind in ErrorKind.__members__ and (retryable is None or isinstance(retryable, bool)):
                return CallError(ErrorKind(kind), message[:MAX_ERROR_TEXT], retryable)
    raise FrameError("no error that a child sends")


def _layer(layer: Value) -> Layer:
    match layer:
        case [str(name), bool(active), str(detail)]:
            return Layer(name, active, detail)
    raise FrameError("no layer that a child sends")


def _progress(value: Value) -> Progress:
    value = value or {}  # an empty table of Lua is a list
    if not isinstance(value, dict) or not value.keys() <= {"done", "total", "text"}:
        raise FrameError("progress takes done, total and text")
    done, total, text = value.get("done"), value.get("total"), value.get("text", "")
    if not _is_count(done):
        raise FrameError("progress: done is a number, 0 or more")
    if total is not None and not _is_count(total):
        raise FrameError("progress: total is a number, 0 or more, or nil")
    if not isinstance(text, str):
        raise FrameError("progress: text is UTF-8 text, or nil")
    return Progress(done, total, text[:MAX_PROGRESS_TEXT])


def _is_count(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _display(value: Value) -> Display:
    if not isinstance(value, dict) or not value:
        raise FrameError('display takes a table by MIME type, such as {["text/plain"] = "..."}')
    for form, content in value.items():
        if form in TEXT_FORMS:
            if not isinstance(content, str):
                raise FrameError(f"display: {form} is UTF-8 text")
        elif form in PICTURE_FORMS:
            if not isinstance(content, bytes) or not content.startswith(PICTURE_FORMS[form]):
                raise FrameError(f"display: {form} is the bytes of such a picture (not base64: decode it)")
        elif form in JSON_FORMS:
            if not isinstance(content, (list, dict)):
                raise FrameError(f"display: {form} is a table")
        else:
            known = ", ".join(sorted(TEXT_FORMS | PICTURE_FORMS.keys() | JSON_FORMS))
            raise FrameError(f"display: there is no form {shorten(form)!r}; there are: {known}")
    return Display(value)
