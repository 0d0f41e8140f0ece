"""A real JupyterHub: two people, each with a server, a kernel and a registry of their own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from registries_kit import made_in
from servers_kit import SECONDS, Server, free_ports, plain_text, running

pytest.importorskip("jupyterhub", reason="jupyterhub is not installed")
pytest.importorskip("configurable_http_proxy", reason="the proxy of the hub is not installed")

USERS = ("ada", "bob")
CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = {hub}
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.pid_file = ""
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy}"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/{{username}}"
c.Spawner.args = ["--allow-root"]
c.Spawner.ip = "127.0.0.1"
c.Spawner.environment = {{"JUPYTER_PATH": "{folder}/prefix/share/jupyter", "MICRO_AGI_MODEL": "demo"}}

c.JupyterHub.services = [{{"name": "test", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [
    {{"name": "test", "services": ["test"], "scopes": ["admin:users", "admin:servers", "tokens"]}}
]
"""
"""One hub whose every part listens on loopback only; what a person's server keeps lies in that person's home."""


async def started(hub: Server, user: str) -> Server:
    """The server of `user`, once it runs, with a token of that person's own."""
    assert (await hub.ask(f"/hub/api/users/{user}", "POST"))[0] == 201
    assert (await hub.ask(f"/hub/api/users/{user}/server", "POST"))[0] in (201, 202)
    for _ in range(SECONDS * 5):
        found = (await hub.ask(f"/hub/api/users/{user}"))[1]
        if found["servers"].get("", {}).get("ready"):
            break
        await asyncio.sleep(0.2)
    status, token = await hub.ask(f"/hub/api/users/{user}/tokens", "POST")
    assert status == 201
    return Server(f"{hub.url}/user/{user}", token["token"])


async def make_one_and_look_for_another(server: Server, prompt: str, own: str, others: str) -> None:
    """In a kernel of this server: the prompt makes the tool `own`, and what the other person made is not there."""
    async with server.kernel() as kernel:
        reply, shown = await kernel.run(prompt)
        assert reply["status"] == "ok" and "[create_tool] ok" in plain_text(shown)
        assert f"app.generated:{own}" in plain_text((await kernel.run(f"%tool {own}"))[1])
        reply, _ = await kernel.run(f"%tool {others}")
        assert reply["evalue"].startswith(f"there is no tool {others}")


async def test_two_people_have_a_registry_each(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MICRO_AGI_HOME")  # each person's lies in that person's home
    public, hub_port, proxy = free_ports(3)
    hub = Server(f"http://127.0.0.1:{public}", "a-token-of-the-test")
    config = home / "hub.py"
    config.write_text(CONFIG.format(public=public, hub=hub_port, proxy=proxy, folder=home, token=hub.token))
    command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
    async with running(command, hub, "/hub/api/users", home / "hub.log"):
        ada, bob = await asyncio.gather(*(started(hub, user) for user in USERS))
        assert (await Server(bob.url, ada.token).ask("/api/kernels"))[0] == 403, "nobody enters another's server"
        await asyncio.gather(
            make_one_and_look_for_another(ada, "what time is it?", "current_time_utc", "new_uuid"),
            make_one_and_look_for_another(bob, "make a uuid", "new_uuid", "current_time_utc"),
        )
    subjects = {user: made_in(home / user) for user in USERS}
    assert subjects == {"ada": ["Create app.generated:current_time_utc"], "bob": ["Create app.generated:new_uuid"]}
