"""The builtins on strings. A string that is no UTF-8 is `bytes`; positions and lengths count bytes, as in Go."""

from __future__ import annotations

import base64

from micro_agi_kernel.expr.budget import Budget
from micro_agi_kernel.expr.errors import LimitError, RunError
from micro_agi_kernel.expr.kinds import (
    NO_SLICE,
    SLICES,
    AnyMap,
    Bytes,
    Dynamic,
    Ints,
    Strings,
    raw,
    text_of,
    type_name,
)
from micro_agi_kernel.expr.operators import as_int
from micro_agi_kernel.values import GO_SPACE, decode_base64

_MOST_TRIMMED = 1_024
"""Characters that `trim` looks for at once: each may cost a look at each of the text's."""


def text(value: Dynamic) -> str | bytes:
    """`value`, which must be a string."""
    if type(value) is str or type(value) is bytes:
        return value
    raise RunError(f"a string is needed, not {type_name(value)}")


def pair(budget: Budget, a: Dynamic, b: Dynamic) -> tuple[str, str] | tuple[bytes, bytes]:
    """Both texts, as bytes if one of them is no UTF-8."""
    a, b = text(a), text(b)
    budget.work(1 + (len(a) + len(b) >> 6))
    return (a, b) if type(a) is str and type(b) is str else (raw(a), raw(b))


def fresh(budget: Budget, made: str | bytes) -> str | bytes:
    """A string that was made, paid for."""
    budget.write(len(made))
    return text_of(made) if isinstance(made, bytes) else made


def decoded(budget: Budget, value: str | bytes) -> str:
    """Text in which each byte that is no UTF-8 stands as a surrogate."""
    budget.work(len(value) >> 2)
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def encoded(budget: Budget, value: str) -> str | bytes:
    """The way back from `decoded`; paid for."""
    budget.write(len(value))
    budget.work(len(value) >> 4)
    return text_of(value.encode("utf-8", "surrogateescape"))


def trim(budget: Budget, value: Dynamic, chars: Dynamic = GO_SPACE) -> Dynamic:
    """The text without `chars` at its ends; usually white space."""
    value, chars = text(value), text(chars)
    if len(chars) > _MOST_TRIMMED:
        raise LimitError(f"the limit of {_MOST_TRIMMED:,} characters to trim was reached")
    budget.work(1 + (len(value) * (len(chars) + 16) >> 9))
    if type(value) is str and type(chars) is str:
        return fresh(budget, value.strip(chars))
    return encoded(budget, decoded(budget, value).strip(decoded(budget, chars)))


def trim_prefix(budget: Budget, value: Dynamic, prefix: Dynamic = " ") -> Dynamic:
    a, b = pair(budget, value, prefix)
    return fresh(budget, a.removeprefix(b))  # type: ignore[arg-type]


def trim_suffix(budget: Budget, value: Dynamic, suffix: Dynamic = " ") -> Dynamic:
    a, b = pair(budget, value, suffix)
    return fresh(budget, a.removesuffix(b))  # type: ignore[arg-type]


def upper(budget: Budget, value: Dynamic) -> Dynamic:
    """In capitals, character by character: "ß" has none."""
    if type(value) is str and value.isascii():
        budget.write(len(value))
        return value.upper()
    return _mapped(budget, value, str.upper)


def lower(budget: Budget, value: Dynamic) -> Dynamic:
    """In small letters, character by character."""
    if type(value) is str and value.isascii():
        budget.write(len(value))
        return value.lower()
    return _mapped(budget, value, str.lower)


def _mapped(budget: Budget, value: Dynamic, change: Dynamic) -> Dynamic:
    """Character by character, as Go does: no character becomes several."""
    value = text(value)
    budget.write(len(value))
    characters = decoded(budget, value)
    budget.work(len(characters))
    changed = {char: _single(char, change(char)) for char in set(characters)}
    return encoded(budget, "".join(map(changed.__getitem__, characters)))


def _single(char: str, changed: str) -> str:
    """One character for `char`, which Python would write as `changed`: the simple mapping of Unicode."""
    if len(changed) == 1:
        return changed
    simple = "i" if char == "\u0130" else char.title()
    return simple if len(simple) == 1 else char


def split(budget: Budget, value: Dynamic, separator: Dynamic, most: Dynamic = -1) -> Dynamic:
    """The parts between separators, at most `most`; between characters when the separator is empty."""
    if type(value) is str and type(separator) is str and separator and most == -1 and len(value) < 1_024:
        budget.search(len(value), len(separator))
        parts = Strings(value.split(separator))
        budget.grow(len(parts))
        return parts
    return _split(budget, value, separator, as_int(most), keep=False)


def split_after(budget: Budget, value: Dynamic, separator: Dynamic, most: Dynamic = -1) -> Dynamic:
    return _split(budget, value, separator, as_int(most), keep=True)


def _split(budget: Budget, value: Dynamic, separator: Dynamic, most: int, *, keep: bool) -> Dynamic:
    """`most`: how many parts there may be, the last one being the rest; negative for any number."""
    if most == 0:
        text(value), text(separator)
        return NO_SLICE
    a, b = pair(budget, value, separator)
    budget.write(len(a))
    if not b:
        return _characters(budget, a, most)
    budget.search(len(a), len(b))
    parts = min(a.count(b) + 1, most if most > 0 else len(a) + 1)  # type: ignore[arg-type]
    budget.grow(parts)
    if keep:
        budget.write(parts * len(b))
    if type(a) is not str:
        budget.work(4 * parts)
    found: list[Dynamic] = a.split(b, parts - 1)  # type: ignore[arg-type]
    if keep:
        found[:-1] = [part + b for part in found[:-1]]
    return Strings(found if type(a) is str else [text_of(part) for part in found])


