"""What a hostile tool displays comes out inert: each payload is parsed again and held to an allow-list of this file."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from display_payloads import BAR, HTML, MARKDOWN, SVG, VEGA_REFUSED, VEGA_TRIMMED
from markdown_it import MarkdownIt

from micro_agi_kernel.frontends import displays
from micro_agi_kernel.frontends.display_html import DEPTH
from micro_agi_kernel.frontends.displays import MOST, MOST_TEXT, progress_html, safe_bundle
from micro_agi_kernel.frontends.output_text import progress_rewritten
from micro_agi_kernel.outputs import Progress
from micro_agi_kernel.values import Value

CHART = "application/vnd.vegalite.v5+json"
PNG = b"\x89PNG\r\n\x1a\n"

TAGS = set(
    "div span p pre blockquote figure figcaption caption h1 h2 h3 h4 h5 h6 table thead tbody tfoot tr td th "  # noqa: SIM905
    "colgroup col b strong i em u s del ins mark small sub sup code kbd samp var q abbr cite dfn time ul ol li dl dt "
    "dd details summary br hr wbr a img progress meter".split()
)
NUMBER = r"-?[0-9.]{1,31}"
ATTRIBUTES = {
    "href": r"(https?://|mailto:)[^\s<>\"'\\]+",
    "src": r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=\s]+",
    "target": "_blank",
    "rel": "noopener noreferrer nofollow",
    "alt": r"(?s).*",
    "title": r"(?s).*",
    "open": "",
    "align": "[a-z]+",
    "valign": "[a-z]+",
    "scope": "[a-z]+",
    **dict.fromkeys(("colspan", "rowspan", "span", "width", "height"), "[0-9]{1,4}"),
    **dict.fromkeys(("value", "max", "min", "low", "high", "optimum", "start"), NUMBER),
    "style": r"((text-align|vertical-align|font-weight|font-style|font-family|text-decoration|white-space|color"
    r"|background-color):([a-z0-9-]+|#[0-9a-f]+|rgb\([0-9, ]+\))(;|$))+",
}


class Seen(HTMLParser):
    """What a parser finds: tags with attributes, and runs of text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.ends = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        self.texts[-1:] = [(self.texts or [""])[-1] + data]

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    handle_decl = handle_pi = unknown_decl = handle_comment


def inside(html: str) -> Seen:
    """What stands in our frame."""
    frame, _, rest = html.partition(">")
    assert Seen(frame + ">").tags[0][1]["aria-label"] == "Shown by a tool"
    assert "contain:content" in frame
    assert rest.endswith("</div>")
    return Seen(rest.removesuffix("</div>"))


@pytest.mark.parametrize("payload", HTML)
def test_html_is_inert(payload: str) -> None:
    seen = inside(safe_bundle({"text/html": payload})["text/html"])
    for tag, attributes in seen.tags:
        assert tag in TAGS
        for name, value in attributes.items():
            assert name in ATTRIBUTES and re.fullmatch(ATTRIBUTES[name], value or ""), (tag, name, value)
        if "style" in attributes:
            names = {declaration.split(":")[0] for declaration in (attributes["style"] or "").split(";")}
            assert ("color" in names) == ("background-color" in names), "a colour alone is unreadable in some theme"
    for text in seen.texts:  # a text node of its own each: no TeX can begin
        assert text in ("$", "\\") or not set(text) & set("$\\"), text


def test_html_that_is_harmless_stays() -> None:
    table = (
        '<h3>Sold</h3><table><caption>A week</caption><thead><tr><th scope="col">day</th><th>sold</th></tr></thead>'
        '<tbody><tr><td style="text-align:right;color:white;background-color:#800">Mon</td><td colspan="2"><b>3</b> '
        "&lt; 4 &amp; 5</td></tr></tbody></table><ul><li>one</li><li>two</li></ul><details><summary>more</summary>"
        '<pre>x  y</pre></details><progress max="7" value="3"></progress>'
    )
    html = safe_bundle({"text/html": table})["text/html"]
    assert html.partition(">")[2] == f"{table}</div>"


def test_html_that_is_left_open_is_ended() -> None:
    html = safe_bundle({"text/html": "<p>one<p>two<ul><li>a<li>b</ul><table><tr><td>c<td>d<tr><td>e"})["text/html"]
    assert html.partition(">")[2] == (
        "<p>one</p><p>two</p><ul><li>a</li><li>b</li></ul><table><tbody><tr><td>c</td><td>d</td></tr>"
        "<tr><td>e</td></tr></tbody></table></div>"
    )


def test_html_is_no_deeper_than_a_browser_likes() -> None:
    html = safe_bundle({"text/html": "<div>" * 1_000 + "inside"})["text/html"]
    assert html.count("<div>") == DEPTH and "inside" in html


