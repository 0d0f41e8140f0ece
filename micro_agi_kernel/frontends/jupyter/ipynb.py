"""A recorded session as a notebook: its prompts as cells, with what the kernel would have shown a batch runner."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from micro_agi_kernel.frontends.jupyter.batch_sink import BatchSink
from micro_agi_kernel.frontends.jupyter.outcome import failure_of
from micro_agi_kernel.frontends.jupyter.spec import KERNEL_NAME
from micro_agi_kernel.frontends.text import plain
from micro_agi_kernel.logs.turns import Turn
from micro_agi_kernel.resources import resource


def as_ipynb(turns: Iterable[Turn], *, footer: bool) -> dict[str, Any]:
    """The notebook as JSON, nbformat 4.5; `footer` is as in Transcript."""
    spec = json.loads((resource("kernelspec") / "kernel.json").read_bytes())
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": KERNEL_NAME, "display_name": spec["display_name"], "language": spec["language"]},
            "language_info": {"name": "markdown", "mimetype": "text/markdown", "file_extension": ".md"},
        },
        "cells": [_cell(number, turn, footer) for number, turn in enumerate(turns, start=1)],
    }


def _cell(number: int, turn: Turn, footer: bool) -> dict[str, Any]:
    outputs: list[dict[str, Any]] = []

    def keep(msg_type: str, content: Mapping[str, Any], metadata: object = None) -> None:
        outputs.append({"output_type": msg_type, "data": content["data"], "metadata": content["metadata"]})

    sink = BatchSink(keep, footer=footer)
    for event in turn.events:
        sink.handle(event)
    sink.close()
    if end := turn.failure:
        outputs.append({"output_type": "error", **failure_of(end.name, end.line, color=False).content})
    return {
        "cell_type": "code",
        "id": f"cell-{number}",
        "execution_count": turn.cell or None,
        "metadata": {"tags": ["raises-exception"]} if end else {},  # a run of the whole notebook goes on behind it
        "source": plain(turn.prompt),
        "outputs": outputs,
    }
