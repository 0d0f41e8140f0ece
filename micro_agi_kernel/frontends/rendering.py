"""Makes hostile Markdown safe to show: no HTML, no scripts, no remote images.

Front ends parse Markdown with different parsers and let raw HTML run (JupyterLab trusts what a kernel
sends), so nothing here depends on how a parser reads the text. What leaves `safe_markdown` has a `<`
in two places only: in `<code>` and `<span>` that we wrote, and inside code fences that we wrote, which
stand at column 0 behind an empty line, are longer than any run of backticks in them, and are the only
runs of three or more backticks or tildes in the text: every parser sees them as the same fences.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape, unescape
from typing import TYPE_CHECKING
from urllib.parse import quote

from micro_agi_kernel.frontends.text import plain
from micro_agi_kernel.markdown_text import entities, fenced

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


def safe_markdown(text: str) -> str:
    """The Markdown `text`, written by a model, as Markdown that cannot run or load anything.

    Raw HTML shows as text, links keep to http, https and mailto, images become links, and TeX macros
    that make links or load things are inert. Amounts are no formula: `$5 and $6`. Code blocks inside lists
    and quotes move out to the left.
    """
    text = plain(text)
    lines = text.split("\n")
    parts: list[str] = []
    done = 0
    for token in _blocks().parse(text):
        if token.type not in ("fence", "code_block") or token.map is None:
            continue
        start, end = token.map
        parts.append(_safe_prose("\n".join(lines[done:start])))
        parts.append(fenced(token.content, _language(token.info)))
        done = end
    parts.append(_safe_prose("\n".join(lines[done:])))
    return "\n\n".join(stripped for part in parts if (stripped := part.strip("\n")))


def last_block(text: str) -> int:
    """Where the last block of Markdown begins in `text` (with \\n as its line ends); 0 when there is but one.

    What stands before it is read the same without it, and will not change when more text follows.
    """
    starts = [token.map[0] for token in _blocks().parse(text) if token.level == 0 and token.map and token.nesting >= 0]
    if not starts or not starts[-1]:
        return 0
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: starts[-1]])


@cache
def _blocks() -> MarkdownIt:
    """Finds code blocks. No HTML blocks and no reference definitions: in our output there are none."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table").disable(["html_block", "reference"])
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


_LANGUAGE = re.compile(r"[A-Za-z0-9_+#.-]{1,30}")


def _language(info: str) -> str:
    """The language of a fence. Mermaid is shown as text: its diagrams may load remote images."""
    words = info.split()
    language = words[0] if words and _LANGUAGE.fullmatch(words[0]) else ""
    return "text" if "mermaid" in language.lower() else language


_DOLLAR = "<span>&#36;</span>"
"""One that begins no formula: front ends look for pairs in the Markdown, and in each run of text of the page."""

