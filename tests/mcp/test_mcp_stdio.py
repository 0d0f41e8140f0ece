"""`micro-agi mcp` on stdin and stdout: the SDK's client, a pinned revision, and nothing but the protocol on stdout."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from mcp import Client, StdioServerParameters
from mcp_kit import COMMAND, SECONDS, environment, policy, text_of, tool, workspace, write

from micro_agi_kernel.frontends.mcp.transports import BODY
from micro_agi_kernel.interfaces import MIB


def messages(*requests: tuple[str, Any]) -> bytes:
    """Requests as lines; one whose method is a notification's has no id."""
    lines = []
    for number, (method, params) in enumerate(requests):
        line: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        lines.append(line if method.startswith("notifications/") else {**line, "id": number})
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_stdout_carries_the_protocol_and_nothing_else(home: Path) -> None:
    process = subprocess.Popen(
        COMMAND, env=environment(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    process.stdin.write(b"this is no message\n\xff\xfe\n[1]\n{}\n")
    process.stdin.write(messages(("initialize", hello), ("notifications/initialized", {})))
    process.stdin.write(messages(("ping", {}), ("tools/call", {"name": "says", "arguments": {}})))
    process.stdin.flush()
    lines = []
    while not lines or lines[-1].get("id") != 1:
        lines.append(json.loads(process.stdout.readline()))
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    out, err = process.communicate(timeout=SECONDS)  # closes its stdin
    lines += [json.loads(line) for line in out.splitlines()]
    assert all(line["jsonrpc"] == "2.0" for line in lines)
    printed = [line["params"]["data"]["text"] for line in lines if line.get("method") == "notifications/message"]
    assert "".join(printed) == "one\ntwo\n"
    assert process.returncode == 0 and b"Traceback" not in err, err
    assert not psutil.wait_procs(family, SECONDS)[1]


def greet(process: subprocess.Popen[bytes]) -> None:
    """The first two messages of a client, and one that wants an answer."""
    assert process.stdin is not None
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    process.stdin.write(messages(("initialize", params), ("notifications/initialized", {}), ("ping", {})))
    process.stdin.flush()


def test_a_client_that_is_gone_ends_the_server_without_a_word(home: Path) -> None:
    process = subprocess.Popen(
        COMMAND, env=environment(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    greet(process)
    process.stdout = None
    _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="no /dev/full elsewhere")
def test_a_full_disk_behind_stdout_is_one_line(home: Path) -> None:
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen(
            COMMAND, env=environment(home), stdin=subprocess.PIPE, stdout=full, stderr=subprocess.PIPE
        )
        greet(process)
        _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (1, b"Error: cannot write the output: No space left on device\n")


def test_a_line_without_an_end_ends_the_server(home: Path) -> None:
    process = subprocess.Popen(
        COMMAND, env=environment(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    greet(process)
    process.stdin.write(b"x" * (BODY - 100) + b"\n")  # no message, but not too long
    process.stdin.write(messages(("ping", {})))
    process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert [answer.get("id") for answer in answers] == [0, 2, 0]
    with contextlib.suppress(BrokenPipeError):
        for _ in range(64):
            process.stdin.write(b"x" * MIB)
    assert process.wait(SECONDS) == 1  # also while its stdin is open
    assert process.stderr.read() == b"Error: the client sent a line of more than 4 MiB\n"
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.stdout.close()
    process.stderr.close()


async def test_a_pinned_revision_is_served_with_the_grants_of_the_newest(tmp_path: Path) -> None:
    async with workspace(tmp_path) as house:
        first = await write(
            house,
            "create",
            tool("app.p:kept", "return 'old'"),
            tool("app.p:gone", "return 'old'"),
            tool("app.p:less", "return require('hash').sha256('x')", modules=["hash"]),
            tool("app.p:denied", "return 'old'"),
        )
        await write(house, "update", tool("app.p:kept", "return 'new'"), tool("app.p:less", "return 'new'"))
        await write(house, "delete", tool("app.p:gone", ""))
        await write(house, "create", tool("app.p:later", "return 1"), policy("no", "deny", "mcp:ada", "app.p:denied"))
    arguments = [*COMMAND[1:], "--at", first, "--as", "ada"]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, env=environment(tmp_path))
    async with Client(parameters, mode="legacy") as it:
        names = {tool.name for tool in (await it.list_tools()).tools}
        # A policy of today holds for the tools of yesterday, and what is gone has no grant to run with.
        assert {"kept", "less"} <= names and not {"gone", "later", "denied"} & names
        assert text_of(await it.call_tool("kept", {})) == "old"
        less = await it.call_tool("less", {})
        assert less.is_error and "hash" in text_of(less)
        made = {"name": "x", "description": "d", "source": "return 1", "input_schema": {"type": "object"}}
        refused = await it.call_tool("create_tool", made)
        assert refused.is_error and "pinned" in text_of(refused)
