"""How large the shapes of an SVG are: extents, segments and lengths, never less than what a browser draws.

Numbers are in the units of the shape. A value that is not understood has the extent of everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import cos, hypot, inf, isfinite, pi, radians, sin, sqrt, tan
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Matrix: TypeAlias = tuple[float, float, float, float, float, float]
Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom."""

SAME: Matrix = (1, 0, 0, 1, 0, 0)
EVERYTHING: Box = (-inf, -inf, inf, inf)

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LENGTH = re.compile(r"\s*([+-]?(?:[0-9]+|[0-9]*\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(px|pt|pc|mm|cm|in|%)?\s*")
_UNITS = {"pt": 4 / 3, "pc": 16, "mm": 3.78, "cm": 37.8, "in": 96}
_COMMAND = re.compile("([MmLlHhVvCcSsQqTtAaZz])([^MmLlHhVvCcSsQqTtAaZz]*)")
_TRANSFORM = re.compile(r"[\s,]*([A-Za-z]+)\s*\(([^()]*)\)[\s,]*")
_TAKES = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7}


@dataclass(slots=True)
class Shape:
    """One outline."""

    box: Box | None = None
    lines: list[float] = field(default_factory=list)
    """The length of each straight segment."""
    curves: list[float] = field(default_factory=list)
    """Of each curve, at most."""

    def to(self, start: Point, *points: Point, curve: bool = False) -> None:
        """A segment from `start` over `points`, which hold it."""
        length, at = 0.0, start
        for point in points:
            length += hypot(point[0] - at[0], point[1] - at[1])
            at = point
        (self.curves if curve else self.lines).append(length)
        self.box = united(self.box, around(start, *points))


def number(text: str, otherwise: float, whole: float | None = None) -> float:
    """A length in user units, a percentage that of `whole`; `otherwise` of one in other units, or of none."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        return otherwise
    if found[2] == "%":
        return otherwise if whole is None else float(found[1]) / 100 * whole
    return float(found[1]) * _UNITS.get(found[2], 1)


def numbers(text: str) -> list[float]:
    """All in a list."""
    return [float(each) for each in _NUMBER.findall(text)]


def around(*points: Point) -> Box:
    """The box that holds them."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def united(one: Box | None, other: Box | None) -> Box | None:
    """The box that holds both; None: nothing."""
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def grown(box: Box, by: float) -> Box:
    """The box with a border."""
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def shape_of(name: str, attributes: Mapping[str, str], whole: float) -> Shape:
    """What an element that is a shape draws; `whole`: the longer side of the picture, for percentages."""

    def of(key: str) -> float:
        return number(attributes[key], inf, whole) if key in attributes else 0.0

    shape = Shape()
    match name:
        case "path":
            _path(shape, attributes.get("d", ""))
        case "polyline" | "polygon":
            flat = numbers(attributes.get("points", ""))
            points = list(zip(flat[::2], flat[1::2], strict=False))
            for start, end in zip(points, points[1:] + points[:1], strict=True):
                shape.to(start, end)
        case "line":
            shape.to((of("x1"), of("y1")), (of("x2"), of("y2")))
        case "rect":
            x, y, width, height = of("x"), of("y"), abs(of("width")), abs(of("height"))
            corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
            for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
                shape.to(start, end, curve="rx" in attributes or "ry" in attributes)
        case "circle" | "ellipse":
            rx, ry = (abs(of(key)) for key in (("r", "r") if name == "circle" else ("rx", "ry")))
            # A radius that is not given is the other one.
            rx, ry = (max(rx, ry), max(rx, ry)) if name == "ellipse" and 0 in (rx, ry) else (rx, ry)
            x, y = of("cx"), of("cy")
            shape.curves = [pi / 2 * max(rx, ry)] * 4
            shape.box = (x - rx, y - ry, x + rx, y + ry)
    return shape