_MACRO = re.compile(
    r"(?<!\\)\\+(?=(?:href|url|unicode|require|style|class|cssId|data|html[A-Za-z]*|mmlToken|bbox|csname|includegraphics)"
    r"(?![A-Za-z]))"
)
"""The start of a TeX macro that makes links, loads things or sets attributes."""
_FTP = re.compile(r"(?i:ftp)(?=://)")
"""Some parsers make a link of it unasked, like http."""
_URL = r"(?:https?://|mailto:)[^\s<>()\[\]`\\\"]+(?:\([^\s<>()\[\]`\\\"]*\)[^\s<>()\[\]`\\\"]*)*"
_TITLE = r"""(?: \s+ (?: "[^"\n]*" | '[^'\n]*' ) )? \s* \)"""
_PROSE = re.compile(
    rf"""
      (?P<macro>   {_MACRO.pattern} )
    | (?P<math>    \$\$ [^$`]{{1,2000}} \$\$ | (?<!\$) \$ (?!\s) [^$`]{{1,2000}} (?<![\s\\]) \$ (?![\d$])
                 | \\begin\{{(?P<environment>[a-z]{{1,20}}\*?)\}} [^$`]{{0,2000}}? \\end\{{(?P=environment)\}} )
    | (?P<opener>  \\\\ (?= [()\[\]] ) | \\ (?= begin ) )
    | (?P<dollar>  \\? \$ )
    | (?P<escape>  \\ [\]<`~&\[\\] )
    | (?P<code>    (?<!`) (?P<ticks>`{{1,2}}) (?!`) (?P<content>[^\n]*?[^`\n]) (?P=ticks) (?!`) )
    | (?P<run>     `+ | ~{{3,}} )
    | (?P<auto>    < (?P<autourl>{_URL}) > )
    | (?P<tag>     < )
    | (?P<link>    \]\( \s* <? (?P<url>{_URL}) >? {_TITLE} )
    | (?P<bracket> \] (?= [(:] ) )
    | (?P<image>   ! \[ (?P<alt>[^\[\]\n]*) \]\( \s* <? (?P<src>{_URL}) >? {_TITLE} )
    | (?P<bang>    ! (?= \[ ) )
    | (?P<entity>  & (?: \# (?: \d{{1,7}} | [xX][0-9A-Fa-f]{{1,6}} ) | [A-Za-z][A-Za-z0-9]{{1,31}} ) ; )
    | (?P<ftp>     {_FTP.pattern} )
    """,
    re.VERBOSE,
)
_BEGIN = re.compile(r"\\begin\{([^}]*)\}")
_END = re.compile(r"\\end\{([^}]*)\}")
_MATH_MARK = re.compile(r"\$|\\\\[(\[]|\\begin", re.IGNORECASE)
_PARAGRAPH_BREAK = re.compile(r"(\n[ \t>]*\n)")


def _safe_prose(text: str) -> str:
    """Markdown without code blocks, made safe; code spans and maths do not reach over an empty line."""
    safe = "".join(_PROSE.sub(_safe_piece, paragraph) for paragraph in _PARAGRAPH_BREAK.split(text))
    # JupyterLab lifts formulas out before it parses the Markdown and puts them back into the HTML,
    # inside the attributes of links too: there a quote could end the attribute and begin another.
    return safe.replace('"', "&quot;") if _MATH_MARK.search(safe) else safe


def _safe_piece(match: re.Match[str]) -> str:
    piece = match.group()
    match match.lastgroup:
        case "macro":
            return "＼"  # looks like a backslash and starts no macro, in the source and in the page
        case "escape":
            return piece if piece[1] in "[\\" else entities(piece[1])
        case "dollar":
            return _DOLLAR
        case "code":
            return _code_span(piece, match["content"])
        case "math":
            return _safe_math(piece)
        case "auto":
            return f"[{entities(match['autourl'])}]({_url(match['autourl'])})"
        case "tag":
            return "&lt;"
        case "link":
            return f"]({_url(match['url'])})"
        case "bracket":
            return "&#93;"
        case "image":
            return f"[{entities(match['alt'].strip() or match['src'])}]({_url(match['src'])})"
        case "entity":
            shown = unescape(piece)
            if shown == "$":
                return _DOLLAR
            return piece if shown == plain(shown) and shown not in ("\\", "\n") else "\ufffd"
        case "ftp":
            return piece + "&#8203;"
        case _:
            return entities(piece)


_ACTIVE_IN_CODE = re.compile(r"<|\"|\][(:]|!\[")


def _code_span(span: str, content: str) -> str:
    """A code span: as it is when a parser that misreads it could do no harm, else as `<code>` of entities."""
    if not _ACTIVE_IN_CODE.search(content):
        return span
    return f"<code>{entities(content.strip())}</code>"


def _safe_math(formula: str) -> str:
    """The same formula, inert: `\\lt` is `<`, `''` looks like `"`, an empty group breaks what Markdown calls a link."""
    if sorted(_BEGIN.findall(formula)) != sorted(_END.findall(formula)):
        return entities(formula)
    formula = _MACRO.sub("＼", formula)
    formula = _FTP.sub("ftp{}", formula)
    return (
        formula.replace("<", r"\lt ")
        .replace('"', "''")
        .replace("](", "]{}(")
        .replace("]:", "]{}:")
        .replace("![", "!{}[")
    )


def _url(url: str) -> str:
    """`url`, whose scheme was checked, with all that could end the link or begin something else quoted."""
    return escape(quote(url, safe="-._/:?#@!&'*+,;=%()"), quote=False)