def _characters(budget: Budget, value: str | bytes, most: int) -> Dynamic:
    characters = decoded(budget, value)
    parts = min(len(characters), most if most > 0 else len(characters))
    if not parts:
        return Strings()
    budget.grow(parts)
    found = [*characters[: parts - 1], characters[parts - 1 :]]
    return Strings(found if type(value) is str else [encoded(budget, part) for part in found])


def replace(budget: Budget, value: Dynamic, old: Dynamic, new: Dynamic, most: Dynamic = -1) -> Dynamic:
    """The text with `old` replaced, `most` times or each time."""
    a, b = pair(budget, value, old)
    with_ = text(new)
    if type(a) is not str or type(with_) is not str:
        a, b, with_ = raw(a), raw(b), raw(with_)
    limit = as_int(most)
    budget.search(len(a), len(b))
    times = a.count(b) if b else len(decoded(budget, text_of(a) if type(a) is bytes else a)) + 1  # type: ignore[arg-type]
    times = times if limit < 0 else min(times, limit)
    budget.write(len(a) + times * len(with_))
    budget.work(times >> 4)
    if times == 0:
        return value
    if b or type(a) is str:
        made = a.replace(b, with_, times)  # type: ignore[arg-type]
        return text_of(made) if type(made) is bytes else made
    # Between the characters of a string that is no UTF-8.
    return encoded(budget, decoded(budget, a).replace("", decoded(budget, with_), times))


def repeat(budget: Budget, value: Dynamic, times: Dynamic) -> Dynamic:
    """The text `times` times."""
    value, count = text(value), as_int(times)
    if count < 0:
        raise RunError(f"repeat needs a count of 0 or more, not {count}")
    if count > 1_000_000:  # expr-lang's bound, even for an empty string
        raise LimitError("the limit of 1,000,000 repetitions was reached")
    budget.work(len(value) >> 7)
    octets = raw(value)
    budget.grow(len(octets) * count)
    return fresh(budget, octets * count)


def join(budget: Budget, array: Dynamic, glue: Dynamic = "") -> Dynamic:
    """The strings of an array with `glue` between them."""
    if type(array) not in SLICES or type(array) is Ints:
        raise RunError(f"join takes an array of strings, not {type_name(array)}")
    glue = text(glue)
    budget.work(len(array))
    parts = [text(item) for item in array]
    budget.write(sum(map(len, parts)) + len(glue) * max(len(parts) - 1, 0))
    if type(glue) is str and all(type(part) is str for part in parts):
        return glue.join(parts)  # type: ignore[arg-type]
    return text_of(raw(glue).join(map(raw, parts)))


def index_of(budget: Budget, value: Dynamic, part: Dynamic) -> int:
    """Where `part` begins for the first time, in bytes from 0; -1 where it does not."""
    a, b = pair(budget, value, part)
    budget.search(len(a), len(b))
    at = a.find(b)  # type: ignore[arg-type]
    return at if at <= 0 or type(a) is bytes else len(raw(a[:at]))


def last_index_of(budget: Budget, value: Dynamic, part: Dynamic) -> int:
    """Where the last `part` begins, or -1."""
    a, b = pair(budget, value, part)
    budget.search(len(a), len(b))
    # Python looks from the end in time that grows with both lengths, from the start in time that does not.
    found = a[::-1].find(b[::-1])  # type: ignore[arg-type]
    at = len(a) - len(b) - found if found >= 0 else -1
    return at if at <= 0 or type(a) is bytes else len(raw(a[:at]))


def has_prefix(budget: Budget, value: Dynamic, prefix: Dynamic) -> bool:
    a, b = pair(budget, value, prefix)
    return a.startswith(b)  # type: ignore[arg-type]


def has_suffix(budget: Budget, value: Dynamic, suffix: Dynamic) -> bool:
    a, b = pair(budget, value, suffix)
    return a.endswith(b)  # type: ignore[arg-type]


def to_base64(budget: Budget, value: Dynamic) -> Dynamic:
    """The bytes of a string in base64, padded."""
    budget.work(1 + (len(text(value)) >> 6))
    octets = raw(value)
    budget.write(len(octets) * 4 // 3 + 4)
    return base64.b64encode(octets).decode()


def from_base64(budget: Budget, value: Dynamic) -> Dynamic:
    """What standard base64 with its padding stands for; line breaks are skipped."""
    budget.work(1 + (len(text(value)) >> 5))
    octets = raw(value)
    budget.write(len(octets))
    try:
        return text_of(decode_base64(octets))
    except ValueError as error:
        raise RunError(str(error)) from error


def length(budget: Budget, value: Dynamic) -> int:
    """len: of a string, its characters."""
    kind = type(value)
    if kind is str or kind in SLICES or kind is dict or kind is Bytes:
        return len(value)
    if kind is bytes:
        budget.read(len(value))
        return len(decoded(budget, value))
    if kind is AnyMap:
        return len(value)
    raise RunError(f"{type_name(value)} has no length")
