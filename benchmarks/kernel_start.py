"""How long a person waits for the kernel: to its first sign of life, and to the first model reply.

    python benchmarks/kernel_start.py [--runs N]

Both kernels are started in turn, N times, on the same machine: this one, and IPython's. The second
figure is from process start to the end of a first cell that shows a streamed answer; IPython's cell imports
openai and streams the same answer from the same scripted server on loopback. Trust the ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from model_server import ModelServer, text

OURS = [sys.executable, "-P", "-m", "micro_agi_kernel", "-f", "{connection_file}"]
IPYTHON = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
PROMPT = "Say hello."
CELL = """\
import openai
stream = openai.OpenAI().chat.completions.create(
    model="gpt-5.1", stream=True, messages=[{"role": "user", "content": "Say hello."}])
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="", flush=True)
"""
SECONDS = 120


def start(argv: list[str], cell: str) -> tuple[float, float]:
    """Milliseconds from process start to kernel_info's reply, and to the end of the first cell."""
    manager = KernelManager()
    manager._kernel_spec = KernelSpec(argv=argv, display_name="x", language="x")
    began = time.perf_counter()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.kernel_info()
        client.get_shell_msg(timeout=SECONDS)
        info = time.perf_counter()
        client.wait_for_ready(timeout=SECONDS)
        reply = client.execute_interactive(cell, timeout=SECONDS, output_hook=lambda message: None)
        replied = time.perf_counter()
        if reply["content"]["status"] != "ok":
            raise SystemExit(f"the cell failed: {reply['content']['evalue']}")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return 1000 * (info - began), 1000 * (replied - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11, help="starts of each kernel (default 11)")
    runs = parser.parse_args().runs
    answer: Callable[[dict[str, object]], object] = lambda request: text("Hello", ", ", "world", ".")  # noqa: E731
    ours, ipython = [], []
    with tempfile.TemporaryDirectory() as home, ModelServer(answer) as server:
        os.environ |= {"MICRO_AGI_HOME": home, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "anything"}
        start(OURS, PROMPT)  # makes the registry, and both kernels find their bytecode compiled
        start(IPYTHON, CELL)
        for _ in range(runs):
            ours.append(start(OURS, PROMPT))
            ipython.append(start(IPYTHON, CELL))
    print(f"{'median of ' + str(runs) + ' starts, ms':32}{'micro-agi':>12}{'IPython':>12}{'ratio':>9}{'aim':>9}")
    for index, (name, aim) in enumerate([("to kernel_info", 1.0), ("to the end of the first answer", 1.2)]):
        mine, theirs = (statistics.median(run[index] for run in all_runs) for all_runs in (ours, ipython))
        print(f"{name:32}{mine:12.0f}{theirs:12.0f}{mine / theirs:9.2f}{'≤ ' + str(aim):>9}")


if __name__ == "__main__":
    main()
