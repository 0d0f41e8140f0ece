"""Each refusal that the code can give a model is on the page, or is one that no model meets by create_tool."""

from __future__ import annotations

from refusal_kit import texts
from test_tool_pages import quotes, says

_ELSE = "create_tool writes one tool of app.generated under its own name"
_FIRST = "the input_schema of create_tool says it first"
_FILES = "of files, which no tool can give"
_BEHIND = "stands behind what is on the page: "
_IDS = f"{_BEHIND}imports.<name>:, calls:"
_LIMITS = "only a person's commit can hold meta.limits"

NOT_ON_THE_PAGE = {
    "a library has no meta.type: x": _ELSE,
    "an agent may not change files: x": _ELSE,
    "an agent writes in x only, not x": _ELSE,
    "an agent writes tools and libraries only, not x x": _ELSE,
    "llm_alias must be x, the tool's name": _ELSE,
    "x may not import x: an agent can rewrite that": _ELSE,
    "method: the name of a function in the returned table, not x": _ELSE,
    "x: write fewer at a time": f"{_ELSE}, and that has time for all its tests",
    "x: the x s for all tests were over": f"{_BEHIND}not all that use <id> were tested",
    "x is a built-in tool; choose another name": "is on the page, with its quotes",
    "x of x: xx": "the arguments do not fit the input_schema of <id> is on the page",
    "the arguments of x: x": "the provider's JSON has no such value",
    "x: its input_schema cannot be used: x": "only a commit past all checks can hold such a schema",
    "bad name in x: a letter or _, then letters, digits, _, . or -": _IDS,
    "bad namespace in x: each part is a lower-case letter, then a-z, 0-9, _ or -": _IDS,
    "entry id too long: x": _IDS,
    "not an entry id (namespace:name): x": _IDS,
    "x is no namespace: that folder holds other files": _IDS,
    "bad tool name x: a lower-case letter, then a-z, 0-9 or _, 64 characters at most": _FIRST,
    "source: x characters, at most x are allowed: leave out what is not needed": _FIRST,
    'modules: a list of module names is required, such as ["time", "json"]': _FIRST,
    'tests: a list of at most x, such as [{"input": {"n": 2}, "expect": 4}], is required': _FIRST,
    "x of x is larger than x bytes": _FILES,
    "x: an entry is a mapping with kind, meta and data": _FILES,
    "x: its source, the file x beside it, is missing": _FILES,
    "x: kind is missing": _FILES,
    "x: larger than x bytes": _FILES,
    "x: meta and data are mappings": _FILES,
    "x: not UTF-8 text": _FILES,
    "x: source x is not the file x beside it": _FILES,
    "x: unknown key x (an entry has kind, meta and data)": _FILES,
    "source: Lua source is required": _FILES,
    "meta.limits.x: a number, x or more and below x, is required": _LIMITS,
    "meta.limits: a mapping of some of x is required": _LIMITS,
    "meta.limits: there is no limit x; there are: x": _LIMITS,
    'x: schema: any result fits x: say what it must be, such as {"type": "string"}': f"{_BEHIND}tests[<number>]:",
    "the test has no answer over a Unix socket (tests[1]): http answers by method and URL only": "no policy grants one",
    "modules: x": "all that it may be is on the page: there is no module, is a global table",
    "x; there are: x": "ends what is on the page",
    "tests: x of x failed: x": "is on the page, with what was expected and what came",
    "tests: x of x failed: x; and x more": "is on the page, with what was expected and what came",
    "x is not available while a tool is loaded: ask in its handler": f"{_BEHIND}source: cannot be loaded:",
    "interrupted by the user": "the turn ends with it",
}
"""Texts of the code that are not quoted, and why."""


def test_a_refusal_is_on_the_page_or_no_model_meets_it() -> None:
    """Who adds a refusal says on the page what to do then, or here why nobody needs to be told."""
    found = texts()
    listed = quotes()
    untold = {text for text in found if not any(says(quote, text) for quote in listed)}
    assert {text: found[text] for text in untold - NOT_ON_THE_PAGE.keys()} == {}
    assert NOT_ON_THE_PAGE.keys() - untold == set(), "of these the code says nothing, or the page does"


def test_the_texts_are_found() -> None:
    """As literals, with values, by a name that was assigned, in Lua: else the test above would have nothing to say."""
    found = texts()
    for text in (
        "source: Lua text is required, not compiled code",
        "tests[1]: exactly one of expect, schema and error is required, not x",
        "not callable: x has the kind x, not x",
        "x: only a person may change it then; make a new entry beside it",
        "intent: there is no x to replace; give the name of the tool to write over",
    ):
        assert text in found, sorted(found)
