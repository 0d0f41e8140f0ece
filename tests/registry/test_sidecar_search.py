"""Finding by filter and by words: what matches, in which order, and with what care for strange values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_kit import create, rounds, thing, tool, write

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.filters import matches, tokens, wanted_tokens
from micro_agi_kernel.values import Json

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, -0.0, 1.0, 0.5, 2**60, float(2**60), 2**60 + 1, 10**400, "", "a", "1", "true", "a" * 300])
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("k"), inner))
metas = st.dictionaries(st.sampled_from(["a", "b", "meta.a"]), values)


def equal(value: Json) -> st.SearchStrategy[Json]:
    """Values that JSON takes for the same: 1 is 1.0, and true is not."""
    same = [value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        same += [other for other in (-0.0, float(min(value, 2**70)), int(value)) if other == value]
    return st.sampled_from(same)


@st.composite
def matching(draw: Any) -> tuple[dict[str, Json], dict[str, Json]]:
    """A meta and a filter that it matches."""
    meta: dict[str, Json] = draw(metas)
    filter: dict[str, Json] = {}
    for key in draw(st.sets(st.sampled_from(sorted(meta)))) if meta else ():
        value = meta[key]
        if isinstance(value, list):
            several = [draw(equal(item)) for item in draw(st.lists(st.sampled_from(value)))] if value else []
            one = [item for item in several if not isinstance(item, list)]
            filter[f"meta.{key}"] = one[0] if one and draw(st.booleans()) else several
        else:
            filter[f"meta.{key}"] = draw(equal(value))
    return meta, filter


@settings(max_examples=rounds(100, 3_000), deadline=None)
@given(matching())
def test_what_matches_has_all_tokens(both: tuple[dict[str, Json], dict[str, Json]]) -> None:
    meta, filter = both
    assert matches(EntryId("app", "x"), "kind", meta, filter)
    assert wanted_tokens(filter) <= tokens(meta)


@pytest.fixture
def library(registry: Registry) -> Registry:
    def entry(name: str, title: str = "", comment: str = "", **meta: Any) -> Entry:
        return tool(name, title=title, comment=comment, **meta)

    write(
        registry,
        create(
            entry("current_time_utc", "Clock", "Returns the current UTC time"),
            entry("watch", "Time of day", "For people"),
            entry("weather", "Weather", "Asks for the time and the place", tags=["net", "sky"]),
            entry("strasse", "Straße 7", "Measures ROADS", description="Of a whole city, in kilometres"),
            entry("tianqi", "查询天气预报", "北京的天气", owner="a" * 400),
            entry("odd", '50% "quoted" * NEAR(x) AND -y ^z {t}:', "\0", owner="a" * 300),
            entry("typed", "Typed", llm_description="Answers questions", owner={"team": 1}),
            thing("app.time:none"),
        ),
    )
    return registry


def names(registry: Registry, query: str, **filter: Json) -> list[str]:
    found, total = registry.snapshot().search(query, {key.replace("_", "."): value for key, value in filter.items()})
    assert total == len(found)
    return [head.id.name for head in found]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("time", "watch none current_time_utc weather"),  # in the title, the id and little else, the comment
        ("TIME utc", "current_time_utc"),
        ("current_time_utc", "current_time_utc"),
        ("app.generated:wat", "watch"),
        ("app.time", "none"),
        ("clo", "current_time_utc"),
        ("clo time", ""),  # only the last word may be the beginning of one
        ("time clo", "current_time_utc"),
        ("STRASSE roads", "strasse"),
        ("straße", "strasse"),
        ("kilometres", "strasse"),
        ("questions", "typed"),
        ("天气", "tianqi"),
        ("气天", ""),
        ("nowhere", ""),
        ("%", ""),
        ('" OR "', ""),
        ("near(x) -y", "odd"),
        ("50% quoted", "odd"),
        ("\udc80 time \0", "watch none current_time_utc weather"),
        ("time" + " time" * 5_000, "watch none current_time_utc weather"),
    ],
)
def test_words(library: Registry, query: str, found: str) -> None:
    assert names(library, query) == found.split()


def test_without_words_all_are_listed_by_id(library: Registry) -> None:
    assert names(library, " ") == [entry.id.name for entry in library.snapshot().entries()]
    heads, total = library.snapshot().search("", {".ns": "app.generated"}, 2)
    assert ([str(head.id) for head in heads], total) == (["app.generated:current_time_utc", "app.generated:odd"], 7)
    assert heads[0].modules == ("time",) and heads[0].type == "tool" and heads[0].title == "Clock"


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"type": "tool", "tags": ["net"]}, ["weather"]),
        ({"tags": "sky", ".kind": "function.lua", ".ns": "app*"}, ["weather"]),
        ({"tags": []}, ["weather"]),
        ({"owner": "a" * 300}, ["odd"]),
        ({"owner": "a" * 400}, ["tianqi"]),
        ({"owner": "a" * 256}, []),
        ({"owner": {"team": 1}}, ["typed"]),
        ({"owner": {"team": True}}, ["typed"]),  # inside a mapping, true counts as 1
        ({"owner": {"team": 2}}, []),
        ({".ns": "app.*"}, ["current_time_utc", "odd", "strasse", "tianqi", "typed", "watch", "weather", "none"]),
        ({".ns": "*", "meta.type": None}, []),
        ({".id": "app.time:none"}, ["none"]),
        ({".id": "none"}, []),
        ({".name": "\udc80"}, []),
        ({"title": "\udc80"}, []),
        ({".kind": ["function.lua"]}, []),
    ],
)
def test_heads_and_entries_agree_on_a_filter(library: Registry, filter: dict[str, Json], found: list[str]) -> None:
    snapshot = library.snapshot()
    assert [head.id.name for head in snapshot.search("", filter)[0]] == found
    assert [entry.id.name for entry in snapshot.find(filter)] == found


def test_a_type_that_is_no_text(registry: Registry) -> None:
    write(registry, create(tool("x", type=["tool", "other"]), tool("y", type=3)))
    for filter, found in (({"type": "other"}, ["x"]), ({"type": 3}, ["y"]), ({"type": ["tool"]}, ["x"])):
        assert names(registry, "", **filter) == found


def test_several_are_read_in_the_order_asked_for(library: Registry) -> None:
    ids = [EntryId.parse(f"app.generated:{name}") for name in ("watch", "none", "odd", "watch")]
    assert [entry.id.name for entry in library.snapshot().several(ids)] == ["watch", "odd", "watch"]


def test_a_number_that_python_does_not_print(registry: Registry, tmp_path: Any) -> None:
    from registry_kit import push
    from sidecar_kit import agree

    push(registry, tmp_path, {"app/x.yaml": b"kind: x\nmeta: {n: 0x" + b"f" * 5_000 + b", title: Large}\n"})
    agree(registry)
    assert names(registry, "large") == []
    assert [(problem.path, problem.kind) for problem in registry.snapshot().problems()] == [("app/x.yaml", None)]
