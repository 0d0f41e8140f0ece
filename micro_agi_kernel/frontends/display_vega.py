"""Makes a Vega-Lite chart that a tool displays inert: known keys only, with its data in it, and no expressions.

Vega compiles expressions to JavaScript, follows addresses, and can multiply a few rows without end; and what draws it
reads options of its own from the chart. So a chart that loads or computes is refused rather than drawn wrong; what only
decorates (links, interaction, options) is left out. No quote, backslash or `<` remains in any text, rows included, so
that nothing ends a string of the code or the page that is made of it: look-alikes stand for them, everywhere the same.
"""

from __future__ import annotations

import re
from typing import Any

from micro_agi_kernel.frontends.display_html import words
from micro_agi_kernel.frontends.text import plain
from micro_agi_kernel.values import Value, shorten

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_USERMETA = {
    "embedOptions": {"ast": True, "actions": {"export": True, "source": False, "compiled": False, "editor": False}}
}
"""No expression becomes JavaScript (Vega-Lite itself makes some), and no menu entry sends the chart elsewhere."""

MOST_VIEWS = 50
"""Charts within one; a facet may have as many values."""
MOST_PIXELS = 4_000
"""Of any number that is not of the data, either side of zero, unless another bound is said."""
MOST_AREA = 10_000
"""Of a size, which is an area, and of a scale's range, which may be one: a hundred pixels square."""
MOST_LETTER = 100
"""Of a font's size, in pixels."""
MOST_SCALE = 100_000
"""Of a projection: a town."""
MOST_STEPS = 1_000
"""Bins, ticks."""

