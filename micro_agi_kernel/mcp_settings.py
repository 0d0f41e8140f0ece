"""The MCP servers that a person names in the config file, as typed values: what may stand there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.values import is_loopback, shorten

NAMESPACE = "mcp."
"""How the namespaces of all servers begin."""

INSTALL = "pip install 'micro-agi-kernel[mcp]'"
"""Brings the library without which there is no MCP."""

MAX_SERVERS = 16
"""MCP servers that may be named."""

_SERVER_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
"""No _: what the model calls a tool is mcp_SERVER_TOOL, and no two of these are to be the same."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_KEY = 'such as "SERVICE_TOKEN": a key itself does not stand here'


@dataclass(frozen=True, slots=True)
class McpServer:
    """An MCP server whose tools the agent may use: a program of this machine, or an address."""

    name: str
    command: tuple[str, ...] = ()
    """Program and arguments of a server that speaks over its standard input and output; empty: there is a `url`."""
    url: str = ""
    """Of a server that speaks streamable HTTP; https, or http on this machine."""
    env: tuple[str, ...] = ()
    """Names of variables that the program gets beside a minimal environment; none of ours reaches it otherwise."""
    api_key_env: str = ""
    """Name of the variable that holds the key for `url`; empty: none is sent."""
    tools: tuple[str, ...] = ()
    """The server's names of those that the agent gets; empty: all."""

    @property
    def shown(self) -> str:
        """Its program or its host, for people: no arguments and no paths, which may hold a key."""
        if self.command:
            return re.split(r"[\s=]", self.command[0], maxsplit=1)[0].rpartition("/")[2]
        return urlsplit(self.url).hostname or ""

    @property
    def namespace(self) -> str:
        """That of its tools: `mcp.files`."""
        return f"{NAMESPACE}{self.name}"

    @property
    def alias_prefix(self) -> str:
        """How the model's names of its tools begin: `mcp_files_`."""
        return f"mcp_{self.name}_"

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of all variables that are read for it."""
        return (*self.env, self.api_key_env) if self.api_key_env else self.env


def read_servers(table: object, source: str) -> tuple[McpServer, ...]:
    """The MCP servers of the tables `mcp.servers.NAME`.

    Raises SettingsError, which names `source` and repeats no value: it may be a key that was put in the wrong place.
    """
    if not isinstance(table, Mapping):
        raise SettingsError(f"mcp.servers is a table for each server, [mcp.servers.NAME] ({source})")
    if len(table) > MAX_SERVERS:
        raise SettingsError(f"mcp.servers: {len(table)} servers, and {MAX_SERVERS} at most ({source})")
    return tuple(_read_server(str(name), given, source) for name, given in table.items())


def _read_server(name: str, given: object, source: str) -> McpServer:
    if not _SERVER_NAME.fullmatch(name):
        rule = "a lower-case letter, then a-z, 0-9 or -, 31 characters at most"
        raise SettingsError(f"mcp.servers: the name {shorten(repr(name))} is not {rule} ({source})")
    where = f"mcp.servers.{name}"
    if not isinstance(given, Mapping):
        raise SettingsError(f"{where} is a table, [{where}] ({source})")
    hints = {key: hint for key, hint in get_type_hints(McpServer).items() if key != "name"}
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            advice = f"the nearest is {near[0]}" if near else f"there are: {', '.join(hints)}"
            raise SettingsError(f"unknown setting {shorten(f'{where}.{key}')!r} ({source}); {advice}")
        is_list = hints[key] is not str
        texts = value if is_list and isinstance(value, list) else [] if is_list else [value]
        if not texts or not all(isinstance(text, str) and text and "\0" not in text for text in texts):
            form = 'a list of texts, ["a", "b"]' if is_list else "a text"
            raise SettingsError(f"{where}.{key} is {form} ({source})")
        values[key] = tuple(texts) if is_list else value
    server = McpServer(name, **values)
    if wrong := _wrong_with(server):
        raise SettingsError(f"{where}: {wrong} ({source})")
    return server


def _wrong_with(server: McpServer) -> str:
    """What is wrong with a server as a whole; "": nothing."""
    if bool(server.command) == bool(server.url):
        return 'it has either a command, ["program", "argument"], or a url'
    if server.command and server.api_key_env:
        return "api_key_env is for a url: a command gets variables by env"
    if server.url and server.env:
        return "env is for a command: a url gets its key by api_key_env"
    if not all(map(_VARIABLE.fullmatch, server.env)):
        return f"env is a list of names of environment variables, {_NO_KEY}"
    if server.api_key_env and not _VARIABLE.fullmatch(server.api_key_env):
        return f"api_key_env is no name of an environment variable, {_NO_KEY}"
    return _wrong_with_url(server.url) if server.url else ""


def _wrong_with_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        return "the url is no http or https URL, https://host/path"
    if parts.username is not None or parts.password is not None:
        return "the url has a name or password in it: put the key into a variable and its name into api_key_env"
    if parts.scheme == "http" and not is_loopback(host):
        return "the url is not encrypted: https, or http on this machine (127.0.0.1)"
    return ""
