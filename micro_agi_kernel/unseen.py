"""The characters that control, or that show nothing and could hide words: one rule for what is shown or committed."""

from __future__ import annotations

import re

CONTROLS = frozenset({*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000)} - {*map(ord, "\t\n")})
"""Code points of controls (C0 and C1), of Unicode's separators of lines, and of lone surrogates; not of \\t and \\n."""

_IGNORED = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt), and U+FFF9-FFFB: joiners, soft hyphens, marks of
direction, variation selectors, fillers, tags, with what is kept free for more of them."""

_SHOWN = rf"[^\x00-\x9f\ud800-\udfff\ufffd{_IGNORED}]"
"""One character beyond ASCII that shows something."""

_KEPT = (
    rf"(?<={_SHOWN})[\ufe0e\ufe0f]"
    r"|(?<=[0-9#*])\ufe0f(?=\u20e3)"
    rf"|(?:(?<={_SHOWN})|(?<={_SHOWN}\ufe0f))[\u200c\u200d](?={_SHOWN})"
)

UNSEEN = re.compile(rf"(?!{_KEPT})[{_IGNORED}]")
"""One of them, but for what writing needs: a single joiner (U+200C, U+200D) between two characters beyond ASCII, as in
Persian, Hindi and emoji, and a single U+FE0E or U+FE0F behind such a character or in a keycap."""

OPEN_END = re.compile(rf"\r?\Z|(?:{_SHOWN}\ufe0f?[\u200c\u200d]){{0,8}}(?:{_SHOWN}\ufe0f?|[0-9#*]\ufe0f\u20e3?)?\Z")
"""The end of a piece of text whose reading may change by what comes next; it may be empty."""
