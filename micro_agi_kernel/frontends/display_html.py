"""Makes HTML that a tool displays inert: written anew from an allow-list, then cleaned by nh3.

Two layers. First the text is cut into tags and text by one linear scan, and only known tags with checked attributes
are written again, well nested and no deeper than DEPTH: what a browser's parser would mend (and an attacker would use)
never reaches it, and nh3, whose parser takes a second for a few ten thousand nested tags, stays quick. Then nh3 parses
that as a browser does and lets nothing else through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape, unescape

from micro_agi_kernel.frontends.text import plain

DEPTH = 32
"""Elements that may be open at once; deeper tags are left out, their text stays."""

_FRAME = (
    '<div role="group" aria-label="Shown by a tool" class="tex2jax_ignore mathjax_ignore" '
    'style="contain:content;overflow:auto;max-width:100%;padding-left:0.6em;'
    'border-left:3px double var(--jp-border-color1,#999)">'
)
"""The bar at the left says that a tool shows it, as in a transcript; `contain` keeps it in its place in any case."""


def safe_html(text: str) -> str:
    """The same HTML without anything that runs, loads, navigates by itself, leaves its place, or names ids and classes.

    Links keep to http, https and mailto and open beside the page; pictures are PNG or JPEG in the text itself (data:).
    A colour is kept only beside a background of its own: all others are the theme's. TeX is shown as it is written.
    """
    import nh3

    cleaned = nh3.clean(
        _rewritten(text),
        tags=set(_ATTRIBUTES),
        clean_content_tags=set(_UNSEEN),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=_checked,
        url_schemes={"http", "https", "mailto", "data"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer nofollow",
    )
    return f"{_FRAME}{cleaned}</div>"


def start_tag(name: str, attributes: Mapping[str, str]) -> str:
    """A start tag, in HTML and XML alike."""
    written = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>"


def words(text: str) -> frozenset[str]:
    """The words of a table that is written as a text."""
    return frozenset(text.split())


def _one_of(*words: str) -> Callable[[str], str | None]:
    return lambda value: value.lower() if value.lower() in words else None


def _like(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)
    return lambda value: value if compiled.fullmatch(value) else None


_COLOURS = ("color", "background-color")
_STYLES: dict[str, re.Pattern[str]] = {
    "text-align": re.compile("left|right|center|justify"),
    "vertical-align": re.compile("top|middle|bottom|baseline"),
    "font-weight": re.compile("normal|bold|[1-9]00"),
    "font-style": re.compile("normal|italic"),
    "font-family": re.compile("monospace|serif|sans-serif"),
    "text-decoration": re.compile("none|underline|line-through"),
    "white-space": re.compile("normal|nowrap|pre|pre-wrap"),
    **dict.fromkeys(_COLOURS, re.compile(r"[a-z]{3,25}|#[0-9a-f]{3,8}|rgb\([0-9]{1,3}(, ?[0-9]{1,3}){2}\)")),
}


def _style(value: str) -> str | None:
    kept: dict[str, str] = {}
    for declaration in value.split(";"):
        name, _, content = (part.strip().lower() for part in declaration.partition(":"))
        name = "background-color" if name == "background" else name
        if name in _STYLES and _STYLES[name].fullmatch(content):
            kept[name] = content
    if not all(name in kept for name in _COLOURS):
        for name in _COLOURS:
            kept.pop(name, None)
    return ";".join(f"{name}:{content}" for name, content in kept.items()) or None


_number = _like(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_CHECKS: dict[str, Callable[[str], str | None]] = {
    "href": _like(r"(?i:https?://|mailto:)[^\s<>\"'\\`]{1,4000}"),
    "src": _like(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=\s]+"),
    "alt": lambda value: value,
    "title": lambda value: value,
    "style": _style,
    "open": lambda value: "",
    "align": _one_of("left", "right", "center", "justify"),
    "valign": _one_of("top", "middle", "bottom", "baseline"),
    "scope": _one_of("row", "col", "rowgroup", "colgroup"),
    **dict.fromkeys(("colspan", "rowspan", "span"), _like("[1-9][0-9]?")),
    **dict.fromkeys(("width", "height"), _like("[1-9][0-9]{0,3}")),
    **dict.fromkeys(("value", "max", "min", "low", "high", "optimum", "start"), _number),
}
"""By attribute: its value made safe, or None."""

_CELL = ("colspan", "rowspan", "align", "valign")
_ATTRIBUTES: dict[str, frozenset[str]] = {
    **{tag: frozenset({"style", "title"}) for tag in words("div span p pre blockquote figure figcaption caption")},
    **{tag: frozenset({"style", "title", "align"}) for tag in words("h1 h2 h3 h4 h5 h6 table thead tbody tfoot tr")},
    **{tag: frozenset({"title"}) for tag in words("b strong i em u s del ins mark small sub sup code kbd samp var q")},
    **{tag: frozenset({"title"}) for tag in words("abbr cite dfn time ul li dl dt dd summary br hr wbr")},
    "ol": frozenset({"start", "title"}),
    "details": frozenset({"open"}),
    "td": frozenset({"style", "title", *_CELL}),
    "th": frozenset({"style", "title", "scope", *_CELL}),
    "colgroup": frozenset({"span"}),
    "col": frozenset({"span"}),
    "a": frozenset({"href", "title"}),
    "img": frozenset({"src", "alt", "title", "width", "height"}),
    "progress": frozenset({"value", "max", "title"}),
    "meter": frozenset({"value", "min", "max", "low", "high", "optimum", "title"}),
}
"""By tag: what it may have. There are no other tags."""

_VOID = frozenset({"br", "hr", "wbr", "img", "col"})
_UNSEEN = words(
    "script style template noscript iframe object applet textarea title svg math select option "
    "datalist xmp noembed noframes plaintext audio video canvas frameset"
)
"""Left out with all that is in them."""
_CELLS = frozenset({"td", "th"})
_ROWS = _CELLS | {"tr"}
_ENDS: dict[str, frozenset[str]] = {
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "td": _CELLS,
    "th": _CELLS,
    "tr": _ROWS | {"caption", "colgroup"},
    **dict.fromkeys(("thead", "tbody", "tfoot"), _ROWS | {"thead", "tbody", "tfoot", "caption", "colgroup"}),
}
"""By tag: the open elements that it ends when they are innermost."""
_ENDS_P = words("p div pre blockquote figure h1 h2 h3 h4 h5 h6 table ul ol dl li dt dd hr details figcaption summary")
_TOKEN = re.compile(
    r"""<!--.*?(?:-->|\Z) | <[!?][^<>]*>
      | <(?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9-]*)(?P<rest>(?:[^<>"'] | "[^"<]*" | '[^'<]*')*)>""",
    re.VERBOSE | re.DOTALL,
)
"""No tag reaches over a `<`, so the scan is linear; what looks like a tag and is none is text."""
_ATTRIBUTE = re.compile(r"""([A-Za-z-]{1,30})(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+)))?""")
_TEX = re.compile(r"[$\\]")


def _rewritten(text: str) -> str:
    parts: list[str] = []
    open_tags: list[str] = []
    place = 0
    while match := _TOKEN.search(text, place):
        parts.append(_text(text[place : match.start()]))
        place = match.end()
        name = (match["name"] or "").lower()
        if name in _UNSEEN and not match["end"]:
            end = re.compile(f"</{name}(?![A-Za-z0-9-])[^>]*>", re.IGNORECASE).search(text, place)
            place = end.end() if end else len(text)
        elif name in _ATTRIBUTES and match["end"]:
            if name in open_tags:
                parts.extend(_close(open_tags, len(open_tags) - 1 - open_tags[::-1].index(name)))
        elif name in _ATTRIBUTES:
            parts.extend(_open(open_tags, name, match["rest"]))
    return "".join([*parts, _text(text[place:]), *_close(open_tags, 0)])


def _open(open_tags: list[str], name: str, rest: str) -> list[str]:
    parts: list[str] = []
    if name in _ENDS_P and "p" in open_tags:
        parts += _close(open_tags, open_tags.index("p"))
    while open_tags and open_tags[-1] in _ENDS.get(name, ()):
        parts += _close(open_tags, len(open_tags) - 1)
    if name not in _VOID and len(open_tags) >= DEPTH:
        return parts
    attributes: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(rest):
        attribute = found[1].lower()
        value = _checked(name, attribute, unescape(found[2] or found[3] or found[4] or ""))
        if attribute in _ATTRIBUTES[name] and value is not None:
            attributes.setdefault(attribute, value)
    if name == "img" and "src" not in attributes:
        return [*parts, _text(escape(f"[{attributes.get('alt') or 'picture'}]"))]
    if name not in _VOID:
        open_tags.append(name)
    return [*parts, start_tag(name, attributes)]


def _close(open_tags: list[str], left: int) -> list[str]:
    """End tags until only `left` elements are open."""
    ends = [f"</{name}>" for name in reversed(open_tags[left:])]
    del open_tags[left:]
    return ends


def _text(text: str) -> str:
    """What TeX begins with stands in an element of its own each: JupyterLab typesets a text node, macros and all."""
    return _TEX.sub(r"<span>\g<0></span>", escape(plain(unescape(text)), quote=False))


def _checked(tag: str, attribute: str, value: str) -> str | None:
    if (tag, attribute) in {("a", "target"), ("a", "rel")}:
        return value  # nh3 sets them
    check = _CHECKS.get(attribute)
    return check(plain(value)) if check else None
