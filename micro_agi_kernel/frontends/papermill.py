"""Lets papermill set the parameters of a notebook: it writes them as a cell `%%parameters`.

The entry point group `papermill.engine` names `NotebookEngine` here, since papermill has none for translators: it
loads what is in that group as soon as it is imported, and with this module the translator is registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from micro_agi_kernel.errors import Refused
from micro_agi_kernel.parameters import json_text, read_parameters, written

COMMAND = "%%parameters"


class NotebookEngine:
    """papermill's own engine under the name of the entry point, which must name one."""

    @staticmethod
    def execute_notebook(*arguments: Any, **options: Any) -> Any:
        """As papermill's own."""
        from papermill.engines import NBClientEngine

        return NBClientEngine.execute_notebook(*arguments, **options)


# Behind the class: papermill looks for it here while it is imported, also when this module is imported first.
from papermill.models import Parameter  # noqa: E402
from papermill.translators import Translator, papermill_translators  # noqa: E402


class ParametersTranslator(Translator):  # type: ignore[misc] # papermill has no types
    """Parameters as the cell that our kernel reads without asking a model."""

    @classmethod
    def codify(cls, parameters: Mapping[str, object], comment: str = "Parameters") -> str:
        """The text of the cell that papermill puts behind the one tagged `parameters`."""
        return f"{COMMAND}\n# {' '.join(comment.split())}\n{written(parameters)}"

    @classmethod
    def inspect(cls, parameters_cell: Mapping[str, Any]) -> list[Parameter]:
        """What `papermill --help-notebook` tells of the cell tagged `parameters`; nothing of one that is none."""
        try:
            found = read_parameters(parameters_cell["source"].strip().removeprefix(COMMAND))
        except Refused:
            return []
        return [Parameter(each.name, type(each.value).__name__, json_text(each.value), each.comment) for each in found]


papermill_translators.register("micro-agi", ParametersTranslator)
