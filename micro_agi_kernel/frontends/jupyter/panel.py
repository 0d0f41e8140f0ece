"""Tools of the registry in a notebook, as HTML: a table, in which each tool opens to its source and its history.

As in `cards`, whatever comes in is escaped, and only what is native folds. So the panel is readable in a saved notebook
too, where a front end leaves out script and style. The script adds what is of no use without it: a box that filters
the rows, and buttons that copy a line. It is always the same text, and takes others' words from the page, as text. A
script in an output does not reach the kernel, unless the front end hands out its innards: so a commit is undone by a
line that is run in a cell.
"""

from __future__ import annotations

from collections.abc import Iterator

from micro_agi_kernel.events import RegistryShown
from micro_agi_kernel.frontends.jupyter.highlight import diff_html, lua_html
from micro_agi_kernel.frontends.jupyter.theme import block, frame, inline
from micro_agi_kernel.frontends.panel_text import left_out
from micro_agi_kernel.panels import Excerpt, PanelTool, ToolCommit
from micro_agi_kernel.values import many, short_commit

ROOM = 330_000
"""Bytes of all that unfolds. With the table itself a panel stays below half a megabyte, in the notebook's file too."""

_HEADS = ("tool", "commit", "last change", "by", "tests", "uses")

# Styles that the table cannot be read without stand in attributes: these stay where a front end leaves out the rest.
_LEFT = ' style="text-align:left;white-space:normal"'
_SHORT = ' style="text-align:left;white-space:nowrap"'
"""Of a column whose hashes, names and times would break within a word: the table scrolls instead."""

_STYLE = (
    "<style>"
    ".magi .registry .all{position:relative;max-height:44em;overflow:auto}"
    ".magi.magi .registry pre{max-height:none}"
    ".magi .registry table{width:100%;border-collapse:collapse;font-size:13px;margin:0;table-layout:auto}"
    ".magi .registry :is(caption,th,td){text-align:left;padding:2px 6px;background:none;color:inherit;"
    "vertical-align:baseline;white-space:normal;max-width:none;border:0}"
    ".magi .registry :is(thead,.row){overflow-wrap:normal}"
    ".magi .registry :is(caption,thead th){color:var(--m-dim)}.magi .registry tbody th{font-weight:600}"
    ".magi .registry :is(tbody,tbody tr){background:none}.magi .registry tbody{border-top:1px solid var(--m-line)}"
    ".magi .registry tbody tr+tr td{padding:0 8px 4px}.magi .registry [hidden]{display:none}"
    ".magi .registry .unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}"
    ".magi .registry .line{user-select:all}.magi .registry .find{display:block;padding:4px 8px}"
    ".magi .registry :is(input,button){font:inherit;color:inherit;background:var(--m-back);"
    "border:1px solid var(--m-line);border-radius:3px;padding:1px 6px;margin:0 6px}"
    ".magi .registry input{width:18em;max-width:60%}.magi .registry button{cursor:pointer}"
    ".magi .registry :is(.all,input,button):focus-visible{outline:2px solid var(--jp-brand-color1,#1976d2)}"
    "</style>"
)

_SCRIPT = """\
<script>
for (const panel of document.querySelectorAll(".magi .registry:not([data-live])")) {
  panel.dataset.live = "";
  const made = (name, text) => Object.assign(document.createElement(name), {textContent: text});
  const tools = [...panel.querySelectorAll(".tool")];
  const label = made("label", "Filter these tools "), box = made("input", ""), count = made("span", "");
  label.className = "find";
  box.type = "search";
  count.setAttribute("role", "status");
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\\s+/);
    for (const tool of tools) {
      const text = [...tool.querySelectorAll(".said")].map((each) => each.textContent).join(" ").toLowerCase();
      tool.hidden = !words.every((word) => text.includes(word));
    }
    const shown = tools.filter((tool) => !tool.hidden).length;
    count.textContent = box.value.trim() ? shown + " of " + tools.length + " match" : "";
  });
  label.append(box, count);
  panel.prepend(label);
  for (const line of panel.querySelectorAll(".line")) {
    const button = made("button", "copy");
    button.type = "button";
    button.setAttribute("aria-label", "copy " + line.textContent);
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(line);
      try {
        await navigator.clipboard.writeText(line.textContent);
        button.textContent = "copied";
      } catch {
        button.textContent = "selected";
      }
    });
    line.after(button);
  }
}
</script>"""


def panel_html(shown: RegistryShown) -> str:
    """The panel. Its bytes stay below 500,000, and what had no room says how it is seen."""
    heads = "".join(f'<th scope="col"{_LEFT}>{head}</th>' for head in _HEADS)
    more = left_out(shown)
    parts = [
        '<div class="registry">',
        '<div class="all" tabindex="0" role="region" aria-label="Tools of the registry">',
        f"<table><caption>{_caption(shown)}</caption>",
        f"<thead><tr>{heads}</tr></thead>",
        *_tools(shown),
        "</table></div>",
        f"<p>{inline(more)}</p>" if more else "",
        "</div>",
    ]
    return _STYLE + frame("".join(parts)) + _SCRIPT


def _caption(shown: RegistryShown) -> str:
    what = f"{many(shown.total, 'tool')} of the registry"
    return f"{what} with the words {_code(shown.query)}" if shown.query else what


def _tools(shown: RegistryShown) -> Iterator[str]:
    room = ROOM
    for place, tool in enumerate(shown.tools):
        unfolds = "".join(_fitting(tool, room // (len(shown.tools) - place)))
        room -= len(unfolds.encode())
        yield f'<tbody class="tool">{_row(tool)}'
        yield f'<tr><td colspan="{len(_HEADS)}"{_LEFT}><details><summary>'
        says_more = tool.title not in (tool.id.name, str(tool.id))
        title = f'<span class="said">{inline(tool.title)}</span>' if says_more else "source and history"
        yield f'<span class="unseen">{inline(str(tool.id))}: </span>{title}'
        yield f'</summary><div class="in">{unfolds}</div></details></td></tr></tbody>'


def _row(tool: PanelTool) -> str:
    newest = tool.commits[0] if tool.commits else None
    facts = [_code(short_commit(newest.commit)), inline(newest.time), inline(newest.actor)] if newest else [""] * 3
    tests = many(tool.tests, "test") if tool.tests else "no tests"
    failed = f" ({tool.failed:,} failed)" if tool.failed else ""
    cells = "".join(f"<td{_SHORT}>{fact}</td>" for fact in (*facts, tests, f"{tool.used:,}{failed}"))
    id = _code(str(tool.id)).replace(":", ":<wbr>", 1)
    return f'<tr class="row"><th scope="row" class="said"{_LEFT}>{id}</th>{cells}</tr>'


def _fitting(tool: PanelTool, room: int) -> Iterator[str]:
    """What the tool opens to, as far as it has `room`, in bytes."""
    given: set[str] = set()
    for part, instead in _parts(tool):
        chosen = part if len(part.encode()) <= room else instead
        if chosen not in given:  # what several lack is said once
            given.add(chosen)
            room -= len(chosen.encode())
            yield chosen


def _parts(tool: PanelTool) -> Iterator[tuple[str, str]]:
    """The parts of what a tool opens to, and what stands there when one has no room."""
    page = f"<p>Not all of it is here: {_line(f'%tool {tool.id}')} shows it.</p>"
    facts = (("modules", tool.modules), ("imports", tool.imports), ("calls", tool.calls))
    listed = (f"{label}: {', '.join(map(_code, texts))}" for label, texts in facts if texts)
    yield f'<p class="said">{inline(tool.description)}</p>', ""
    yield "".join(f"<p>{each}</p>" for each in listed), ""
    source = block("source", lua_html(tool.source.text), language="lua") if tool.source.text else ""
    yield source + (page if tool.source.missing else ""), page
    yield "<p>history, newest first</p>", ""
    missing = f"<p>Its commits are not all here: {_line(f'micro-agi registry log {tool.id}')} shows them.</p>"
    for commit in tool.commits:
        yield _commit(tool, commit), missing
    yield missing if tool.has_older else "", missing


def _commit(tool: PanelTool, commit: ToolCommit) -> str:
    """The line of a commit, which opens to what it changed, and to the line that undoes it."""
    said = [f"v{commit.number}", _code(short_commit(commit.commit)), inline(commit.time), inline(commit.action)]
    said += [f"by {inline(commit.actor)}", *([f"tests: {inline(commit.tests)}"] if commit.tests else [])]
    undo = f"<p>To undo it, run in a cell: {_line(f'%revert {short_commit(commit.commit)} {tool.id}')}</p>"
    return (
        f"<details><summary>{' · '.join(said)}</summary>"
        f'<div class="in"><p>{inline(commit.subject)}</p>{_diff(tool, commit)}{undo}</div></details>'
    )


def _diff(tool: PanelTool, commit: ToolCommit) -> str:
    shown: Excerpt = commit.diff
    changed = block(f"what v{commit.number} changed", diff_html(shown.text), language="diff") if shown.text else ""
    if not shown.missing:
        return changed
    rev = f"v{commit.number}"
    rest = _line(f"%diff {rev}^ {rev}" if commit.number > 1 else f"%tool {tool.id}")
    return f"{changed}<p>{f'{shown.missing:,} lines more' if changed else 'not shown here'}: {rest}</p>"


def _line(text: str) -> str:
    """A line for a cell or a shell, which a click selects as a whole."""
    return f'<code class="line">{inline(text)}</code>'


def _code(text: str) -> str:
    return f"<code>{inline(text)}</code>"
