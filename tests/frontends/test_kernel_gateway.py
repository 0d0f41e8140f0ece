"""A real Jupyter Kernel Gateway: a kernel started over REST answers over the gateway's websocket."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from registries_kit import made_in
from servers_kit import Server, free_ports, plain_text, running

pytest.importorskip("kernel_gateway", reason="jupyter_kernel_gateway is not installed")


async def test_a_cell_runs_behind_a_kernel_gateway(home: Path) -> None:
    [port] = free_ports(1)
    server = Server(f"http://127.0.0.1:{port}", "a-token-of-the-test")
    command = [sys.executable, "-m", "kernel_gateway", "--KernelGatewayApp.ip=127.0.0.1"]
    command += [f"--KernelGatewayApp.port={port}", f"--KernelGatewayApp.auth_token={server.token}"]
    async with running(command, server, "/api/kernelspecs", home / "gateway.log"):
        assert (await Server(server.url, "wrong").ask("/api/kernels", "POST", name="micro-agi"))[0] == 401
        async with server.kernel() as kernel:
            reply, shown = await kernel.run("what time is it?")
            assert reply["status"] == "ok"
            assert re.search(r"The current UTC time is 20\d\d-", plain_text(shown))
            reply, shown = await kernel.run("%revert no-such-commit")
            assert reply["status"] == "error", "an error is a reply, and the kernel goes on"
            assert (await kernel.run("%help"))[0]["status"] == "ok"
    assert made_in(home) == ["Create app.generated:current_time_utc"]
