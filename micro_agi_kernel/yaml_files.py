"""YAML as this project writes and reads it: small diffs out, nothing but JSON values in."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.values import Json, check_json, shorten

_MAX_YAML_DEPTH = 200
_OPENERS = b"[{-?:"

_MAX_NUMBER = 300
"""Characters of a number. PyYAML takes any: in base 60 a few kilobytes cost minutes, or overflow a double."""


def dump_yaml(value: Json) -> bytes:
    """`value` as YAML: block style, keys in their own order, long texts as literal blocks."""
    import yaml

    dumped: bytes = yaml.dump(
        value,
        Dumper=_dumper(),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
        encoding="utf-8",
    )
    return dumped


def load_yaml(content: bytes, name: str) -> Json:
    """The JSON value that a YAML file holds; `name` opens the error line.

    Hostile until checked: no aliases (the bomb), no tags, no dates or other values that JSON lacks, no
    repeated keys, bounded nesting, no integer beyond 64 bits: that is what Lua has and what the jail's messages
    carry, and Python itself can write no more than 4,300 digits. Raises EntryError. The caller bounds the size.
    """
    import yaml

    try:
        _check_events(content, name)
        value: Json = yaml.load(content, Loader=_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise EntryError(f"{name}: broken YAML{where}: {shorten(error.problem or 'unreadable')}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise EntryError(f"{name}: broken YAML: {shorten(str(error).splitlines()[0])}") from error
    check_json(value, name)
    return value


def _check_events(content: bytes, name: str) -> None:
    """Refuse what would harm libyaml's composer, which recurses in C: 30,000 brackets end the process.

    The event parser is iterative, hence safe, but costs as much as loading; files that cannot nest
    deeply and have no alias skip it.
    """
    import yaml

    shallow = sum(content.count(opener) for opener in _OPENERS) <= _MAX_YAML_DEPTH
    if shallow and not (b"&" in content and b"*" in content):
        return
    depth = 0
    for event in yaml.parse(content, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise EntryError(f"{name}: aliases (*{shorten(str(event.anchor), 20)}) are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_YAML_DEPTH:
                raise EntryError(f"{name}: nested deeper than {_MAX_YAML_DEPTH}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


@cache
def _dumper() -> Any:
    import yaml

    class Dumper(yaml.CSafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True  # a value used twice is written twice: files are for people

    def represent_text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, represent_text)
    return Dumper


@cache
def _loader() -> Any:
    import yaml

    class Loader(yaml.CSafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            mapping = super().construct_mapping(node, deep=deep)
            if len(mapping) != len(node.value):
                raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
            return mapping

    plain = {f"tag:yaml.org,2002:{tag}" for tag in ("null", "bool", "int", "float", "str", "seq", "map")}
    Loader.yaml_constructors = {
        tag: function for tag, function in yaml.CSafeLoader.yaml_constructors.items() if tag in plain or tag is None
    }
    for tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
        Loader.yaml_constructors[tag] = _bounded(Loader.yaml_constructors[tag])
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in plain]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _bounded(construct: Callable[[Any, Any], int | float]) -> Callable[[Any, Any], int | float]:
    """The constructor of a number, for one that is no longer than numbers are."""
    import yaml

    def bounded(loader: Any, node: Any) -> int | float:
        if len(node.value) > _MAX_NUMBER:
            what = f"a number of {len(node.value)} characters, at most {_MAX_NUMBER} are allowed"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        return construct(loader, node)

    return bounded
