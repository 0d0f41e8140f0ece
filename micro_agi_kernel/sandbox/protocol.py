"""The messages of a child, and the check that turns hostile bytes into one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from micro_agi_kernel.errors import CallError, ErrorKind
from micro_agi_kernel.sandbox.frames import FrameError, loads
from micro_agi_kernel.values import Value

MAX_ERROR_TEXT = 8 << 10
"""Characters of an error message that are kept."""


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
class Output:
    """Printed text."""

    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to a service of the host; answered by `id`, in any order."""

    id: int
    op: str
    payload: Value


@dataclass(frozen=True, slots=True)
class Late:
    """The time is over, and this is the place that Lua had reached: "NAME:LINE"."""

    where: str


@dataclass(frozen=True, slots=True)
class End:
    """The call is over."""

    value: Value = None
    error: CallError | None = None


ChildMessage: TypeAlias = Ready | Output | Ask | Late | End


def parse_child_message(data: bytes) -> ChildMessage:
    """What a child says in `data`. A child is hostile: raises FrameError for anything but an honest message."""
    message = loads(data)
    match message:
        case {"t": "out", "text": str(text), **rest} if not rest:
            return Output(text)
        case {"t": "ask", "id": int(id), "op": str(op), "payload": payload, **rest} if not rest and id is not True:
            return Ask(id, op, payload)
        case {"t": "end", "value": value, **rest} if not rest:
            return End(value)
        case {"t": "end", "error": dict(error), **rest} if not rest:
            return End(error=_call_error(error))
        case {"t": "late", "where": str(where), **rest} if not rest:
            return Late(where[:MAX_ERROR_TEXT])
        case {"t": "ready", "layers": list(layers), **rest} if not rest:
            return Ready(tuple(_layer(layer) for layer in layers))
    raise FrameError("no message that a child sends")


def error_value(error: CallError) -> Value:
    """`error` as a message carries it."""
    return {"kind": error.kind, "message": error.message, "retryable": error.retryable}


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
