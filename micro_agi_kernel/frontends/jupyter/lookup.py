"""Completion and inspection in Jupyter's terms. Blocks: both are called, and this module is imported, in a thread."""

from __future__ import annotations

from typing import Any

from micro_agi_kernel.completion import complete
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.frontends.rendering import safe_markdown
from micro_agi_kernel.frontends.text import one_line
from micro_agi_kernel.inspection import inspect
from micro_agi_kernel.session import Session


def completion(session: Session, code: str, cursor: int) -> dict[str, Any]:
    """What a complete_reply holds beside its status."""
    found = complete(session, code, cursor)
    kinds = [{"text": m.text, "type": _unbroken(m.kind), "start": found.start, "end": found.end} for m in found.matches]
    return {
        "matches": [match.text for match in found.matches],
        "cursor_start": found.start,
        "cursor_end": found.end,
        "metadata": {"_jupyter_types_experimental": kinds},
    }


def _unbroken(kind: str) -> str:
    """`kind`, safe: JupyterLab shows the first line of it, and breaks one at spaces and hyphens."""
    return one_line(kind).replace(" ", "\u00a0").replace("-", "\u2011")


def inspection(session: Session, code: str, cursor: int) -> dict[str, Any]:
    """What an inspect_reply holds beside its status."""
    about = inspect(session, code, cursor)
    data = {"text/markdown": safe_markdown(about), "text/plain": markdown_as_text(about)} if about else {}
    return {"found": bool(about), "data": data, "metadata": {}}
