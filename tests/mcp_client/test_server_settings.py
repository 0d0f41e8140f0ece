"""The tables `mcp.servers.NAME` of the config file, and what the doctor says of the servers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mcp_client_kit import HERE

from micro_agi_kernel.environment import load_settings, server_environment
from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.frontends.cli.doctor import _servers
from micro_agi_kernel.mcp_client.keys import keys_of
from micro_agi_kernel.mcp_settings import McpServer


def load(tmp_path: Path, text: str) -> tuple[McpServer, ...]:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return load_settings({"MICRO_AGI_CONFIG": str(file), "MICRO_AGI_HOME": str(tmp_path)}).mcp_servers


def test_a_program_and_an_address(tmp_path: Path) -> None:
    text = """
    [mcp.servers.files]
    command = ["npx", "-y", "server", "/tmp"]
    env = ["FILES_TOKEN"]
    tools = ["read"]
    [mcp.servers.web-1]
    url = "https://example.com/mcp"
    api_key_env = "WEB_KEY"
    [sandbox]
    timeout = 9
    """
    assert load(tmp_path, text) == (
        McpServer("files", ("npx", "-y", "server", "/tmp"), env=("FILES_TOKEN",), tools=("read",)),
        McpServer("web-1", url="https://example.com/mcp", api_key_env="WEB_KEY"),
    )
    assert load(tmp_path, "") == ()


WRONG = {
    "[mcp.servers.Files]\nurl = 'https://a'": "the name 'Files' is not a lower-case letter, then",
    "[mcp.servers.'../x']\nurl = 'https://a'": "the name '../x' is not",
    "[mcp.servers.a_b]\nurl = 'https://a'": "the name 'a_b' is not",
    "[mcp.servers.a]": "it has either a command",
    "[mcp.servers.a]\nurl = 'https://a'\ncommand = ['b']": "it has either a command",
    "[mcp.servers.a]\ncommand = 'npx'": "mcp.servers.a.command is a list of texts",
    "[mcp.servers.a]\ncommand = []": "mcp.servers.a.command is a list of texts",
    "[mcp.servers.a]\ncommand = ['a', 1]": "mcp.servers.a.command is a list of texts",
    "[mcp.servers.a]\ncommand = ['a\\u0000']".replace("'a\\u0000'", '"a\\u0000"'): "command is a list of texts",
    "[mcp.servers.a]\nurl = 5": "mcp.servers.a.url is a text (config file)",
    "[mcp.servers.a]\nurl = 'http://example.com/'": "is not encrypted: https, or http on this machine",
    "[mcp.servers.a]\nurl = 'http://127.0.0.1.example.com/'": "is not encrypted",
    "[mcp.servers.a]\nurl = 'http://127.999.1.1/'": "is not encrypted",
    "[mcp.servers.a]\nurl = 'ftp://example.com/'": "is no http or https URL",
    "[mcp.servers.a]\nurl = 'https://'": "is no http or https URL",
    "[mcp.servers.a]\nurl = 'https://[::1'": "is no http or https URL",
    "[mcp.servers.a]\nurl = 'https://key@example.com/'": "put the key into a variable",
    "[mcp.servers.a]\nurl = 'https://a'\napi_key_env = 'sk-123'": "is no name of an environment variable",
    "[mcp.servers.a]\nurl = 'https://a'\nenv = ['A']": "env is for a command",
    "[mcp.servers.a]\ncommand = ['a']\napi_key_env = 'A'": "api_key_env is for a url",
    "[mcp.servers.a]\ncommand = ['a']\nenv = ['A=b']": "env is a list of names of environment variables",
    "[mcp.servers.a]\ncomand = ['a']": "unknown setting 'mcp.servers.a.comand' (config file); the nearest is command",
    "[mcp.servers.a]\nname = 'a'": "unknown setting 'mcp.servers.a.name'",
    "[mcp]\nservers = 5": "mcp.servers is a table for each server",
    "[mcp.servers]\na = 5": "mcp.servers.a is a table",
    "[mcp]\nserver = 5": "unknown setting 'mcp.server'",
    "".join(f"[mcp.servers.a{n}]\nurl = 'https://a'\n" for n in range(17)): "17 servers, and 16 at most",
}


PLANTED = (
    "command = 'prog --key sk-PLANTED1234567'",
    "command = ['sk-PLANTED1234567', 5]",
    "command = ['a']\nenv = {KEY = 'sk-PLANTED1234567'}",
    "command = ['a']\nenv = ['KEY=sk-PLANTED1234567']",
    "command = ['a']\ntools = 'sk-PLANTED1234567'",
    "url = 'https://a'\napi_key_env = 'sk-PLANTED1234567'",
    "url = ['sk-PLANTED1234567']",
    "url = 'sk-PLANTED1234567'",
    "url = 'http://a.example/?key=sk-PLANTED1234567'",
    "url = 'http://a.example/sk-PLANTED1234567'",
    "url = 'https://sk-PLANTED1234567@a.example/'",
)


@pytest.mark.parametrize("text", PLANTED)
def test_a_key_in_the_wrong_place_is_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"mcp\.servers\.a") as error:
        load(tmp_path, f"[mcp.servers.a]\n{text}")
    assert "PLANTED" not in str(error.value)


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_table_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(tmp_path, text)
    assert WRONG[text] in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:1/mcp", "http://127.3.2.1/", "http://[::1]:5/", "http://[0:0:0:0:0:0:0:1]/"),
        "https://a.example/x?y",
    ],
)
def test_addresses_that_may_be_named(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, f"[mcp.servers.a]\nurl = {url!r}")[0].url == url


def test_no_variable_names_a_server(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="unknown setting"):
        load_settings({"MICRO_AGI_HOME": str(tmp_path), "MICRO_AGI_MCP_SERVERS": "x"})


def test_a_program_gets_what_any_program_needs_and_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MICRO_AGI_HOME", "AWS_SECRET_ACCESS_KEY", "WANTED"):
        monkeypatch.setenv(name, "x")
    found = server_environment(("WANTED",))
    known = {"HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER", "WANTED"}
    assert {"PATH", "WANTED"} <= found.keys() <= known


NO_KEYS = ("/srv/a", "~/a", "./a", "production", "read-only", "8080", "1.5", "https://a.example/x", "", "/a:/b")
KEYS = {
    "TRACKER_TOKEN": "production",
    "A_PASSWORD": "/srv/a",
    "GITHUB_PAT": "ghp_123abc",
    "PLACE": "https://a.example/?key=x1",
    "ADDRESS": "db://ann:hunter2@host/a",
    "ODD": "http://[a:b@",
    "TILDE": "~hunter3",
}


def test_what_of_a_server_s_variables_is_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for n, value in enumerate(NO_KEYS):
        monkeypatch.setenv(f"VALUE_{n}", value)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, f" {value}\n")
    names = (*(f"VALUE_{n}" for n in range(len(NO_KEYS))), *KEYS, "NOT_SET_ANYWHERE", "NO_TOKEN_ANYWHERE")
    assert {*keys_of(McpServer("a", ("b",), env=names))} - {""} == {*KEYS.values(), "hunter2"}
    assert [*keys_of(McpServer("a", url="https://a", api_key_env="GITHUB_PAT"))] == ["ghp_123abc"]


def test_the_doctor_has_a_line_for_each(tmp_path: Path) -> None:
    good = [sys.executable, "-I", "-S", str(HERE / "raw_server.py"), "plain"]
    config = tmp_path / "config.toml"
    config.write_text(
        f"[mcp.servers.good]\ncommand = {good}\n[mcp.servers.bad]\ncommand = ['no-such-program']\n"
        "[mcp.servers.odd]\ncommand = ['API_KEY=PLANTED1 npx foo']\n"
        "[mcp.servers.long]\ncommand = ['/no/prog --key PLANTED1']\n"
        "[mcp.servers.key]\ncommand = ['sh']\nenv = ['ghp_PLANTED1']\n"
        "[mcp.servers.web]\nurl = 'https://localhost/'\napi_key_env = 'ghp_PLANTED1'\n"
    )
    settings = load_settings({"MICRO_AGI_CONFIG": str(config), "MICRO_AGI_HOME": str(tmp_path)})
    assert list(_servers(settings)) == [
        ("ok", "mcp.good", "offers 4 tools"),
        ("warn", "mcp.bad", "there is no program 'no-such-program'"),
        ("warn", "mcp.odd", "there is no program 'API_KEY'"),
        ("warn", "mcp.long", "there is no program 'prog'"),
        ("warn", "mcp.key", "the environment has no *** (not in capitals: it may be a key), which its env names"),
        (
            "warn",
            "mcp.web",
            "the environment has no *** (not in capitals: it may be a key), which its api_key_env names",
        ),
    ]