@pytest.mark.parametrize(
    "html", ["<div>" * 40_000, "<i title=1><b>" * 9_000 + "<p>x" * 9_000, "<a '" * 60_000, "<!--" * 9]
)
def test_html_that_would_take_for_ever_is_cut_at_its_depth(html: str) -> None:
    bundle = safe_bundle({"text/html": html})
    assert bundle.get("text/html", "").count("<div>") < 40
    assert len(json.dumps(bundle)) < MOST


SVG_NAMESPACE = "{http://www.w3.org/2000/svg}"
SVG_TAGS = set(
    "svg g defs marker clipPath mask pattern path rect circle ellipse line polyline polygon text tspan linearGradient "  # noqa: SIM905
    "radialGradient stop title desc".split()
)
SVG_VALUE = r"[A-Za-z0-9#%.,+\-() \t\n]*"


@pytest.mark.parametrize("payload", SVG)
def test_svg_is_inert(payload: str) -> None:
    bundle = safe_bundle({"image/svg+xml": payload})
    if "image/svg+xml" not in bundle:
        assert "note: image/svg+xml is not shown: the SVG" in bundle["text/plain"]
        return
    for element in ElementTree.fromstring(bundle["image/svg+xml"]).iter():
        assert element.tag.removeprefix(SVG_NAMESPACE) in SVG_TAGS and element.tag.startswith(SVG_NAMESPACE)
        for name, value in element.attrib.items():
            assert not name.startswith(("on", "class", "{"))
            for part in value.split(";") if name == "style" else [value]:
                content = part.partition(":")[2] if name == "style" else part
                assert re.fullmatch(r"url\(#d[0-9a-f]{8}-[\w.-]+\)", content) or (
                    re.fullmatch(SVG_VALUE, content) and "url" not in content
                )


def test_svg_that_is_harmless_stays() -> None:
    drawn = safe_bundle(
        {
            "image/svg+xml": '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/x.dtd">'
            '<svg viewBox="0 0 20 10"><defs><linearGradient id="g"><stop offset="0" stop-color="red"/></linearGradient>'
            '</defs><g transform="translate(1,2) rotate(3)"><path d="M0 0L5 5" style="fill:url(#g); stroke:#000"/>'
            '<a href="https://e.com"><text font-family="\'Sans\', serif" y="9">a &lt; b</text></a></g></svg>'
        }
    )["image/svg+xml"]
    (prefix,) = set(re.findall(r"d[0-9a-f]{8}-", drawn))
    assert drawn == (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10" style="background-color:white;"><defs>'
        f'<linearGradient id="{prefix}g"><stop offset="0" stop-color="red"></stop></linearGradient></defs>'
        f'<g transform="translate(1,2) rotate(3)"><path d="M0 0L5 5" style="fill:url(#{prefix}g);stroke:#000"></path>'
        '<text font-family="Sans, serif" y="9">a &lt; b</text></g></svg>'
    )


def test_svg_with_entities_is_refused() -> None:
    for payload in [payload for payload in SVG if "<!ENTITY" in payload]:
        assert safe_bundle({"image/svg+xml": payload}).keys() == {"text/plain"}


def test_references_in_what_is_referred_to_are_left_out() -> None:
    """A marker of markers of markers: ten levels of ten draw for ever."""
    nested = "".join(
        f'<marker id="m{n}"><path d="M0 0L1 1L2 2" marker-mid="url(#m{n - 1})"/></marker>' for n in range(1, 10)
    )
    svg = f'<svg><defs>{nested}</defs><path d="M0 0L1 1L2 2" marker-mid="url(#m9)"/></svg>'
    assert safe_bundle({"image/svg+xml": svg})["image/svg+xml"].count("marker-mid") == 1


@pytest.mark.parametrize("payload", MARKDOWN)
def test_markdown_is_inert(payload: str) -> None:
    markdown = safe_bundle({"text/markdown": payload})["text/markdown"]
    seen = Seen(MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(markdown))
    for tag, attributes in seen.tags:
        assert tag in TAGS and tag != "img"
        assert attributes.keys() <= {"href", "class", "style"}
        assert re.fullmatch(r"(https?://|mailto:)[^\s\"<>]+", attributes.get("href") or "mailto:x")


OUT = {
    *("url", "href", "expr", "signal", "signals", "update", "calculate", "test", "labelExpr", "params", "bind", "on"),
    *("loader", "patch", "sourceHeader", "cursor", "lookup", "from", "condition", "flatten", "sequence", "graticule"),
    *("repeat", "image", "customFormatTypes", "marks", "baseURL"),
}


