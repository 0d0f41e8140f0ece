"""The community's conformance suite, against the shipped kernel and a scripted model server."""

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
        }
        cls.enterClassContext(patch.dict(os.environ, environment))
        super().setUpClass()
