"""Tools of the registry as text, for front ends that show no more: a table in Markdown, readable as it stands."""

from __future__ import annotations

from micro_agi_kernel.events import RegistryShown
from micro_agi_kernel.markdown_text import code, prose, table
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


def _row(tool: PanelTool) -> tuple[str, ...]:
    newest = short_commit(tool.commits[0].commit) if tool.commits else ""
    return code(str(tool.id)), prose(tool.title), code(newest), f"{tool.used:,}"
