"""The exception tree: who sees each failure, and how.

    MicroAgiError            the user's: one clean line that says what to do
    ├── SettingsError        a setting, option or environment variable is wrong
    ├── RegistryError        the registry cannot be opened, read or written
    │   ├── Conflict         another writer changed the same entry first
    │   └── NoSuchRevision   a revision names no commit, or more than one
    ├── EntryError           an entry, an id or a file of an entry is malformed
    ├── ModelError           the model cannot be reached, refused us, or broke off
    ├── SandboxError         the jail cannot be set up as the settings demand
    ├── ToolError            a call that the person made in a cell failed
    └── Refused              a request was checked and turned down (policy, limit, bad argument)

The model's failures are values, not exceptions: whatever a tool does wrong comes back to it as a
`CallError` inside a tool result. `as_error` is the bridge: what a host service raises, usually
`Refused`, the pipe turns into the error value that Lua (and so the model) reads; on the command line
it is the one line that the user reads. Anything that is not in this tree is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ErrorKind(StrEnum):
    """Kinds of an error value: those of the Lua `errors` table, then the ends of a sandboxed call."""

    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    INVALID = "INVALID"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"
    CANCELED = "CANCELED"
    CONFLICT = "CONFLICT"
    TIMEOUT = "TIMEOUT"
    RATE_LIMITED = "RATE_LIMITED"
    UNKNOWN = "UNKNOWN"

    MEMORY_LIMIT = "MEMORY_LIMIT"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    CALL_LIMIT = "CALL_LIMIT"
    CRASHED = "CRASHED"
    SYNTAX = "SYNTAX"


@dataclass(frozen=True, slots=True)
class CallError:
    """Why a call failed, as a value: what `{"error": {...}}` in a tool result holds."""

    kind: ErrorKind
    message: str
    retryable: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """{kind, message, retryable?}: what Lua's `errors.new` takes, and what the model reads."""
        fields = {"kind": self.kind.value, "message": self.message, "retryable": self.retryable}
        return {name: value for name, value in fields.items() if value is not None}


class MicroAgiError(Exception):
    """A failure that its reader can mend. `str(error)` is one line that says what to do."""

    kind: ErrorKind = ErrorKind.INTERNAL
    retryable: bool | None = None

    def as_error(self) -> CallError:
        """What Lua or the model reads, where this reaches one of them."""
        return CallError(self.kind, str(self), self.retryable)


class SettingsError(MicroAgiError):
    """A setting, an option or an environment variable has a value that cannot be used."""


class RegistryError(MicroAgiError):
    """The registry cannot be opened, read or written."""


class Conflict(RegistryError):
    """Another writer changed the same entry since it was read."""

    kind = ErrorKind.CONFLICT
    retryable = True


class NoSuchRevision(RegistryError):
    """A revision that names no commit of the registry, or more than one."""

    kind = ErrorKind.NOT_FOUND
    retryable = False


class EntryError(MicroAgiError):
    """An entry, an id or a file of an entry does not have the form that the layout demands."""

    kind = ErrorKind.INVALID
    retryable = False

    def as_refused(self) -> Refused:
        """What a check says of such an entry."""
        return Refused(self.kind, str(self))


class ModelError(MicroAgiError):
    """The model cannot be reached, refused the request, or broke off in the middle."""


class ModelChanged(ModelError):
    """Another model takes over, and what it can hold is less: the request is to be made anew, by its measures."""


class SandboxError(MicroAgiError):
    """The jail cannot be set up as the settings demand."""


class ToolError(MicroAgiError):
    """A call that a cell made itself failed. The line is the call's own, which is told with the call too."""


class Refused(MicroAgiError):
    """A request was checked and turned down."""

    def __init__(self, kind: ErrorKind, message: str, *, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable
