"""Tools of the registry, and what differs in it, for front ends that show text: Markdown, readable as it stands."""

from __future__ import annotations

from micro_agi_kernel.events import DiffShown, RegistryShown
from micro_agi_kernel.markdown_text import code, fenced, prose, table
from micro_agi_kernel.panels import PanelTool
from micro_agi_kernel.values import short_commit


def panel_markdown(shown: RegistryShown) -> str:
    """A row for each tool, and a line on what is left out."""
    rows = table(("id", "title", "commit", "uses"), map(_row, shown.tools), numbers_from=3)
    return "\n\n".join(part for part in (rows, left_out(shown)) if part)


def left_out(shown: RegistryShown) -> str:
    """The line that says how many tools are not shown, and what to do; "" when all are."""
    if shown.total <= len(shown.tools):
        return ""
    return f"{len(shown.tools)} of {shown.total:,}: name some words of what you look for, %registry WORDS"


def diff_markdown(shown: DiffShown) -> str:
    """Each change with its unified diff."""
    parts = [f"{each.action.capitalize()} {code(each.name)}\n\n{fenced(each.diff, 'diff')}" for each in shown.changes]
    parts += [f"There is more: {code(shown.all_of_it)} shows all of it."] if shown.all_of_it else []
    return "\n\n".join(parts)


def _row(tool: PanelTool) -> tuple[str, ...]:
    newest = short_commit(tool.commits[0].commit) if tool.commits else ""
    return code(str(tool.id)), prose(tool.title), code(newest), f"{tool.used:,}"