def _path(shape: Shape, d: str) -> None:
    at = start = last = (0.0, 0.0)
    for found in _COMMAND.finditer(d):
        letter, command = found[1], found[1].upper()
        if command == "Z":
            shape.to(at, start)
            at = last = start
            continue
        for n, given in enumerate(_groups(shape, found[2], command)):
            base = at if letter.islower() else (0.0, 0.0)
            if command in "HV":
                moved = base[0] + given[0] if command == "H" else base[1] + given[0]
                points = [(moved, at[1]) if command == "H" else (at[0], moved)]
            elif command == "A":
                points = [(base[0] + given[5], base[1] + given[6])]
            else:
                points = [(base[0] + x, base[1] + y) for x, y in zip(given[::2], given[1::2], strict=True)]
            end = points[-1]
            if command in "ST":
                points.insert(0, (2 * at[0] - last[0], 2 * at[1] - last[1]))
            if command == "A":
                radius = max(abs(given[0]), abs(given[1]), hypot(end[0] - at[0], end[1] - at[1]))
                shape.curves.append(2 * pi * radius)
                holds = [(x + s * 2 * radius, y + s * 2 * radius) for x, y in (at, end) for s in (-1, 1)]
                shape.box = united(shape.box, around(*holds))
            elif command == "M" and n == 0:
                start = end
                shape.to(end, end)
            else:
                shape.to(at, *points, curve=command in "CSQT")
            at, last = end, points[-2] if command in "CSQT" else end


def _groups(shape: Shape, text: str, command: str) -> Iterator[list[float]]:
    flat, takes = numbers(text), _TAKES[command]
    if command == "A" and len(flat) % takes:  # flags without spaces between them
        shape.box = EVERYTHING
        shape.curves += [inf] * len(flat)
        return
    for n in range(0, len(flat) - takes + 1, takes):
        yield flat[n : n + takes]


def matrix_of(text: str) -> Matrix | None:
    """A list of transforms; None: it is not understood."""
    made, place = SAME, 0
    while place < len(text.rstrip()):
        found = _TRANSFORM.match(text, place)
        one = _one(found[1], numbers(found[2])) if found else None
        if found is None or one is None:
            return None
        made, place = product(made, one), found.end()
    return made


def _one(name: str, given: list[float]) -> Matrix | None:
    match name, given:
        case "translate", [x, *rest]:
            return 1, 0, 0, 1, x, (rest or [0])[0]
        case "scale", [x, *rest]:
            return x, 0, 0, (rest or [x])[0], 0, 0
        case "rotate", [angle, *centre]:
            c, s = cos(radians(angle)), sin(radians(angle))
            x, y = centre if len(centre) == 2 else (0.0, 0.0)
            return c, s, -s, c, x - c * x + s * y, y - s * x - c * y
        case "skewX", [angle]:
            return 1, 0, tan(radians(angle)), 1, 0, 0
        case "skewY", [angle]:
            return 1, tan(radians(angle)), 0, 1, 0, 0
        case "matrix", [a, b, c, d, e, f]:
            return a, b, c, d, e, f
    return None


def product(one: Matrix, other: Matrix) -> Matrix:
    """First `other`, then `one`."""
    a, b, c, d, e, f = one
    p, q, r, s, t, u = other
    return a * p + c * q, b * p + d * q, a * r + c * s, b * r + d * s, a * t + c * u + e, b * t + d * u + f


def stretch(matrix: Matrix) -> float:
    """How much longer a line may become."""
    a, b, c, d, _, _ = matrix
    if not all(map(isfinite, matrix)):
        return inf
    squares, area = a * a + b * b + c * c + d * d, a * d - b * c
    return sqrt((squares + sqrt(max(0.0, squares * squares - 4 * area * area))) / 2)


def placed(box: Box, matrix: Matrix) -> Box:
    """The box that holds `box` where `matrix` puts it."""
    if not all(map(isfinite, (*box, *matrix))):
        return EVERYTHING
    a, b, c, d, e, f = matrix
    return around(*((a * x + c * y + e, b * x + d * y + f) for x in box[::2] for y in box[1::2]))
