"""The community's conformance suite, against the shipped kernel and the offline model."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import jupyter_kernel_test

NOTHING = "unknown-setting-value"


class TestMicroAgiKernel(jupyter_kernel_test.KernelTests):
    kernel_name = "micro-agi-under-test"
    language_name = "markdown"
    file_extension = ".md"
    code_hello_world = ""
    complete_code_samples = ["what time is it?", "two\nlines"]  # noqa: RUF012
    incomplete_code_samples = ["first \\", "```python\nx = 1"]  # noqa: RUF012
    code_inspect_sample = ""
    code_display_data = []  # noqa: RUF012

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        home = Path(cls.folder.name)
        spec = home / "kernels" / cls.kernel_name
        spec.mkdir(parents=True)
        argv = [sys.executable, "-P", "-m", "micro_agi_kernel", "-f", "{connection_file}"]
        values = {"argv": argv, "display_name": "x", "language": "markdown", "interrupt_mode": "message"}
        (spec / "kernel.json").write_text(json.dumps(values))
        environment = {
            "JUPYTER_PATH": str(home),
            "MICRO_AGI_HOME": str(home / "data"),
            "MICRO_AGI_CONFIG": str(home / "config.toml"),
            "MICRO_AGI_MODEL": "demo",
        }
        cls.environment = patch.dict(os.environ, environment)
        cls.environment.start()
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        cls.environment.stop()
        cls.folder.cleanup()

    def test_a_prompt_makes_a_tool_and_answers(self) -> None:
        self.flush_channels()
        reply, output = self.execute_helper("what time is it?", timeout=60)
        assert reply["content"]["status"] == "ok", reply["content"]
        revision = reply["metadata"]["micro_agi"]
        assert revision["registry"] != revision["before"]
        assert output
