"""An SVG that would hold a page for long is refused; charts as people draw them are not."""

from __future__ import annotations

import pytest

from micro_agi_kernel.frontends.display_svg import UnsafeSvg, safe_svg


def picture(inside: str, more: str = 'width="1000" height="1000"') -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {more}>{inside}</svg>'


def big(more: str) -> str:
    return f'<circle r="999" {more}/>'


def wide(more: str) -> str:
    return f'<path d="M0 0l999 999l-999-9" fill="none" {more}/>'


RECT = '<rect width="9" height="9"/>'
MANY = f'<marker id="m">{RECT * 1000}</marker>'
TILE = '<pattern id="p" width="8" height="8" patternUnits="userSpaceOnUse"><path d="M0 8L8 0" stroke="red"/></pattern>'
GRADIENT = '<radialGradient id="p"><stop/></radialGradient>'
CLIP = '<clipPath id="c"><rect width="900" height="900"/></clipPath>'
SLOW = {
    "markers": f'{MANY}<path marker-mid="url(#m)" d="M0 0{"l1 1-1-1" * 2500}"/>',
    "markers of a group": f'{MANY}<g style="marker-mid:url(#m)"><path d="M0 0{"l1 1" * 5000}"/></g>',
    "markers of a group, beside none": f'{MANY}<g marker-mid="url(#m)"><polyline marker-mid="bogus" '
    f'points="{"1 1 2 2 " * 2500}"/></g>',
    "large markers": '<marker id="m" markerWidth="999" markerHeight="999"><g opacity=".5"><rect width="99" height="9"/>'
    f'</g></marker><path marker-mid="url(#m)" d="M0 0{"l1 1-1-1" * 500}"/>',
    "masks": f'<mask id="m">{RECT}</mask>' + big('mask="url(#m)"') * 200,
    "masks with a region": '<mask id="m" maskUnits="userSpaceOnUse" width="900" height="900"/>'
    + '<circle r="9" mask="url(#m)"/>' * 1000,
    "clips": f'<clipPath id="m">{RECT * 100}</clipPath>' + '<circle r="9" clip-path="url(#m)"/>' * 1000,
    "patterns": TILE + big('fill="url(#p)"') * 200,
    "large tiles": f'<pattern id="p" width="1" height="1">{big("") * 99}</pattern>'
    + '<circle r="9" fill="url(#p)"/>' * 500,
    "gradients": GRADIENT + big('fill="url(#p)"') * 1000,
    "gradients of gradients": "".join(
        f'<linearGradient id="p{n}" href="#p{n + 1}"><stop/></linearGradient>' for n in range(999)
    )
    + '<circle r="9" fill="url(#p0)"/>' * 2000,
    "groups with opacity": f'<g opacity=".5">{big("") * 2}</g>' * 200,
    "groups in groups": ('<g opacity=".9">' * 60 + big("") + "</g>" * 60) * 4,
    "large shapes": big('opacity=".5"') * 5000,
    "scaled shapes": f'<g transform="scale(100)">{RECT * 4000}</g>',
    "dashes": wide('stroke="red" stroke-dasharray=".001"'),
    "dashes of a group": f'<g stroke="red" stroke-dasharray=".5 .5">{wide("") * 200}</g>',
    "dashes in other units": wide('stroke="red" style="stroke-dasharray:1e-6em"'),
    "scaled dashes": '<g transform="scale(1e-6)" stroke="red" stroke-dasharray="1">'
    + f"{wide('').replace('999', '9' * 9)}</g>",
    "curves": f'<path fill="none" stroke="red" d="M0 0{"c999 999-999-9 9 9" * 5000}"/>',
    "letters": '<text y="999" font-size="999" stroke="red">@</text>' * 400,
    "letters in sizes of sizes": '<g font-size="400%">' * 6 + f"<text>{'@' * 1000}</text>" + "</g>" * 6,
}
QUICK = {
    "arrow heads": '<marker id="m" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0L6 3L0 6z"/></marker>'
    + '<line x1="10" y1="20" x2="300" y2="400" stroke="#333" stroke-dasharray="4 2" marker-end="url(#m)"/>' * 300,
    "marked points": '<marker id="m" markerWidth="6" markerHeight="6"><circle cx="3" cy="3" r="2"/></marker>'
    f'<path fill="none" stroke="red" marker-mid="url(#m)" d="M0 0{"L300 200L301 203" * 1000}"/>',
    "a pattern on bars": TILE + '<rect x="9" y="500" width="1" height="400" fill="url(#p)" stroke="#333"/>' * 1000,
    "a clip on points": CLIP + '<circle r="3" cx="9" clip-path="url(#c)"/>' * 5000,
    "a scatter": '<circle cx="512.4" cy="99.1" r="3" fill="#1f77b4" opacity=".5"/>' * 3900,
    "lines": f'<path fill="none" stroke="#1f77b4" stroke-width="1.5" d="M0 500{"L501.2 498.3L502.4 501.9" * 50}"/>'
    * 50,
    "ticks": '<g transform="translate(50,500)" opacity="1"><line y2="6" stroke="#333"/><text dy=".71em">12</text></g>'
    * 500,
    "bubbles": '<g transform="translate(9,9)" opacity=".6"><circle r="30"/><text y="4" font-size="10">name</text></g>'
    * 400,
    "a grid in percent": '<line x2="100%" y1="10" y2="10" stroke="#ccc" stroke-dasharray="2"/>' * 40,
}


@pytest.mark.parametrize("name", SLOW)
def test_what_takes_long_to_draw_is_refused(name: str) -> None:
    with pytest.raises(UnsafeSvg, match="too long to draw"):
        safe_svg(picture(SLOW[name]))


@pytest.mark.parametrize("name", QUICK)
def test_charts_are_drawn(name: str) -> None:
    safe_svg(picture(QUICK[name]))
    safe_svg(picture(QUICK[name], 'viewBox="0 0 1000 1000"'))


def test_a_definition_inherits_no_reference() -> None:
    """Else a marker has markers, whose own have others."""
    drawn = safe_svg(
        picture(
            '<g marker-mid="url(#a)" fill="url(#p)"><marker id="b" marker-mid="url(#b)"><path d="M0 0L1 1"'
            ' marker-mid="inherit" style="fill:context-fill"/></marker></g><path marker-mid="url(#b)" d="M0 0L1 1"/>'
        )
    )
    marker = drawn[drawn.index("<marker") : drawn.index("</marker>")]
    assert "url(" not in marker and "inherit" not in marker and "context" not in marker
    assert 'marker-mid="none"' in marker and 'fill="black"' in marker
