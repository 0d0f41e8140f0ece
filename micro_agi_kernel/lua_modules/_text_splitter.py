"""Long texts in chunks, for the Lua module `text`: the options of its splitters, and one call of either."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from micro_agi_kernel.lua_modules._arguments import integer, invalid, text
from micro_agi_kernel.lua_modules._arguments import options as checked_options
from micro_agi_kernel.lua_modules._text_markdown_splitter import split_markdown
from micro_agi_kernel.lua_modules._text_recursive_splitter import Budget, Sizes, split_recursive
from micro_agi_kernel.values import Value

MAX_TEXT = 1 << 20
"""Characters of a text. All that is done here takes time in proportion."""
MAX_SEPARATORS = 100

SEPARATORS = ("\n\n", "\n", " ", "")
MARKDOWN_FLAGS = ("code_blocks", "reference_links", "heading_hierarchy", "join_table_rows")


def options(kind: Value, given: Value) -> Value:
    """`given` checked, for a splitter of the kind "recursive" or "markdown"; what is not given stays out."""
    return _checked(kind, given)


def _checked(kind: Value, given: Value) -> dict[str, Value]:
    if not isinstance(kind, str) or kind not in _READERS:
        raise invalid("the kind of the splitter is not known")
    readers = _READERS[kind]
    checked = checked_options(given, readers)
    for name, value in checked.items():
        readers[name](value, name)
    if "chunk_overlap" in checked and _sizes(checked).overlap >= _sizes(checked).chunk:
        raise invalid("chunk_overlap must be smaller than chunk_size")
    return checked


def _size(value: Value, name: str) -> int:
    size = integer(value, name)
    least = 1 if name == "chunk_size" else 0
    if size < least:
        raise invalid(f"{name} must be at least {least}")
    return size


def _flag(value: Value, name: str) -> bool:
    if not isinstance(value, bool):
        raise invalid(f"{name} must be a boolean")
    return value


def _separators(value: Value, name: str) -> Sequence[str]:
    if not isinstance(value, list) or len(value) > MAX_SEPARATORS:
        raise invalid(f"{name} must be a list of at most {MAX_SEPARATORS} strings")
    return [text(separator, "a separator", 1000) for separator in value] or SEPARATORS


_SIZES = {"chunk_size": _size, "chunk_overlap": _size}
_READERS: Mapping[str, Mapping[str, Callable[[Value, str], object]]] = {
    "recursive": {**_SIZES, "keep_separator": _flag, "separators": _separators},
    "markdown": {**_SIZES, **dict.fromkeys(MARKDOWN_FLAGS, _flag)},
}
"""The options by the kind of splitter, each with what raises Refused for a value that it does not take."""


def _sizes(checked: dict[str, Value]) -> Sizes:
    """The default of the overlap may be larger than a chunk: then as much is repeated as fits."""
    chunk, overlap = checked.get("chunk_size", 512), checked.get("chunk_overlap", 100)
    return Sizes(integer(chunk, "chunk_size"), integer(overlap, "chunk_overlap"))


def split(kind: Value, given: Value, subject: Value) -> Value:
    """The chunks of `subject`, for options as `options` gives them."""
    checked, source = _checked(kind, given), text(subject, "text", MAX_TEXT)
    if kind == "markdown":
        flags = frozenset(name for name in MARKDOWN_FLAGS if checked.get(name))
        return list(split_markdown(source, _sizes(checked), flags))
    separators = _separators(checked.get("separators", []), "separators")
    keep = checked.get("keep_separator") is True
    return list(split_recursive(source, separators, _sizes(checked), Budget(), keep=keep))
