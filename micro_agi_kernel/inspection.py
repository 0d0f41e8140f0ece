"""What is known of the word at the cursor of a cell: a command, a tool, an entry, a module, a page or a model.

Like completion it is asked beside a running cell. Blocks: call it in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from micro_agi_kernel.commands import key_of, show_command
from micro_agi_kernel.commands.cell import command_in
from micro_agi_kernel.commands.choices import about_setting
from micro_agi_kernel.commands.tools import page_of
from micro_agi_kernel.completion import AROUND
from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import EntryError, Refused, RegistryError
from micro_agi_kernel.markdown_text import code, fenced, prose
from micro_agi_kernel.model_choice import models_in
from micro_agi_kernel.models.catalog import find
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import setting_names
from micro_agi_kernel.values import money

_WORD = re.compile(r"[\w.:/%-]+")


def inspect(session: Session, text: str, cursor: int) -> str:
    """What is known, in Markdown; "" when nothing is. Blocks."""
    around = _WORD.finditer(text, max(0, cursor - AROUND), cursor + AROUND)
    found = next((word for word in around if word.start() <= cursor <= word.end()), None)
    if found is None:
        return ""
    word = found[0].rstrip(".:")  # of a sentence
    if word in setting_names() and ("." in word or _sets(text)):  # `model` is a word of prose too
        return about_setting(session.settings, word)
    for look in _PLACES:
        try:
            if said := look(session, word):
                return said
        except (Refused, EntryError, RegistryError):  # it is no such thing
            continue
    return ""


def _sets(text: str) -> bool:
    said = command_in(text)
    return said is not None and key_of(said.name) == "set"


def _command(session: Session, word: str) -> str:
    key = key_of(word) if word.startswith("%") else None
    return show_command(key) if key is not None else ""


def _tool(session: Session, word: str) -> str:
    return page_of(session.workspace, word)


def _entry(session: Session, word: str) -> str:
    if ":" not in word:
        return ""
    entry = session.workspace.pin.current().get(EntryId.parse(word))
    if entry is None:
        return ""
    said = (f"**{code(word)}**, {code(entry.kind)}", prose(entry.text("comment") or entry.text("title")))
    return "\n\n".join((*said, fenced(entry.source, "lua") if entry.source else ""))


def _page(session: Session, word: str) -> str:
    """The page of that path, or with that title, as modules have."""
    index = session.workspace.docs.index()
    pages = (index.page(path) for path in index.paths)
    return index.page(word) if word in index.paths else next((p for p in pages if p.startswith(f"# {word}\n")), "")


def _model(session: Session, word: str) -> str:
    specs, _ = models_in(session.workspace.registry.snapshot())
    spec = find(specs, word)
    if spec is None or spec.name != word:
        return ""
    prices = f"{money(spec.pricing.input)} in, {money(spec.pricing.output)} out for a million tokens"
    facts = (f"{spec.window:,} tokens of prompt and answer", prices, ", ".join(spec.classes))
    return "\n".join((f"**{code(spec.name)}** {prose(spec.title)}", "", *(f"- {fact}" for fact in facts if fact)))


_PLACES: tuple[Callable[[Session, str], str], ...] = (_command, _tool, _entry, _page, _model)
"""Where a word is looked for, the likeliest first."""
