"""How long a browser takes to draw an SVG, at most: a small one can hold a page for minutes.

What is drawn often, or large and through a layer, costs: a marker at each vertex, a mask or a pattern for each shape,
groups with opacity in one another, fine dashes. The weights are microseconds, rounded up, of Chromium 156 without a
graphics processor on two cores: the time to read a picture of 1,000 x 1,000 pixels (`Image.decode`) and the longest gap
between frames when it comes into the page.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf, sqrt

from micro_agi_kernel.frontends.display_svg_shapes import (
    EVERYTHING,
    SAME,
    Box,
    Matrix,
    Shape,
    grown,
    matrix_of,
    number,
    numbers,
    placed,
    product,
    shape_of,
    stretch,
    united,
)

MOST = 150_000
"""Microseconds of one drawing."""

DEFINITIONS = frozenset({"marker", "clipPath", "mask", "pattern"})
_GRADIENTS = frozenset({"linearGradient", "radialGradient"})
_SHAPES = frozenset({"path", "rect", "circle", "ellipse", "line", "polyline", "polygon"})
_TEXTS = frozenset({"text", "tspan"})

# For each, however small.
_ELEMENT, _DRAWN, _TEXT, _PLACE, _CHARACTER, _LINE, _CURVE, _STOP, _DASH, _USE = 16, 5, 20, 8, 0.7, 1.5, 5, 0.1, 2, 10
# For what covers the picture, or is as long as one side of it.
_PAINT, _EDGE, _LINED, _CURVED, _GLYPH, _GLYPH_LINED = 90, 20, 15, 120, 300, 800
_LAYER, _GRADIENT, _TILES, _TILE, _MASK, _WIDE, _CLIP = 3_700, 1_200, 3_500, 12_000, 4_000, 500, 500
_CHAIN = 8
"""Gradients that take their stops from one another, at most: a long chain is read anew for each."""
_LONGEST = 3
"""Sides of the picture: the rest of a longer segment is outside."""

_INITIAL: dict[str, tuple[str, ...]] = {
    "fill": ("black",),
    "stroke": (),
    "stroke-width": ("1",),
    "stroke-miterlimit": ("4",),
    "stroke-dasharray": (),
    **dict.fromkeys(("marker-start", "marker-mid", "marker-end"), ()),
}
_SURE = re.compile(r"none|url\(.*|#[0-9a-fA-F]{3,8}|\s*[0-9.]+(px)?([\s,]+[0-9.]+(px)?)*\s*")
"""A value that a browser surely takes; beside any other the inherited one counts too."""
_EM = re.compile(r"([0-9]+|[0-9]*\.[0-9]+)(em|ex|rem|%)")
_LARGEST = 48
"""Pixels of the sizes that have names."""


@dataclass(slots=True)
class _Cost:
    """Of what is drawn at once: the picture, or a definition each time that it is used."""

    fixed: float = 0
    large: float = 0
    """More, were it as large as the picture."""
    outlines: int = 0
    """Of shapes; what is no plain rectangle counts twice."""
    stops: int = 0
    name: str = ""
    size: float = 1
    """Of a tile's or marker's side against the picture's, before it is stretched for a use; inf: not known."""
    own_region: bool = False
    after: str = ""
    """The gradient whose stops it takes."""


@dataclass(slots=True)
class _Frame:
    """An open element."""

    name: str
    said: Mapping[str, list[str]]
    matrix: Matrix | None
    """None: not understood, so that all in it is as large as the picture."""
    inherited: dict[str, tuple[str, ...]]
    cost: _Cost
    letters: float
    """The size of its font."""
    layers: int = 0
    """Elements around it that are drawn apart: each costs more inside of others."""
    box: Box | None = None
    """What it draws, in the picture's units."""


@dataclass(slots=True)
class _Use:
    kind: str
    id: str
    times: int
    extent: float
    """How much of the picture is painted with it; of a marker how far it is stretched."""
    stretched: float = 1
    layers: int = 0
    """Those around it."""


