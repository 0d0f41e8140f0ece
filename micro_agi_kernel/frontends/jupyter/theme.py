"""The look of what a notebook shows beside answers: its colours, and the frame, blocks and lines in it, as HTML.

Colours are the front end's own (JupyterLab's variables, which nbconvert has too), with others for those that have none,
dark ones in VS Code's dark themes.
"""

from __future__ import annotations

from html import escape

from micro_agi_kernel.frontends.text import one_line

_NOT_LAYOUT = "tex2jax_ignore mathjax_ignore"
"""JupyterLab looks for formulas in HTML too; a tool's dollar signs are none."""

_THEME = {
    "fg": ("--jp-content-font-color1", "#212121", "#d4d4d4"),
    "dim": ("--jp-content-font-color2", "#5f6368", "#a8a8a8"),
    "ok": ("--jp-success-color1", "#1a7f37", "#56d364"),
    "bad": ("--jp-error-color1", "#c62828", "#ff7b72"),
    "line": ("--jp-border-color1", "#bdbdbd", "#5a5a5a"),
    "back": ("--jp-cell-editor-background", "#f6f6f6", "#252526"),
    "k": ("--jp-mirror-editor-keyword-color", "#00702c", "#7ee787"),
    "s": ("--jp-mirror-editor-string-color", "#a31515", "#ffa198"),
    "c": ("--jp-mirror-editor-comment-color", "#3a7070", "#8b9e9e"),
    "n": ("--jp-mirror-editor-number-color", "#075", "#a5d6a7"),
    "f": ("--jp-mirror-editor-def-color", "#0044c8", "#79c0ff"),
    "b": ("--jp-mirror-editor-builtin-color", "#00702c", "#7ee787"),
}
"""A colour: JupyterLab's variable, and what it is in light and in dark where there is none."""

_LIGHT = "".join(f"--m-{name}:var({jupyter},{light});" for name, (jupyter, light, _) in _THEME.items())
_DARK = "".join(f"--m-{name}:{dark};" for name, (_, _, dark) in _THEME.items())

# Twice the class, where JupyterLab has rules of its own for what a page shows.
STYLE = (
    "<style>"
    f".magi{{{_LIGHT}color:var(--m-fg);font-size:13px;line-height:1.5;margin:1px 0;overflow-wrap:anywhere}}"
    f".vscode-dark .magi,.vscode-high-contrast:not(.vscode-high-contrast-light) .magi{{{_DARK}}}"
    ".magi summary{cursor:pointer;display:list-item}"
    ".magi .w{font-weight:600}.magi .ok{color:var(--m-ok)}.magi .bad{color:var(--m-bad)}.magi .dim{color:var(--m-dim)}"
    ".magi .in{margin:2px 0 6px 1.2em;border-left:2px solid var(--m-line);padding-left:.8em}"
    ".magi .in>p{margin:4px 0 0;color:var(--m-dim)}"
    ".magi.magi code{font-family:var(--jp-code-font-family,monospace);font-size:12px;"
    "background:none;color:inherit;padding:0}"
    ".magi.magi pre{margin:2px 0;padding:6px 8px;max-height:26em;overflow:auto;white-space:pre-wrap;"
    "background:var(--m-back);border:1px solid var(--m-line);color:var(--m-fg);line-height:1.4}"
    ".magi pre:focus-visible,.magi summary:focus-visible{outline:2px solid var(--jp-brand-color1,#1976d2)}"
    ".magi .k{color:var(--m-k);font-weight:600}.magi .s{color:var(--m-s)}.magi .c{color:var(--m-c);font-style:italic}"
    ".magi .n{color:var(--m-n)}.magi .f{color:var(--m-f)}.magi .b{color:var(--m-b)}.magi .h{color:var(--m-dim)}"
    ".magi ins,.magi del{text-decoration:none;color:inherit}"
    ".magi ins{background:rgba(46,160,67,.22)}.magi del{background:rgba(248,81,73,.22)}"
    "</style>"
)


def frame(html: str) -> str:
    """`html`, which is safe, with the style of all that we show."""
    return f'{STYLE}<div class="magi {_NOT_LAYOUT}">{html}</div>'


def inline(text: str) -> str:
    """`text` on one line, in a page."""
    return escape(one_line(text))


def block(label: str, content: str, *, language: str = "") -> str:
    """A labelled block of code, which the keyboard reaches, since it may scroll; `content` is HTML."""
    known = f' class="language-{language}"' if language else ""
    return (
        f'<p>{label}</p><pre tabindex="0" role="region" aria-label="{label}" translate="no">'
        f"<code{known}>{content}</code></pre>"
    )
