"""The parsers that read what a stranger may have written: what each takes, may raise, and promises."""

from __future__ import annotations

import json
import tempfile
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from markup_check import check_markup
from parser_words import (
    CELL_WORDS,
    GIT_WORDS,
    HEAD_WORDS,
    HTML_WORDS,
    ISO_WORDS,
    JSON_WORDS,
    LOG_WORDS,
    LUA_WORDS,
    MD_WORDS,
    STREAM_WORDS,
    TIME_WORDS,
    TOML_WORDS,
    URL_WORDS,
    YAML_WORDS,
)

from micro_agi_kernel import attachments, notebook_memory, resumable, syncing, yaml_files
from micro_agi_kernel.agent import summaries
from micro_agi_kernel.arguments import schema_problems
from micro_agi_kernel.code_hash import code_hash
from micro_agi_kernel.commands.cell import command_in
from micro_agi_kernel.cut_turns import with_what_was_written
from micro_agi_kernel.docs_index import DocsIndex
from micro_agi_kernel.entries import EntryId, from_files, to_files
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import EntryError, ModelError, Refused, RegistryError, SettingsError
from micro_agi_kernel.file_forms import form_of
from micro_agi_kernel.frontends.display_html import safe_html
from micro_agi_kernel.frontends.display_svg import UnsafeSvg, safe_svg
from micro_agi_kernel.frontends.display_vega import RefusedChart, safe_vegalite
from micro_agi_kernel.frontends.jupyter.ipynb import as_ipynb
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.frontends.rendering import last_block, safe_markdown
from micro_agi_kernel.frontends.text import one_line, plain
from micro_agi_kernel.go_time.durations import format_duration, parse_duration
from micro_agi_kernel.go_time.parsing import parse_time
from micro_agi_kernel.host.http.answer import PIECE, Head, Unpacker
from micro_agi_kernel.host.http.url import parse_url
from micro_agi_kernel.logs.fields import object_in
from micro_agi_kernel.logs.turns import Turn, read_turns
from micro_agi_kernel.lua_modules._json_text import parse as parse_json
from micro_agi_kernel.lua_modules._json_work import BadSchema
from micro_agi_kernel.messages import ModelRequest, SystemMessage, UserMessage
from micro_agi_kernel.models import replay
from micro_agi_kernel.models.chat_format import Answer
from micro_agi_kernel.models.thinking import InlineThoughts
from micro_agi_kernel.parameters import read_parameters, written
from micro_agi_kernel.patterns import compile_re2
from micro_agi_kernel.policy.conditions import Condition
from micro_agi_kernel.registry import lock
from micro_agi_kernel.registry.commits import parse_commit
from micro_agi_kernel.registry.cost import Cost
from micro_agi_kernel.registry.layout import Layout, read_format
from micro_agi_kernel.registry.message import claims_service, parse_message
from micro_agi_kernel.registry.sharing.address import Address
from micro_agi_kernel.registry.trees import read_tree
from micro_agi_kernel.trust import read_trust
from micro_agi_kernel.working_folder import MENTION

ID = EntryId("app.generated", "x")
SCRATCH = Path(tempfile.gettempdir())


@dataclass(frozen=True)
class Parser:
    """One parser, its property being that `run` raises nothing but `refuses`."""

    name: str
    module: str
    """Below micro_agi_kernel, as a path."""
    run: Callable[[str], Any]
    """Reads a text (what takes bytes or JSON makes these of it), and asserts what else is promised."""
    words: tuple[str, ...]
    """What makes sense to it, so that random texts get far."""
    refuses: tuple[type[Exception], ...] = ()
    vectors: str = ""
    """The conformance file whose texts are read too."""


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape") if _fits(text) else text.encode(errors="replace")


