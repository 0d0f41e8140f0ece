"""`micro-agi mcp`: the registry's tools for other programs, as an MCP server."""

from __future__ import annotations

import asyncio
import re
from importlib.util import find_spec

import click

from micro_agi_kernel.environment import load_settings, secret
from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.frontends.cli.opening import in_workspace
from micro_agi_kernel.frontends.cli.output import registry_option, say
from micro_agi_kernel.mcp_settings import INSTALL
from micro_agi_kernel.pinning import own_revision, shown
from micro_agi_kernel.registry.store import NEWEST
from micro_agi_kernel.values import is_loopback
from micro_agi_kernel.workspace import Workspace

PORT = 8765

_TOKEN = re.compile(r"[!-~]{16,1024}")


@click.command(short_help="Serve the registry's tools to other programs (MCP).")
@click.option("--at", "rev", metavar="REV", help="Serve the tools of this revision, not the newest.")
@click.option("--as", "name", metavar="NAME", default="", help="What policies call the client: mcp:NAME (lower case).")
@click.option("--http", "by_http", is_flag=True, help="Serve over HTTP instead of stdin and stdout.")
@click.option("--host", metavar="H", help="With --http: the address to listen at (default 127.0.0.1).")
@click.option("--port", metavar="N", type=click.IntRange(0, 65_535), help=f"With --http: the port (default {PORT}).")
@click.option("--token-env", metavar="NAME", help="With --http: the variable that holds the token.")
@registry_option
def mcp(
    rev: str | None,
    name: str,
    by_http: bool,
    host: str | None,
    port: int | None,
    token_env: str | None,
    registry_path: str | None,
) -> None:
    """Serve the tools of the registry to an MCP client: on stdin and stdout, or over HTTP.

    The calls run in the sandbox and under the policies. HTTP is for this machine (127.0.0.1) unless --host says
    another address, which needs a token. Clients send it as `Authorization: Bearer TOKEN`.
    """
    if find_spec("mcp") is None:
        raise SettingsError(f"the MCP server needs the library mcp: {INSTALL}")
    if not by_http and (host or port is not None or token_env):
        raise click.UsageError("--host, --port and --token-env are for --http: nobody else can reach stdin and stdout")
    from micro_agi_kernel.frontends.mcp.clients import MAX_CLIENT, is_client_name
    from micro_agi_kernel.frontends.mcp.transports import serve_http, serve_stdio

    if name and not is_client_name(name):
        raise click.BadParameter(f"a-z, 0-9, -, _ and ., {MAX_CLIENT} at most", param_hint="--as")
    address = (host or "127.0.0.1").removeprefix("[").removesuffix("]")
    token = _token(token_env) if token_env else None
    if by_http and token is None and not is_loopback(address):
        raise click.UsageError(f"others can reach {address}: give the server a token with --token-env")

    async def work(workspace: Workspace) -> None:
        if rev is not None and rev not in NEWEST:
            seen = await asyncio.to_thread(own_revision, workspace.registry, rev)
            workspace.pin.to(seen.commit)
            say(f"serving the tools of {shown(seen)}")
        if by_http:
            await serve_http(workspace, name, address, PORT if port is None else port, token, say)
        else:
            await serve_stdio(workspace, name, say)

    asyncio.run(in_workspace(load_settings(registry=registry_path), work))


def _token(variable: str) -> str:
    """The token that the variable holds. It never stands on the command line, which others can read."""
    token = secret(variable) or ""
    if not _TOKEN.fullmatch(token):
        raise SettingsError(f"the variable {variable} holds no token: 16 to 1,024 visible ASCII characters")
    return token