_COMPUTES = frozenset({"expr", "signal", "calculate", "labelExpr", "update"})
_LOADS = frozenset({"url", "loader"})
_MULTIPLIES = frozenset({"sequence", "graticule", "sphere", "repeat"})
_TRANSFORMS = words(
    "filter aggregate groupby bin timeUnit field as stack offset sort window frame ignorePeers joinaggregate"
)
_VIEW = (
    "title description width height autosize background padding data datasets mark encoding transform layer "
    "hconcat vconcat concat columns spacing resolve facet spec config projection view bounds align center"
)
_CHANNELS = (
    "x y x2 y2 xOffset yOffset xError yError xError2 yError2 theta theta2 radius radius2 longitude latitude "
    "longitude2 latitude2 color fill stroke opacity fillOpacity strokeOpacity strokeWidth strokeDash size angle "
    "shape text tooltip detail key order row column facet"
)
_DEFINITION = (
    "field type aggregate bin timeUnit axis scale legend header sort stack value datum format formatType "
    "bandPosition band op values domain domainMin domainMax domainMid rangeMin rangeMax scheme name extent "
    "reverse zero nice clamp round paddingInner paddingOuter exponent constant interpolate maxbins anchor binned "
    "unit utc maxsteps argmax argmin"
)
_FILTER = "filter range equal lt lte gt gte oneOf valid and or not"
_LOOK = (
    "orient offset position grid gridColor gridDash gridOpacity gridWidth labels labelAlign labelAngle "
    "labelBaseline labelColor labelFlush labelFont labelFontSize labelFontStyle labelFontWeight labelLimit "
    "labelOffset labelOverlap labelPadding labelSeparation labelLineHeight ticks tickColor tickCount tickDash "
    "tickOffset tickOpacity tickSize tickWidth tickBand tickMinStep minExtent maxExtent domainColor domainDash "
    "domainOpacity domainWidth titleAlign titleAnchor titleAngle titleBaseline titleColor titleFont titleFontSize "
    "titleFontStyle titleFontWeight titleLimit titleLineHeight titleOpacity titleOrient titlePadding titleX "
    "titleY zindex direction columnPadding rowPadding cornerRadius cornerRadiusTopLeft cornerRadiusTopRight "
    "cornerRadiusBottomLeft cornerRadiusBottomRight cornerRadiusEnd fillColor strokeColor symbolFillColor "
    "symbolLimit symbolOffset symbolOpacity symbolSize symbolStrokeColor symbolStrokeWidth symbolType symbolDash "
    "gradientLength gradientThickness gradientOpacity clipHeight legendX legendY subtitle subtitleColor "
    "subtitleFont subtitleFontSize subtitleFontStyle subtitleFontWeight subtitlePadding font fontSize fontStyle "
    "fontWeight lineHeight limit dx dy baseline anchor frame color fill stroke filled point line rule box bars "
    "borders ticks median outliers band discreteBandSize continuousBandSize bandSize thickness innerRadius "
    "outerRadius padAngle tension strokeCap strokeJoin strokeDashOffset strokeMiterLimit blend dir ellipsis "
    "invalid style interpolate content gradient stops x1 y1 r1 r2 xx step contains resize"
)
_CONFIG = (
    "axisX axisY axisLeft axisRight axisTop axisBottom axisBand axisDiscrete axisQuantitative axisTemporal arc "
    "area bar circle square trail tick boxplot errorbar errorband geoshape headerRow headerColumn numberFormat "
    "timeFormat category diverging heatmap ordinal ramp symbol minOpacity maxOpacity minSize maxSize minBandSize "
    "maxBandSize bandPaddingInner bandPaddingOuter barBandPaddingInner rectBandPaddingInner pointPadding "
    "useUnaggregatedDomain continuousWidth continuousHeight discreteWidth discreteHeight countTitle fieldTitle "
    "aria independent shared"
)
_TIME = "year quarter month date week day dayofyear hours minutes seconds milliseconds property feature mesh parse"
_GEO = "center clipAngle clipExtent parallels precision rotate scale translate fraction fit reflectX reflectY"
_KEYS = frozenset(" ".join([_VIEW, _CHANNELS, _DEFINITION, _FILTER, _LOOK, _CONFIG, _TIME, _GEO]).split()) | _TRANSFORMS
_WORDS = frozenset({"type", "aggregate", "op", "timeUnit", "unit", "mark", "invalid", "stack", "interpolate"})
"""Their text is a word of Vega-Lite."""
_WORD = re.compile(r"[A-Za-z0-9_-]{1,60}")
_CAPS = {
    **dict.fromkeys(("maxbins", "tickCount", "maxsteps", "nice"), MOST_STEPS),
    **dict.fromkeys(("size", "range", "rangeMin", "rangeMax", "minSize", "maxSize", "symbolSize"), MOST_AREA),
    "scale": MOST_SCALE,
}
_AT_LEAST_ONE = frozenset({"width", "height", "step", "maxbins", "tickCount"})
_OF_DATA = words(
    "domain domainMin domainMax domainMid datum values equal lt lte gt gte oneOf extent anchor sort tickMinStep "
    "constant"
)
"""Keys whose numbers are on the scale of the data."""
_FILTERS = frozenset({"filter", "and", "or", "not"})
_TEXTS = words("title subtitle text description tooltip detail order key field groupby as name format argmax argmin")
"""Keys whose text, and below which a `value`, stays one that reads as a number."""
_NUMBER = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_BASES = re.compile(r"0[xXoObB][0-9A-Fa-f]+")
_LOOKALIKES = str.maketrans({'"': "″", "'": "’", "`": "ˋ", "\\": "＼", "<": "＜", ">": "＞"})
_URL = re.compile(r"(url|image|image-set|src|attr)\s*\(", re.IGNORECASE)


class RefusedChart(ValueError):
    """It cannot be drawn as it was meant; the message says why, for a person."""


def safe_vegalite(spec: Value) -> tuple[dict[str, Any], list[str]]:
    """The same chart, inert; and the keys that were left out of it. Raises RefusedChart."""
    if not isinstance(spec, dict):
        raise RefusedChart("the chart is no table")
    chart = _Chart()
    made = chart.table(spec, "")
    chart.check()
    return {"$schema": SCHEMA, **made, "usermeta": _USERMETA}, sorted(chart.left_out)


