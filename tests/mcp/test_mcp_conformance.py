"""The protocol's own conformance suite against `micro-agi mcp --http`, with the tools in Lua that it wants to meet."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from mcp_kit import HttpServer, tool, workspace, write

SUITE = ["npx", "--yes", "-p", "node@22", "-p", "@modelcontextprotocol/conformance@0.1.16", "--", "conformance"]
"""The suite needs a Node.js that is newer than many have; npm has that too."""

SECONDS = 300

PNG = "\\137PNG\\r\\n\\26\\n"
WAIT = "require('time').sleep('50ms')"
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}
TOOLS = [
    tool("app.c:test_simple_text", "return 'This is a simple text response for testing.'"),
    tool("app.c:test_error_handling", "error('This tool intentionally returns an error for testing')"),
    tool("app.c:test_image_content", f"display({{['image/png'] = '{PNG}'}}) return 'a picture'"),
    tool(
        "app.c:test_multiple_content_types",
        f"display({{['image/png'] = '{PNG}'}}) display({{['application/json'] = {{test = 'data'}}}}) return 'mixed'",
    ),
    tool("app.c:test_embedded_resource", "display({['application/json'] = {a = 1}}) return 'with a resource'"),
    tool(
        "app.c:test_tool_with_logging", f"print('a') {WAIT} print('b') {WAIT} print('c') return 'ok'", modules=["time"]
    ),
    tool(
        "app.c:test_tool_with_progress",
        f"progress(0, 100) {WAIT} progress(50, 100) {WAIT} progress(100, 100) {WAIT} return 'ok'",
        modules=["time"],
    ),
    tool("app.c:json_schema_2020_12_tool", "return 1", input_schema=SCHEMA),
]

SERVED = {
    *("server-initialize", "logging-set-level", "ping", "tools-list", "tools-call-simple-text", "tools-call-image"),
    *("tools-call-embedded-resource", "tools-call-mixed-content", "tools-call-with-logging", "tools-call-error"),
    *("tools-call-with-progress", "json-schema-2020-12", "server-sse-multiple-streams", "dns-rebinding-protection"),
}
"""Scenarios of what this server has. It has no resources, prompts, completion, sampling or audio, and asks its client's
person only what a policy wants asked."""


def suite(*arguments: str) -> str:
    """What the suite says."""
    command = [*SUITE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.stdout + done.stderr


@pytest.mark.skipif(os.environ.get("MICRO_AGI_FULL") != "1", reason="asks npm for the suite: MICRO_AGI_FULL=1")
def test_the_scenarios_of_what_is_served_pass(tmp_path: Path) -> None:
    if shutil.which("npx") is None:
        pytest.skip("there is no npx")
    if "server-initialize" not in suite("list"):
        pytest.skip("npx cannot fetch the conformance suite")

    async def fill() -> None:
        async with workspace(tmp_path) as house:
            await write(house, "create", *TOOLS)

    asyncio.run(fill())
    server = HttpServer(tmp_path)
    try:
        said = suite("server", "--url", server.url, "--suite", "all", "-o", str(tmp_path / "results"))
    finally:
        server.end()
    passed = {name for name, failed in re.findall(r"[✓✗] ([\w-]+): \d+ passed, (\d+) failed", said) if failed == "0"}
    assert passed >= SERVED, said
