"""Makes SVG that a tool displays inert: read by a strict XML parser, written anew from an allow-list.

JupyterLab and nbconvert show image/svg+xml as a picture, where nothing runs or loads; other front ends put it into
their page. So what is written here holds for both: no scripts, styles, links, pictures, animations or foreign
elements, references into itself only, and those one level deep, since references that nest multiply. What would take
a browser long to draw is refused: see display_svg_cost.
"""

from __future__ import annotations

import re
from hashlib import sha256
from html import escape
from xml.parsers import expat

from micro_agi_kernel.frontends.display_html import start_tag, words
from micro_agi_kernel.frontends.display_svg_cost import DEFINITIONS, MOST, Drawing
from micro_agi_kernel.frontends.text import plain

_NAMESPACE = "http://www.w3.org/2000/svg"
_DEPTH = 64
_SHAPES = "path rect circle ellipse line polyline polygon text tspan linearGradient radialGradient stop title desc"
_ELEMENTS = frozenset({"svg", "g", "defs", *DEFINITIONS, *_SHAPES.split()})
_TRANSPARENT = frozenset({"a", "switch"})
"""Left out, but for what is in them."""

_LOOKS = words(
    "fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap stroke-linejoin "
    "stroke-dasharray stroke-dashoffset stroke-miterlimit opacity color stop-color stop-opacity "
    "font-family font-size font-weight font-style text-anchor dominant-baseline alignment-baseline "
    "letter-spacing clip-rule visibility paint-order"
)
_REFERENCES = frozenset({"fill", "stroke", "clip-path", "mask", "marker-start", "marker-mid", "marker-end"})
_GEOMETRY = words(
    "x y x1 y1 x2 y2 cx cy r rx ry fx fy fr dx dy d points width height transform viewBox "
    "preserveAspectRatio offset rotate textLength lengthAdjust gradientUnits gradientTransform "
    "spreadMethod clipPathUnits maskUnits maskContentUnits patternUnits patternContentUnits "
    "patternTransform markerWidth markerHeight markerUnits refX refY orient"
)
_KNOWN = _GEOMETRY | _LOOKS | _REFERENCES
_VALUE = re.compile(r"[A-Za-z0-9#%.,+\- \t\n]*|[A-Za-z]+\([A-Za-z0-9#%.,+\- \t\n]*\)[A-Za-z0-9().,+\- \t\n]*")
_REFERENCE = re.compile(r"""url\(\s*["']?#([A-Za-z_][\w.-]{0,99})["']?\s*\)""")
_ID = re.compile(r"[A-Za-z_][\w.-]{0,99}")
_TAKEN_OVER = re.compile(r"(?i:\s*(?:inherit|unset|revert|revert-layer|initial|context-fill|context-stroke)\s*)")
"""Values that bring a reference from elsewhere."""
_RESET = {"fill": "black", "stroke": "none", "marker-start": "none", "marker-mid": "none", "marker-end": "none"}
"""For a definition that would inherit references: what it draws has none."""
_SIZE = re.compile(r"[0-9]{1,4}(\.[0-9]*)?(px|pt|em|ex|mm|cm|in|%)?")


class UnsafeSvg(ValueError):
    """It cannot be shown; the message says why, for a person."""


def safe_svg(text: str) -> str:
    """The same picture on a white ground (it is drawn for one, and themes may be dark). Raises UnsafeSvg.

    Ids are renamed, so that they meet no others in a page.
    """
    content = text.encode(errors="replace")
    return _Writer(f"d{sha256(content).hexdigest()[:8]}-").write(content)


class _Writer:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._parts: list[str] = []
        self._open: list[str] = []
        """Per open element: its name when it was written, else ''."""
        self._hidden = 0
        """Open elements that are left out with all in them."""
        self._defining = 0
        self._drawing = Drawing()

    def write(self, content: bytes) -> str:
        parser = expat.ParserCreate("utf-8", " ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            raise UnsafeSvg(f"the SVG is no well-formed XML: {error}") from error
        self._bound(self._drawing.total())
        return "".join(self._parts)

    def _bound(self, cost: float) -> None:
        if cost > MOST:
            raise UnsafeSvg("the SVG would take a browser too long to draw")

    def _doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        if internal:
            raise UnsafeSvg("the SVG declares entities")

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        if not self._open and (name != "svg" or namespace not in ("", _NAMESPACE)):
            raise UnsafeSvg("the SVG does not begin with <svg>")
        if len(self._open) >= _DEPTH:
            raise UnsafeSvg(f"the SVG is nested deeper than {_DEPTH} elements")
        known = namespace in ("", _NAMESPACE) and name in _ELEMENTS and not (self._open and name == "svg")
        if self._hidden or not known:
            self._hidden += self._hidden > 0 or name not in _TRANSPARENT
            self._open.append("")
            return
        self._defining += name in DEFINITIONS
        written = self._attributes(name, attributes)
        if name in DEFINITIONS:
            written |= {prop: value for prop, value in _RESET.items() if self._drawing.inherits_reference(prop)}
        if not self._open:
            written = {"xmlns": _NAMESPACE, **written, "style": f"background-color:white;{written.get('style', '')}"}
        self._open.append(name)
        self._drawing.start(name, written)
        self._bound(self._drawing.least)
        self._parts.append(start_tag(name, written))

    def _end(self, qualified: str) -> None:
        name = self._open.pop()
        if name:
            self._defining -= name in DEFINITIONS
            self._drawing.end()
            self._parts.append(f"</{name}>")
        elif self._hidden:
            self._hidden -= 1

    def _text(self, text: str) -> None:
        if self._open and not self._hidden and self._open[-1] in ("text", "tspan", "title", "desc"):
            self._drawing.text(len(text))
            self._parts.append(escape(plain(text), quote=False))

    def _attributes(self, element: str, attributes: dict[str, str]) -> dict[str, str]:
        written: dict[str, str] = {}
        for qualified, value in attributes.items():
            name = qualified.rpartition(" ")[2]
            if name == "id" and _ID.fullmatch(value):
                written["id"] = self._prefix + value
            elif name == "href" and element.endswith("Gradient") and _ID.fullmatch(value[1:]) and value[:1] == "#":
                written["href"] = f"#{self._prefix}{value[1:]}"
            elif name == "style":
                kept = [self._declaration(*declaration.partition(":")[::2]) for declaration in value.split(";")]
                written["style"] = ";".join(filter(None, kept))
            elif element == "svg" and name in ("width", "height"):
                if _SIZE.fullmatch(value):
                    written[name] = value
            elif name in _KNOWN and (checked := self._look(name, value)) is not None:
                written[name] = checked
        return written

    def _declaration(self, name: str, value: str) -> str:
        name, value = name.strip(), value.strip()
        checked = self._look(name, value) if name in _LOOKS | _REFERENCES else None
        return f"{name}:{checked}" if checked is not None else ""

    def _look(self, name: str, value: str) -> str | None:
        if name in _REFERENCES and (reference := _REFERENCE.fullmatch(value)):
            return None if self._defining else f"url(#{self._prefix}{reference[1]})"
        if _TAKEN_OVER.fullmatch(value) or (name == "preserveAspectRatio" and "slice" in value):
            return None
        if name == "font-family":
            value = value.replace('"', "").replace("'", "")
        return value if _VALUE.fullmatch(value) and "url" not in value.lower() else None