class _Chart:
    def __init__(self) -> None:
        self.left_out: set[str] = set()
        self._rows: list[dict[str, Any]] = []
        self._facets: set[str] = set()
        self._views = 0
        self._dashes = 0
        """Open tables whose key is a dash: in them a `value` and a `range` are dashes too."""

    def check(self) -> None:
        """What is known once all was read."""
        if not self._views:
            raise RefusedChart("it has no mark")
        for name in self._facets:
            if not any(name in row for row in self._rows):
                raise RefusedChart(f"it has a chart for each {shorten(name)}, which is no column of data.values")
            if len({str(row.get(name)) for row in self._rows}) > MOST_VIEWS:
                raise RefusedChart(f"it has more than {MOST_VIEWS} charts, one for each {shorten(name)}")

    def table(self, table: dict[str, Value], parent: str) -> dict[str, Any]:
        """The known keys of a table that stands under the key `parent`."""
        made = {}
        for key, value in table.items():
            if parent in ("data", "") and key in _MULTIPLIES | _LOADS:
                raise RefusedChart(f"it has {key}: a chart shows data.values and nothing else")
            if key in _COMPUTES | _LOADS | _MULTIPLIES:
                raise RefusedChart(f"it uses {key}; compute in Lua, and give the result as data.values")
            if parent == "transform" and key not in _TRANSFORMS:
                raise RefusedChart(f"it changes its data by {shorten(key)}; compute in Lua")
            if key == "mark":
                self._count_view(value)
            if key not in _KEYS or not _fits(key, value, parent):
                if key not in ("$schema", "usermeta"):
                    self.left_out.add(shorten(key))
                continue
            if key in ("row", "column", "facet") and isinstance(value, dict):
                field = value.get("field")
                self._facets |= {safe_text(field)} if isinstance(field, str) else set()
            made[key] = self._value(value, key, parent)
        return made

    def _value(self, value: Value, key: str, parent: str) -> Any:
        if key == "datasets" or (key, parent) == ("values", "data"):
            return self._data(value)
        if key == "parse":
            return safe_rows(value)
        match value:
            case dict():
                dashes = key.endswith("Dash")
                self._dashes += dashes
                made = self.table(value, key)
                self._dashes -= dashes
                return made
            case list():
                return [self._value(item, key, parent) for item in value]
            case str() if key in _FILTERS:
                raise RefusedChart(f"it uses an expression as {key}; compute in Lua")
            case int() | float() if not isinstance(value, bool) and not _of_data(key, parent):
                return self._bounded(value, key)
            case str() if not _of_data(key, parent) and not {key, parent} & _TEXTS:
                number = _number_of(value)  # Vega takes a text for the number that it reads as
                if number is not None and (bounded := self._bounded(number, key)) != number:
                    return bounded
        return safe_rows(value)

    def _bounded(self, number: float, key: str) -> float:
        if key.endswith("Dash") or (self._dashes and key in ("value", "range")):
            least: float = 1  # dashes too fine to see take for ever to draw
        else:
            least = 1 if key in _AT_LEAST_ONE else -MOST_PIXELS
        most = MOST_LETTER if key.lower().endswith("fontsize") else _CAPS.get(key, MOST_PIXELS)
        return max(least, min(number, most))

    def _data(self, value: Value) -> Any:
        if isinstance(value, str):
            raise RefusedChart("its data are text; give rows")
        rows = safe_rows(value)
        for group in [rows, *(rows.values() if isinstance(rows, dict) else ())]:
            self._rows += [row for row in group if isinstance(row, dict)] if isinstance(group, list) else []
        return rows

    def _count_view(self, mark: Value) -> None:
        self._views += 1
        if self._views > MOST_VIEWS:
            raise RefusedChart(f"it has more than {MOST_VIEWS} views")
        if mark == "image" or (isinstance(mark, dict) and mark.get("type") == "image"):
            raise RefusedChart("it draws pictures from addresses")


def _number_of(text: str) -> float | None:
    """What JavaScript makes of it as a number."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    return float("inf") if _BASES.fullmatch(text) else None


def _of_data(key: str, parent: str) -> bool:
    return key in _OF_DATA or (key == "range" and parent in _FILTERS)


def _fits(key: str, value: Value, parent: str) -> bool:
    """Whether a known key may stand here with that value."""
    match key:
        case "name":
            return parent == "data"
        case "step":
            return parent in ("width", "height", "timeUnit")
        case "formatType":
            return value in ("number", "time")
        case "tickCount":
            return isinstance(value, (int, float))
    return key not in _WORDS or not isinstance(value, str) or _WORD.fullmatch(value) is not None


def safe_rows(value: Value) -> Any:
    """`value` with no text in it that code, a page or a style could take for its own; bytes as their number."""
    match value:
        case str():
            return safe_text(value)
        case bytes():
            return f"{len(value):,} bytes"
        case list():
            return [safe_rows(item) for item in value]
        case dict():
            return {safe_text(key): safe_rows(item) for key, item in value.items()}
    return value


def safe_text(text: str) -> str:
    """For one text; `image` too gets another case, since a tooltip would load the picture that a row has there."""
    text = _URL.sub(lambda found: found[0].replace("(", "（"), plain(text).translate(_LOOKALIKES))
    return {"image": "Image", "__proto__": "proto"}.get(text.strip(), text)
