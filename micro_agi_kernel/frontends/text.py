"""Makes hostile text safe wherever plain text is shown: no terminal escapes, no hidden directions."""

from __future__ import annotations

_CONTROL_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {0x7F: 0x2421}
_BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_UNSHOWN = dict.fromkeys([*range(0x80, 0xA0), *_BIDI, *range(0xD800, 0xE000)], 0xFFFD)
_LINE_SEPARATORS = {0x2028: 0x2424, 0x2029: 0x2424}
_PLAIN = _CONTROL_PICTURES | _UNSHOWN | _LINE_SEPARATORS


def plain(text: str) -> str:
    """`text` for a place that shows plain text: a terminal, a stream, text/plain.

    Only \\n and \\r\\n end a line. Other control characters become their pictures (ESC is ␛, a lone CR ␍), and so do
    Unicode's separators of lines (␤); C1 controls, bidirectional controls and lone surrogates become U+FFFD.
    """
    return text.replace("\r\n", "\n").translate(_PLAIN)


def one_line(text: str) -> str:
    """`plain(text)` on one line, for status and error lines."""
    return " ".join(plain(text).split())