def _fits(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" and not "\udc80" <= c <= "\udcff" for c in text)


def _json(text: str) -> Any:
    """The JSON in a text, or the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _file(name: str, text: str) -> Path:
    path = Path(tempfile.mkdtemp(dir=SCRATCH)) / name
    path.write_bytes(_bytes(text))
    return path


def _entry(text: str) -> None:
    above, _, below = text.partition("\n====\n")
    entry = from_files(ID, {"x.yaml": _bytes(above), "x.lua": _bytes(below)} if below else {"x.yaml": _bytes(above)})
    assert from_files(ID, to_files(entry)) == entry


def _yaml(text: str) -> None:
    value = yaml_files.load_yaml(_bytes(text), "x.yaml")
    assert yaml_files.load_yaml(yaml_files.dump_yaml(value), "again") == value


def _message(text: str) -> None:
    said = parse_message(_bytes(text))
    shown = [said.subject, *said.files, *said.trailers.values()]
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\u200c\u200d" for c in "".join(shown))
    assert not (said.actor or "").startswith("service:") or claims_service(_bytes(text))


def _answer(text: str) -> None:
    said = Answer(10_000)
    for line in text.split("\n"):
        event = _json(line.removeprefix("data: "))
        for chunk in said.add(event):
            json.dumps(chunk.text, ensure_ascii=False).encode()
    for call in said.calls((SystemMessage("x"), UserMessage("y"))):
        assert call.id and call.name.isascii() and len(call.name) <= 64


def _parameters(text: str) -> None:
    read = {each.name: each.value for each in read_parameters(text)}
    assert {each.name: each.value for each in read_parameters(written(read))} == read


def _log(text: str) -> None:
    path = _file("x.jsonl", '{"kind":"Session","format":1,"session":"s"}\n{"kind":"Prompt","text":"x"}\n' + text)
    json.dumps(as_ipynb([*read_turns(path)], footer=True)).encode()
    state = resumable.read_state(path).state
    assert [*resumable.sendable(state.messages)] == [*state.messages]


def _notebook(text: str) -> None:
    sessions = Path(tempfile.mkdtemp(dir=SCRATCH))
    first = notebook_memory.NotebookMemory(sessions, "x.ipynb")
    first.note("s", 1)
    first.close()
    [file] = (sessions / notebook_memory.FOLDER).iterdir()
    file.write_bytes(_bytes(text))
    again = notebook_memory.NotebookMemory(sessions, "x.ipynb")
    assert [*again.talks()] == []  # none of them has a log
    again.note("t", 2)
    again.close()


def _config(text: str) -> None:
    load_settings({"MICRO_AGI_CONFIG": str(_file("config.toml", text)), "HOME": "/nowhere"})


def _trust(text: str) -> None:
    read_trust(_file("trust.toml", text).parent)


def _markdown(text: str) -> None:
    made = safe_markdown(text)
    assert "\x1b" not in made and "<script" not in made.lower() and "\u202e" not in made
    assert len(made) <= 100 + 20 * len(text)
    assert 0 <= last_block(plain(text)) <= len(text)
    assert "\x1b" not in plain(markdown_as_text(text))


def _html(text: str) -> None:
    made = safe_html(text)
    check_markup(made)
    assert len(made) <= 1_000 + 60 * len(text)


def _svg(text: str) -> None:
    check_markup(safe_svg(text))


def _tree(text: str) -> None:
    tree = read_tree(_bytes(text))
    for name, node in tree.items():
        assert isinstance(name, str) and len(node.id) == 40


def _format(text: str) -> None:
    assert isinstance(read_format(_bytes(text)), Layout)


def _time(text: str) -> None:
    layout, _, said = text.partition("|")
    parse_time(layout, said)


def _duration(text: str) -> None:
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


def _one_line(text: str) -> None:
    made = one_line(text)
    assert "\n" not in made and "\x1b" not in made and "\u202e" not in made


def _thoughts(text: str) -> None:
    thoughts = InlineThoughts()
    chunks = [chunk for letter in text for chunk in thoughts.add(letter)] + thoughts.end()
    assert sum(len(chunk.text) for chunk in chunks) <= len(text)


def _page(text: str) -> None:
    index = DocsIndex({"x.md": _bytes(text)})
    index.page("x.md")
    assert all(len(hit.excerpt) < 2_000 for hit in index.search(text))


def _schema(text: str) -> None:
    schema_problems(text, {"a": [1, "x", None]}, 100_000)


def _form(text: str) -> None:
    for name in ("a.csv", "a.json", "a.tsv", "a"):
        for size in (0, 10**9):
            form = form_of(name, _bytes(text), max(size, len(_bytes(text))), 100)
            assert len(form.text) <= 100


def _mentions(text: str) -> None:
    assert sum(1 for _ in attachments._named_in(text)) <= 200
    for found in MENTION.finditer(text):
        assert found[1] or found[2]


def _summary(text: str) -> None:
    assert isinstance(summaries._summary_in(text), str) and isinstance(
        summaries._summary_in('{"summary": ' + text), str
    )


def _head(text: str) -> None:
    lines = [(name, value) for line in _bytes(text).split(b"\n") for name, _, value in [line.partition(b":")]]
    head = Head.of(302, [*lines, (b"Set-Cookie", _bytes(text)), (b"Content-Length", _bytes(text))])
    json.dumps(head.unpacked().as_value("x"))
    assert -1 <= head.length() < 10**16 and isinstance(head.location(), str | None) and head.encoding().strip() != " "


def _packed(text: str) -> None:
    for encoding in ("gzip", "deflate"):
        body = Unpacker(encoding)
        made = [*body.feed(_bytes(text)), *body.finish()]
        assert all(len(piece) <= PIECE for piece in made)


def _cut_turn(text: str) -> None:
    """The registry is one commit, of today."""
    made = SimpleNamespace(time=datetime.now(UTC), said_by_agent={})
    registry: Any = SimpleNamespace(versions=lambda: [made])
    [turn] = with_what_was_written([Turn(1, text, "x")], "s", registry)
    assert len(turn.events) <= 1


def _replayed(text: str) -> None:
    path = _file("x.jsonl", '{"kind":"Session","format":1,"session":"s"}\n{"kind":"Prompt","text":"x"}\n' + text)
    recording = replay._Recording(path)
    for turn in recording._turns:
        recording.find(ModelRequest((UserMessage(turn.prompt),)))


def _kept(text: str) -> None:
    path = Path(tempfile.mkdtemp(dir=SCRATCH))
    (path / lock.FOLDER).mkdir()
    for name in (syncing.DECISIONS, syncing.TRIED):
        (path / lock.FOLDER / name).write_bytes(_bytes(text))
    workspace: Any = SimpleNamespace(registry=SimpleNamespace(path=path))
    shared = syncing.Syncing(workspace, path)
    assert all(isinstance(each, str) for each in (*shared._decisions().values(), *shared._tried()))


def _vega(text: str) -> None:
    made, _ = safe_vegalite(_json(text))
    assert not any(word in json.dumps(made) for word in ('"signal"', '"url"', '"expr"', '"href"'))


PARSERS = (
    Parser("entry", "entries.py", _entry, YAML_WORDS, (EntryError,), "yaml.jsonl.gz"),
    Parser("yaml", "yaml_files.py", _yaml, YAML_WORDS, (EntryError,), "yaml.jsonl.gz"),
    Parser(
        "entry id", "entries.py", EntryId.parse, ("app", ":", ".", "x", "con", ".lock", "-", "_", "A"), (EntryError,)
    ),
    Parser("commit message", "registry/message.py", _message, GIT_WORDS),
    Parser(
        "commit", "registry/commits.py", lambda text: parse_commit("c" * 40, _bytes(text)), GIT_WORDS, (RegistryError,)
    ),
    Parser(
        "cost",
        "registry/cost.py",
        Cost.parse,
        ("$", "0.1", " ", "1", "9" * 30, "s", "/", "tokens", "in", "out", ","),
        (),
    ),
    Parser("tree", "registry/trees.py", _tree, GIT_WORDS, (Exception,)),
    Parser(
        "registry format",
        "registry/layout.py",
        _format,
        (*YAML_WORDS, "sharded: ", "format: 1"),
        (EntryError, RegistryError),
    ),
    Parser("remote address", "registry/sharing/address.py", Address.parse, URL_WORDS, (RegistryError,)),
    Parser("model stream", "models/chat_format.py", _answer, STREAM_WORDS),
    Parser("inline thoughts", "models/thinking.py", _thoughts, ("<think>", "</think>", "<", "/", "x", "\n")),
    Parser("tool schema", "arguments.py", _schema, JSON_WORDS, (BadSchema,), "json_schema.jsonl.gz"),
    Parser("json", "lua_modules/_json_text.py", parse_json, JSON_WORDS, (ValueError,), "json_parsing.jsonl.gz"),
    Parser("cell", "commands/cell.py", command_in, CELL_WORDS, (), "naughty_strings.json"),
    Parser("parameters", "parameters.py", _parameters, (*CELL_WORDS, *JSON_WORDS), (Refused,)),
    Parser("mentions", "attachments.py", _mentions, CELL_WORDS),
    Parser(
        "file",
        "file_forms.py",
        _form,
        (",", ";", '"', "\n", "\r", "\t", "x", "\udcff", "\x89PNG\r\n\x1a\n", "RIFF1234WEBP"),
    ),
    Parser("session log", "logs/turns.py", _log, LOG_WORDS, (Refused,)),
    Parser("session state", "resumable.py", _log, LOG_WORDS, (Refused,)),
    Parser("time of a cut turn", "cut_turns.py", _cut_turn, ISO_WORDS),
    Parser("recorded session", "models/replay.py", _replayed, LOG_WORDS, (ModelError,)),
    Parser("what pulls left", "syncing.py", _kept, ("[" * 50, *JSON_WORDS)),
    Parser("summary of a model", "agent/summaries.py", _summary, (*JSON_WORDS, '{"summary": "', '"}', "\\")),
    Parser("head of an answer", "host/http/answer.py", _head, HEAD_WORDS),
    Parser("packed body", "host/http/answer.py", _packed, HEAD_WORDS, (zlib.error,)),
    Parser("log line", "logs/fields.py", lambda text: object_in(_bytes(text)), (*JSON_WORDS, *LOG_WORDS)),
    Parser("notebook's file", "notebook_memory.py", _notebook, (*LOG_WORDS, '{"session":"s","cells":1}', '"time":5')),
    Parser("settings", "environment.py", _config, TOML_WORDS, (SettingsError,)),
    Parser("trust", "trust.py", _trust, TOML_WORDS, (SettingsError,)),
    Parser("markdown", "frontends/rendering.py", _markdown, MD_WORDS, (), "naughty_strings.json"),
    Parser("plain text", "frontends/text.py", _one_line, MD_WORDS, (), "naughty_strings.json"),
    Parser("html", "frontends/display_html.py", _html, HTML_WORDS, (), "naughty_strings.json"),
    Parser("svg", "frontends/display_svg.py", _svg, HTML_WORDS, (UnsafeSvg,)),
    Parser(
        "chart",
        "frontends/display_vega.py",
        _vega,
        (*JSON_WORDS, '{"mark":"bar","data":{"values":[]}}', '"url"'),
        (RefusedChart,),
    ),
    Parser("layout of a time", "go_time/parsing.py", _time, TIME_WORDS, (ValueError,), "go_time.jsonl"),
    Parser("duration", "go_time/durations.py", _duration, TIME_WORDS, (ValueError,)),
    Parser("lua", "code_hash.py", lambda text: code_hash(text), LUA_WORDS),
    Parser("url", "host/http/url.py", parse_url, URL_WORDS, (Refused, ValueError), "ssrf_urls.jsonl"),
    Parser("page", "docs_index.py", _page, MD_WORDS, (Refused, ValueError)),
    Parser(
        "condition", "policy/conditions.py", lambda text: Condition.parse(_json(text), "x"), JSON_WORDS, (EntryError,)
    ),
    Parser(
        "pattern",
        "patterns.py",
        lambda text: compile_re2(text, 1 << 20),
        ("(", ")", "[", "]", "*", "+", "{9999}", "\\", "?P<a>", "|"),
        (ValueError,),
        "go_regexp.jsonl.gz",
    ),
)


def texts_in(value: Any) -> Iterator[str]:
    """All texts within a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts_in(each)