class Drawing:
    """Adds up an SVG whose elements come in order, as they are written: without anything else than known names."""

    def __init__(self) -> None:
        self._picture = _Cost()
        self._defined: dict[str, _Cost] = {}
        self._uses: list[_Use] = []
        self._frames: list[_Frame] = []
        self._width, self._height = 300.0, 150.0
        self._stops = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element."""
        said: dict[str, list[str]] = defaultdict(list)
        for key, value in attributes.items():
            declared = [each.partition(":")[::2] for each in value.split(";")] if key == "style" else [(key, value)]
            for each, content in declared:
                said[each].append(content.strip())
        if not self._frames:
            self._measure(attributes)
        above = self._frames[-1] if self._frames else _Frame("", {}, SAME, _INITIAL, self._picture, 16)
        inherited = above.inherited
        if given := said.keys() & _INITIAL.keys():
            inherited = inherited | {prop: _given(said[prop], inherited[prop]) for prop in given}
        cost, matrix = above.cost, above.matrix
        if name in DEFINITIONS | _GRADIENTS:
            cost, matrix = self._definition(name, attributes), SAME
        if "transform" in attributes and matrix is not None:
            own = matrix_of(attributes["transform"])
            matrix = product(matrix, own) if own else None
        frame = _Frame(name, said, matrix, inherited, cost, _font_size(said["font-size"], above.letters), above.layers)
        frame.layers += _is_layered(frame)
        self._frames.append(frame)
        self._picture.fixed += _ELEMENT
        if name in _SHAPES:
            plain = name == "rect" and not attributes.keys() & {"rx", "ry"} and _is_straight(matrix)
            cost.outlines += 1 if plain else 2
            self._shape(frame, shape_of(name, attributes, max(self._width, self._height)))
        elif name in _TEXTS:
            places = sum(len(numbers(value)) for key in ("x", "y", "dx", "dy", "rotate") for value in said[key])
            cost.outlines += 2
            cost.fixed += _TEXT + _PLACE * max(0, places - 4)
        elif name == "stop":
            cost.stops += 1
            self._stops += 1

    def inherits_reference(self, prop: str) -> bool:
        """Whether an element that comes next may inherit one as `prop`."""
        return bool(self._frames and _references(self._frames[-1].inherited[prop]))

    def text(self, characters: int) -> None:
        """Text in the open element."""
        frame = self._frames[-1]
        if frame.name not in _TEXTS:
            return
        size = frame.letters
        scale = self._scale(frame)
        each = min(1.0, (size * scale) ** 2 / self._area)
        weight = _GLYPH
        if "stroke" in self._paints(frame):
            breadth = min(1.0, self._stroke_width(frame) * scale / sqrt(self._area))
            weight += _GLYPH_LINED
            self._paint(frame, 20 * _WIDE * breadth * characters, 1)
        frame.cost.fixed += _CHARACTER * characters
        self._paint(frame, weight * characters, each)
        extent = min(1.0, each * characters)
        frame.box = united(frame.box, self._text_box(frame, size * characters, size))
        self._painted(frame, extent, scale)
        self._dashes(frame, 6 * size * characters, _PAINT * each)

    def end(self) -> None:
        """Of the element that is open."""
        frame = self._frames.pop()
        extent = self._extent(frame, frame.box)
        if any(number(value, 0) < 1 for value in frame.said["opacity"]):
            alone = frame.name in _SHAPES and len(self._paints(frame)) < 2
            self._paint(frame, _PAINT if alone else _LAYER * min(4, frame.layers), extent)
        for kind in ("mask", "clip-path"):
            for id in _references(frame.said[kind]):
                self._uses.append(_Use(kind, id, 1, extent, 1 if _is_straight(frame.matrix) else inf, frame.layers))
        if self._frames and self._frames[-1].cost is frame.cost:
            self._frames[-1].box = united(self._frames[-1].box, frame.box)

    def total(self) -> float:
        """Microseconds of all."""
        chained = any(self._chain(made) > _CHAIN for made in self._defined.values())
        return inf if chained else self._picture.fixed + sum(map(self._use, self._uses))

    @property
    def least(self) -> float:
        """Microseconds of what is known so far."""
        return self._picture.fixed

    @property
    def _area(self) -> float:
        return self._width * self._height

    def _measure(self, attributes: Mapping[str, str]) -> None:
        view = numbers(attributes.get("viewBox", ""))
        width, height = (number(attributes.get(key, ""), 0) for key in ("width", "height"))
        width, height = view[2:] if len(view) == 4 else (width, height)
        self._width, self._height = width if width > 0 else 300, height if height > 0 else 150

    def _definition(self, name: str, attributes: Mapping[str, str]) -> _Cost:
        cost = _Cost(name=name)
        cost.own_region = bool(attributes.keys() & {"x", "y", "width", "height", "maskUnits"})
        if name == "marker":
            sides = [number(attributes.get(key, "3"), inf) for key in ("markerWidth", "markerHeight")]
            cost.size = max(sides) / sqrt(self._area)
        elif name == "pattern":
            own = matrix_of(attributes.get("patternTransform", ""))
            plain = attributes.get("patternUnits") == "userSpaceOnUse" and own and "viewBox" not in attributes
            sides = [number(attributes.get(key, ""), inf) for key in ("width", "height")]
            plain = plain and attributes.get("patternContentUnits", "userSpaceOnUse") == "userSpaceOnUse"
            cost.size = max(sides) * stretch(own or SAME) / sqrt(self._area) if plain else inf
        elif name in _GRADIENTS:
            cost.after = attributes.get("href", "")[1:]
        first = self._defined.setdefault(attributes.get("id", ""), cost)
        if first is not cost:  # two of one id: a browser takes one of them, so both together are no less
            first.size, first.own_region, first.after = inf, True, first.after or cost.after
            first.name = first.name if first.name == name else "any"
        return first

    def _shape(self, frame: _Frame, shape: Shape) -> None:
        if shape.box is None:
            return
        frame.cost.fixed += _DRAWN
        scale, side = self._scale(frame), sqrt(self._area)
        lines = sum(min(_LONGEST, length * scale / side) for length in shape.lines)
        curves = sum(min(_LONGEST, length * scale / side) for length in shape.curves)
        if frame.cost is not self._picture:
            lines, curves = len(shape.lines), len(shape.curves)
        segments = len(shape.lines) + len(shape.curves)
        outline = 0.0 if segments == 4 else _LINE * len(shape.lines) + _CURVE * len(shape.curves)
        frame.cost.fixed += outline
        paints = self._paints(frame)
        box = shape.box
        if "stroke" in paints:
            width = self._stroke_width(frame)
            miter = max(number(value, inf) for value in frame.inherited["stroke-miterlimit"])
            box = grown(box, width * max(1, miter) / 2)
            frame.cost.fixed += outline
            share = min(1.0, (lines + curves) * width * scale / side)
            self._paint(frame, _LINED * lines + _CURVED * curves + _PAINT * share, 1)
            breadth = min(1.0, width * scale / side)
            self._paint(frame, _WIDE * (len(shape.lines) + 4 * len(shape.curves)) * breadth, 1)
            self._dashes(frame, sum(shape.lines) + sum(shape.curves), _PAINT * breadth)
        frame.box = placed(box, frame.matrix) if frame.matrix else EVERYTHING
        extent = self._extent(frame, frame.box)
        if "fill" in paints and segments > 1:
            self._paint(frame, _EDGE * curves, 1)
            self._paint(frame, _PAINT, extent)
        self._painted(frame, extent, scale)
        self._markers(frame, segments, scale)

    def _text_box(self, frame: _Frame, width: float, size: float) -> Box:
        """Where it may stand: its place is said by itself or what is around it."""
        at = next((each for each in reversed(self._frames) if each.said.get("x") or each.name == "text"), frame)
        places = [numbers(value) for key in ("x", "y", "dx", "dy") for value in at.said.get(key, ())]
        if frame.matrix is None or any(len(each) != 1 for each in places) or "letter-spacing" in frame.said:
            return EVERYTHING
        x, y = (number((at.said.get(key) or ["0"])[0], inf) for key in ("x", "y"))
        return placed((x - width, y - 2 * size, x + width, y + 2 * size), frame.matrix)

    def _painted(self, frame: _Frame, extent: float, scale: float) -> None:
        for id in _references([*frame.inherited["fill"], *frame.inherited["stroke"]]):
            self._uses.append(_Use("paint", id, 1, extent, scale))

    def _markers(self, frame: _Frame, segments: int, scale: float) -> None:
        width = self._stroke_width(frame)
        for prop in ("marker-start", "marker-mid", "marker-end"):
            for id in _references(frame.inherited[prop]):
                times = segments + 1 if prop == "marker-mid" else 1
                self._uses.append(_Use(prop, id, times, 1, scale * max(1, width)))

    def _dashes(self, frame: _Frame, length: float, each: float = _PAINT) -> None:
        if "stroke" not in self._paints(frame):
            return
        for value in frame.inherited["stroke-dasharray"]:
            dashes = [abs(number(each, 1e-9)) for each in re.split(r"[\s,]+", value) if each]
            if value != "none" and (mean := sum(dashes) / max(1, len(dashes))):
                frame.cost.fixed += (_DASH + each) * min(1e9, length / mean)

    def _paints(self, frame: _Frame) -> set[str]:
        return {prop for prop in ("fill", "stroke") if set(frame.inherited[prop]) - {"none"}}

    def _paint(self, frame: _Frame, weight: float, extent: float) -> None:
        if frame.cost is self._picture:
            frame.cost.fixed += weight * extent
        else:
            frame.cost.large += weight

    def _stroke_width(self, frame: _Frame) -> float:
        whole = max(self._width, self._height)
        return max(number(value, inf, whole) for value in frame.inherited["stroke-width"])

    def _scale(self, frame: _Frame) -> float:
        return stretch(frame.matrix) if frame.matrix else inf

    def _extent(self, frame: _Frame, box: Box | None) -> float:
        """How much of the picture it may cover."""
        if box is None:
            return 0.0
        if frame.cost is not self._picture:
            return 1.0
        return min(1.0, (box[2] - box[0]) / self._width) * min(1.0, (box[3] - box[1]) / self._height)

    def _use(self, use: _Use) -> float:
        made = self._defined.get(use.id)
        if made is None:
            return 0.0
        side = min(1.0, made.size * use.stretched)
        match made.name:
            case "marker":
                each = made.fixed + made.large * side
            case "mask":
                each = (
                    4 * _USE
                    + made.fixed
                    + (_MASK * min(4, use.layers) + made.large) * (1.0 if made.own_region else use.extent)
                )
            case "clipPath":
                if made.outlines == 1 and use.stretched == 1:
                    return _DRAWN * use.times  # a rectangle as it lies clips by itself
                each = _CLIP + made.fixed + made.large
            case "pattern":
                each = made.fixed + _TILES * use.extent + _TILE * side * side + made.large * side
            case "linearGradient" | "radialGradient":
                each = _GRADIENT * use.extent + _STOP * (self._stops if made.after else made.stops)
            case _:
                each = made.fixed + made.large + _LAYER + _TILE + _TILES + _STOP * self._stops
        return use.times * (_USE + each)

    def _chain(self, made: _Cost) -> int:
        length = 0
        while made.after and length <= _CHAIN:
            made = self._defined.get(made.after, _Cost())
            length += 1
        return length


def _is_layered(frame: _Frame) -> bool:
    return bool(frame.said["opacity"] or frame.said["mask"]) and any(
        value.startswith("url") or number(value, 0) < 1 for value in frame.said["opacity"] + frame.said["mask"]
    )


def _is_straight(matrix: Matrix | None) -> bool:
    return matrix is not None and matrix[1] == matrix[2] == 0


def _given(own: list[str], inherited: tuple[str, ...]) -> tuple[str, ...]:
    """The values of an inherited property that may hold."""
    return tuple(own) if any(map(_SURE.fullmatch, own)) else (*own, *inherited)


def _font_size(own: list[str], inherited: float) -> float:
    sizes = []
    for value in own:
        if found := _EM.fullmatch(value):
            sizes.append(float(found[1]) * max(16, inherited) / (100 if found[2] == "%" else 1))
        else:
            sizes.append(number(value, max(_LARGEST, 1.5 * inherited) if value.replace("-", "").isalpha() else inf))
    return max(sizes, default=inherited)


def _references(values: Iterable[str]) -> set[str]:
    return {value[5:-1] for value in values if value.startswith("url(#")}
