"""What a tool displays, as a Jupyter MIME bundle that is safe in a page; and how far it is, as a bar."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from html import escape
from typing import Any

from micro_agi_kernel.frontends.display_html import safe_html
from micro_agi_kernel.frontends.display_svg import UnsafeSvg, safe_svg
from micro_agi_kernel.frontends.display_vega import RefusedChart, safe_vegalite
from micro_agi_kernel.frontends.output_text import barred_text, display_text, progress_line, progress_share
from micro_agi_kernel.frontends.rendering import safe_markdown
from micro_agi_kernel.frontends.text import one_line, plain
from micro_agi_kernel.markdown_text import code
from micro_agi_kernel.outputs import PICTURE_FORMS, Progress
from micro_agi_kernel.values import Value, many

MOST = 2_000_000
"""Characters of a bundle. A Jupyter server drops what passes three million bytes in three seconds."""

MOST_MARKUP = 250_000
"""Characters of HTML, SVG or Markdown, before and after: a page stays quick, and so does cleaning it."""

MOST_TEXT = 32_768
"""Characters of text/plain."""

IN_CELL = 20
"""Displays of a cell that are shown. JupyterLab hides what comes behind 50 outputs, and the answer is the last one."""

MOST_IN_CELL = 2_500_000
"""Characters of all of them, see MOST."""

_FORMS = (
    "application/vnd.vegalite.v5+json",
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "application/json",
)
"""The best first: what passes the limit is left out from the end."""

_INSTEAD = {"text/html": frozenset(_FORMS[:1]), "application/json": frozenset(_FORMS[:-1])}
"""Forms beside which one is left out: JupyterLab would show HTML rather than a chart, and JSON rather than anything."""


class CellDisplays:
    """The displays of one cell, as far as it shows them."""

    def __init__(self) -> None:
        self._seen = 0
        self._room = MOST_IN_CELL
        self.left_out = 0
        """How many are not shown."""

    def bundle(self, name: str, data: Mapping[str, Value]) -> dict[str, Any] | None:
        """What to show of a display of the tool that the model calls `name`; None: nothing of it."""
        self._seen += 1
        bundle = safe_bundle(data, name) if self._seen <= IN_CELL else None
        size = 0 if bundle is None else sum(map(_size, bundle.values()))
        if bundle is None or size > self._room:
            self.left_out += 1
            return None
        self._room -= size
        return bundle

    def missing(self) -> str:
        """The line that says what is left out."""
        shown = f"a cell shows {IN_CELL}, and {MOST_IN_CELL:,} characters of them"
        return f"{many(self.left_out, 'display')} not shown: {shown}"


def safe_bundle(data: Mapping[str, Value], name: str = "") -> dict[str, Any]:
    """`outputs.Display.data` for a message display_data: by MIME type, pictures as base64, all of it inert.

    text/plain is always there: the display as text behind bars, then a line for each form that is not shown or not
    shown whole. A form that cannot be made safe, or passes a limit, is left out. Markdown begins with a line that
    says it is a display of the tool `name`: it looks like the model's answer.
    """
    bundle: dict[str, Any] = {}
    notes: list[str] = []
    room = MOST
    for form in _FORMS:
        if form not in data or bundle.keys() & _INSTEAD.get(form, frozenset()):
            continue
        try:
            content, left_out = _safe_form(form, data[form])
        except (UnsafeSvg, RefusedChart, _TooLarge) as error:
            notes.append(f"{form} is not shown: {one_line(str(error))}")
            continue
        if form == "text/markdown":
            content = f"*Display of {safe_markdown(code(name) or 'a tool')}:*\n\n{content}"
        size = _size(content)
        if size > room:
            notes.append(f"{form} is not shown: it is too large ({size:,} characters)")
            continue
        room -= size
        bundle[form] = content
        if left_out:
            notes.append(f"{form} is shown without {one_line(', '.join(left_out))}")
    text = plain(display_text(data))
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]}\n... {len(text) - MOST_TEXT:,} characters not shown ..."
    bundle["text/plain"] = barred_text(text) + "".join(f"\nnote: {note}" for note in notes)
    return bundle


class _TooLarge(ValueError):
    pass


def _safe_form(form: str, content: Value) -> tuple[Any, list[str]]:
    """One form made safe, and what was left out of it."""
    if (size := _size(content)) > MOST:
        raise _TooLarge(f"it is too large ({size:,} characters)")
    match form, content:
        case "application/vnd.vegalite.v5+json", _:
            return safe_vegalite(content)
        case "application/json", _:
            return _json(content), []
        case _, bytes() if form in PICTURE_FORMS and content.startswith(PICTURE_FORMS[form]):
            return base64.b64encode(content).decode(), []
        case _, str() if form not in PICTURE_FORMS:
            make = {"text/html": safe_html, "image/svg+xml": safe_svg, "text/markdown": safe_markdown}[form]
            if len(content) > MOST_MARKUP or len(made := make(content)) > MOST_MARKUP:
                raise _TooLarge(f"it is larger than {MOST_MARKUP:,} characters")
            return made, []
    raise _TooLarge("it is not what its form takes")


def _json(value: Value) -> Any:
    """JSON whose text is safe to show; bytes are base64, and a number that JSON lacks is null."""
    match value:
        case str():
            return plain(value)
        case bytes():
            return base64.b64encode(value).decode()
        case float() if not math.isfinite(value):
            return None
        case list():
            return [_json(item) for item in value]
        case dict():
            return {plain(key): _json(item) for key, item in value.items()}
    return value


def _size(content: Any) -> int:
    import json

    return len(content) if isinstance(content, (str, bytes)) else len(json.dumps(content, default=len))


def progress_html(progress: Progress) -> str:
    """A bar for a page that is read aloud well: `<label>text <progress>…</progress> 3/10</label>`."""
    share = progress_share(progress)
    value = "" if share is None else f' value="{share:.4f}" max="1"'
    text = one_line(progress_line(progress))
    return f"<label>{_html_text(text)} <progress{value}>{escape(text)}</progress></label>"


def _html_text(text: str) -> str:
    return escape(text).replace("$", "<span>$</span>").replace("\\", "<span>\\</span>")
