"""The community's conformance suite, against the shipped kernel and a scripted model server.

Switched off is what the kernel does not have: text on stderr (all of a cell is on stdout), a pager, cleared outputs,
results of an expression (`execute_result`), and the iopub's word of welcome, which is ipykernel's to say.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jupyter_kernel_test
from model_server import ModelServer, Reply, failure, text


def answer(request: dict[str, Any]) -> Reply:
    """What the model says to the last prompt."""
    if "fail" in str(request["messages"][-1]["content"]):
        return failure(401, "wrong key")
    return text("hello, world")


class TestMicroAgiKernel(jupyter_kernel_test.KernelTests):
    kernel_name = "micro-agi-under-test"
    language_name = "markdown"
    file_extension = ".md"
    code_hello_world = "greet the world"
    code_generate_error = "fail"
    complete_code_samples = ["what time is it?", "two\nlines"]  # noqa: RUF012
    incomplete_code_samples = ["first \\", "```python\nx = 1"]  # noqa: RUF012
    completion_samples = [{"text": "%bis", "matches": ["%bisect"]}, {"text": "no such", "matches": []}]  # noqa: RUF012
    code_inspect_sample = "%revert"
    supported_history_operations = ("tail", "range", "search")
    code_history_pattern = "*second*"
    front_end = "terminal"

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        server = cls.enterClassContext(ModelServer(answer))
        spec = folder / "kernels" / cls.kernel_name
        spec.mkdir(parents=True)
        argv = [sys.executable, "-P", "-m", "micro_agi_kernel", "-f", "{connection_file}"]
        values = {"argv": argv, "display_name": "x", "language": "markdown", "interrupt_mode": "message"}
        (spec / "kernel.json").write_text(json.dumps(values))
        environment = {
            "HOME": str(folder),
            "JUPYTER_PATH": str(folder),
            "MICRO_AGI_HOME": str(folder / "data"),
            "OPENAI_API_KEY": "anything",
            "OPENAI_BASE_URL": server.url,
            "MICRO_AGI_RENDER_FRONT_END": cls.front_end,
        }
        cls.enterClassContext(patch.dict(os.environ, environment))
        super().setUpClass()

    def test_history(self) -> None:
        """What it runs first it takes from the samples of `execute_result`."""
        with patch.object(type(self), "code_execute_result", [{"code": "first"}, {"code": "second"}]):
            super().test_history()


class TestInABatch(TestMicroAgiKernel):
    """Where the answer is a display, one for the cell."""

    front_end = "batch"
    code_hello_world = ""
    code_display_data = [  # noqa: RUF012
        {"code": "greet the world", "mime": mime} for mime in ("text/markdown", "text/plain")
    ]
