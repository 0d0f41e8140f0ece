"""The keys of an MCP server: which there are, and how they are taken out of what it says before anything reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from micro_agi_kernel.environment import secret
from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.logs.keys import Keys
from micro_agi_kernel.mcp_client.words import clean_line
from micro_agi_kernel.mcp_settings import McpServer
from micro_agi_kernel.values import is_key, unset_variable

_OF_A_KEY = re.compile(r"KEY|TOKEN|SECRET|PASS|CRED|AUTH(?!OR)", re.I)
"""In the name of a variable: whatever it holds is a key."""

_PLAIN = re.compile(r"(~|\.\.?)?/.*|[A-Za-z_.-]*|[0-9.:-]*|[a-z]+://[^@?#\s]*", re.S)
"""What else is none: a path, a word, a number, an address without a password. Hidden, it would lack in answers."""


def key_for(server: McpServer) -> str:
    """The key for the server's address. Raises SettingsError, which names the variable alone."""
    name = server.api_key_env
    if not (key := (secret(name) or "").strip()):
        raise SettingsError(f"the environment has no {unset_variable(name)}, which its api_key_env names")
    if not is_key(key):
        raise SettingsError(f"cannot have the key of {name}, which holds characters that no key has: set it again")
    return key


def keys_of(server: McpServer) -> Iterator[str]:
    """What stands now in the variables that `server` is given and is a key, or may be one."""
    if server.api_key_env:
        yield (secret(server.api_key_env) or "").strip()
    for name in server.env:
        value = (secret(name) or "").strip()
        if _OF_A_KEY.search(name) or not _PLAIN.fullmatch(value):
            yield value
            password = None
            with suppress(ValueError):
                password = urlsplit(value).password
            yield password or ""


def hidden(keys: Keys, value: Any) -> Any:
    """`value`, which is JSON, with `***` in the place of each key."""
    match value:
        case str():
            return keys.hidden_in(value)
        case list():
            return [hidden(keys, item) for item in value]
        case dict():
            return {keys.hidden_in(name): hidden(keys, item) for name, item in value.items()}
    return value


def line(keys: Keys, text: str, most: int) -> str:
    """A server's `text` as `clean_line` has it, and without keys: taken out first, so that none is cut in two."""
    return clean_line(keys.hidden_in(text), most)
