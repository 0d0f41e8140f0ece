"""What HTML and SVG must not hold when a notebook shows them."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class _Markup(HTMLParser):
    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in (
            "script",
            "style",
            "iframe",
            "object",
            "embed",
            "foreignobject",
            "base",
            "meta",
            "link",
            "form",
        )
        for name, value in attributes:
            assert not name.startswith("on") and name not in ("srcdoc", "action", "formaction"), (tag, name)
            if name in ("href", "src", "xlink:href"):
                assert re.match(r"#|https?:|mailto:|data:image/(png|jpeg);", value or ""), value


def check_markup(made: str) -> None:
    """Nothing in it runs or loads; what only looks so, as escaped text, may stand there."""
    parser = _Markup()
    parser.feed(made)
    parser.close()