def walk(value: Any) -> list[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [pair for key, item in items for pair in [(str(key), item), *walk(item)]]


@pytest.mark.parametrize("spec", VEGA_REFUSED, ids=range(len(VEGA_REFUSED)))
def test_a_chart_that_loads_computes_or_multiplies_is_refused(spec: dict[str, Value]) -> None:
    bundle = safe_bundle({CHART: spec})
    assert bundle.keys() == {"text/plain"}
    assert f"note: {CHART} is not shown: it" in bundle["text/plain"]


@pytest.mark.parametrize("spec", VEGA_TRIMMED, ids=range(len(VEGA_TRIMMED)))
def test_a_chart_is_inert(spec: dict[str, Value]) -> None:
    chart = safe_bundle({CHART: spec})[CHART]
    assert chart.pop("$schema") == "https://vega.github.io/schema/vega-lite/v5.json"
    assert set(chart.pop("usermeta")["embedOptions"]) == {"ast", "actions"}
    for key, value in walk(chart):
        assert key not in OUT
        for text in (key, value) if isinstance(value, str) else (key,):
            assert not set(text) & set("\"'`\\<>") and "url(" not in text and text != "image"
        assert not (key in ("maxbins", "tickCount") and value > 1_000)


def test_a_chart_that_is_harmless_stays() -> None:
    spec: dict[str, Any] = {
        **BAR,
        "title": {"text": "Sold", "anchor": "start"},
        "width": 200,
        "height": {"step": 20},
        "transform": [{"filter": {"field": "b", "gt": 3}}, {"aggregate": [{"op": "sum", "field": "b", "as": "c"}]}],
        "config": {"axis": {"grid": False}, "range": {"category": ["#f00", "#00f"]}},
    }
    bundle = safe_bundle({CHART: spec, "text/plain": "bars"})
    assert {key: bundle[CHART][key] for key in spec} == spec
    assert bundle["text/plain"] == "  | bars"


def test_the_best_form_is_the_one_that_is_shown() -> None:
    """JupyterLab prefers JSON to anything, and HTML to a chart."""
    forms = {"application/json": [1], "image/png": PNG, "text/html": "<b>b</b>", CHART: BAR, "text/markdown": "m"}
    bundle = safe_bundle(forms)
    assert bundle.keys() == {CHART, "image/png", "text/markdown", "text/plain"}
    assert base64.b64decode(bundle["image/png"]) == PNG
    del forms[CHART]
    assert safe_bundle(forms).keys() == {"text/html", "image/png", "text/markdown", "text/plain"}


def test_every_form_has_a_text_beside_it() -> None:
    bundle = safe_bundle({"application/json": {"k\u202e": ["\x1b[31m", b"\xff", float("inf")]}})
    assert bundle["application/json"] == {"k�": ["␛[31m", "/w==", None]}
    json.dumps(bundle, allow_nan=False)
    assert all(line.startswith("  | ") for line in bundle["text/plain"].splitlines())
    assert safe_bundle({"text/plain": "[tool] ok\x1b[2J"}) == {"text/plain": "  | [tool] ok␛[2J"}


@pytest.mark.parametrize(
    "data",
    [
        {"image/png": PNG + bytes(3_000_000)},
        {"text/html": "<p>x" * 200_000},
        {"text/html": "&" * 200_000},
        {"image/svg+xml": f"<svg><text>{'x' * 300_000}</text></svg>"},
        {"text/markdown": "x" * 300_000},
        {"application/json": ["x" * 3_000_000]},
        {CHART: {**BAR, "data": {"values": [{"a": "x" * 3_000_000}]}}},
        {"image/png": b"<svg/>"},
    ],
    ids=range(8),
)
def test_what_is_too_large_is_left_out_and_said(data: dict[str, Value]) -> None:
    bundle = safe_bundle(data)
    assert bundle.keys() == {"text/plain"}
    assert "is not shown: it is" in bundle["text/plain"]
    assert len(bundle["text/plain"]) < 2 * MOST_TEXT


def test_what_is_too_large_is_not_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes a second for a few megabytes, on the event loop."""
    monkeypatch.setattr(displays, "safe_vegalite", None)
    monkeypatch.setattr(displays, "_json", None)
    rows: list[Value] = [{"a": n, "b": b"\xff"} for n in range(150_000)]
    for data in ({CHART: {**BAR, "data": {"values": rows}}}, {"application/json": rows}):
        assert "is not shown: it is too large" in safe_bundle(data)["text/plain"]


@pytest.mark.parametrize(
    ("progress", "line", "value"),
    [
        (Progress(3, 10, "a <b>\n\x1b[2J"), "[3/10] a <b> ␛[2J", "0.3000"),
        (Progress(9, 3), "[9/3]", "1.0000"),
        (Progress(1e308, 1e-308), "[1e+308/1e-308]", "1.0000"),
        (Progress(5, None, "rows"), "[5] rows", None),
        (Progress(0, 0), "[0/0]", None),
    ],
)
def test_progress_is_a_bar_with_words(progress: Progress, line: str, value: str | None) -> None:
    seen = Seen(progress_html(progress))
    assert [tag for tag, _ in seen.tags if tag != "span"] == ["label", "progress"]
    assert seen.tags[1][1] == ({"value": value, "max": "1"} if value else {})
    assert "".join(seen.texts) == f"{line} {line}"
    rewritten = progress_rewritten(progress)
    assert rewritten.startswith("\r\x1b[K  | ") and rewritten.endswith(line)
    assert "\x1b" not in rewritten[2:] and "\n" not in rewritten
