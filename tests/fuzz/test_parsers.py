"""Every parser of what strangers write: any text is read or refused in one line, and what it promises holds."""

from __future__ import annotations

import ast
import os
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import parsers
import pytest
from conformance_kit import vectors
from held_elsewhere import NOT_LISTED
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parsers import PARSERS, Parser, texts_in
from readers import READERS, Reader

import micro_agi_kernel

EXAMPLES = 2_500 if os.environ.get("MICRO_AGI_FULL") == "1" else 25
SEEDS = EXAMPLES
ROOM = Path(micro_agi_kernel.__file__).parent


@pytest.fixture(autouse=True)
def _scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder in memory for the parsers of files, which some thousand examples would leave on the disk."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    monkeypatch.setattr(parsers, "SCRATCH", folder)
    yield
    shutil.rmtree(folder)


def check(parser: Parser | Reader, text: Any) -> None:
    try:
        parser.run(text)
    except parser.refuses as refusal:
        said = str(refusal)
        assert len(said) < 2_000 + (len(text) if parser.name == "pattern" else 0) and "Traceback" not in said


SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_any_text(parser: Parser) -> None:
    letters = st.text(max_size=3) | st.binary(max_size=4).map(lambda data: data.decode(errors="surrogateescape"))

    @SETTINGS
    @given(st.lists(st.sampled_from(parser.words) | letters, max_size=25).map("".join))
    def holds(text: str) -> None:
        check(parser, text)

    holds()


@pytest.mark.parametrize("parser", [each for each in PARSERS if each.vectors], ids=lambda parser: parser.name)
def test_texts_of_the_vectors_whole_and_broken(parser: Parser) -> None:
    found = [text for text in texts_in(vectors(parser.vectors)) if len(text) < 5_000]
    dice = random.Random(8)
    for text in dice.sample(found, min(SEEDS, len(found))):
        check(parser, text)
        cut, other = dice.randrange(len(text) + 1), dice.choice(found)
        check(parser, text[:cut] + dice.choice([*parser.words, other]) + text[cut + dice.randrange(3) :])


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_words_that_repeat_themselves(parser: Parser) -> None:
    """Nothing here takes a time that grows with the square of the text, or a stack as deep as it: it would not end."""
    words = parser.words if EXAMPLES > 100 else parser.words[:: 1 + len(parser.words) // 4]
    for word in words:
        check(parser, word * (100_000 // len(word) if EXAMPLES > 100 else 8_000 // len(word)))


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_any_json(reader: Reader) -> None:
    texts = st.sampled_from((*reader.words, *reader.fields)) | st.text(max_size=4)
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from([0, 1, "", -1, 10**30])

    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(reader.fields) | texts, inner, max_size=6)

    @SETTINGS
    @given(st.recursive(leaves, around, max_leaves=20))
    def holds(value: Any) -> None:
        check(reader, value)

    holds()


def test_the_table_names_every_module_with_a_parser() -> None:
    named = {each.module for each in (*PARSERS, *READERS)}
    assert not named & NOT_LISTED.keys()
    assert all((ROOM / module).is_file() for module in {*named, *NOT_LISTED})
    reads = re.compile(r"(parse|load|read|safe|from|tokens|unpack|decode)_\w+|parse|loads|from_\w+")
    asks = {"loads", "validate_json", "fromisoformat", "decompressobj"}
    found = set()
    for file in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            is_reader = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and reads.fullmatch(node.name)
            if is_reader or (isinstance(node, ast.Attribute) and node.attr in asks):
                found.add(file.relative_to(ROOM).as_posix())
    assert found - {*named, *NOT_LISTED} == set()
