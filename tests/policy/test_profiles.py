"""The guarded profile: what it adds to the policies of a registry, and what it leaves as it is."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.permissions import AGENT_ACTOR, AGENT_SCOPE, TOOL_SCOPE
from micro_agi_kernel.policy import Actor, Scope
from micro_agi_kernel.profiles import policies_of
from micro_agi_kernel.settings import Profile

GENERATED, OTHER = "app.generated:x", "app.generated:y"


def decide(name: str, actor: Actor, action: str, resource: str) -> str:
    return Scope(name, policies_of("guarded")[name]).evaluate(actor, action, resource).effect


def tool(id: str, *modules: str) -> Actor:
    return Actor(f"tool:{id}", {"namespace": id.partition(":")[0], "modules": list(modules)})


def test_the_reference_profile_adds_nothing() -> None:
    assert policies_of("reference") == {} and get_args(Profile) == ("reference", "guarded")


@pytest.mark.parametrize(
    ("action", "effect"),
    [
        ("registry.create", "ask"),
        ("registry.update", "ask"),
        ("registry.delete", "ask"),
        ("registry.apply", "undefined"),
    ],
)
def test_what_the_agent_writes(action: str, effect: str) -> None:
    assert decide(AGENT_SCOPE, AGENT_ACTOR, action, GENERATED) == effect


@pytest.mark.parametrize(
    ("actor", "action", "resource", "effect"),
    [
        (tool(GENERATED), "tool.load", GENERATED, "ask"),
        (tool("app.others:x"), "tool.load", "app.others:x", "undefined"),
        (tool(GENERATED), "tool.load", OTHER, "undefined"),  # an import
        (tool(GENERATED, "http_client", "json"), "tool.call", GENERATED, "ask"),
        (tool(GENERATED, "json"), "tool.call", GENERATED, "undefined"),
        (tool(GENERATED), "tool.call", GENERATED, "undefined"),
        (
            tool(GENERATED, "http_client"),
            "tool.call",
            OTHER,
            "undefined",
        ),  # one of its calls: that is asked about itself
        (tool("app.tools:doc_search", "http_client"), "tool.call", "app.tools:doc_search", "undefined"),
        (tool(GENERATED), "http_client.request", "https://example.com/", "ask"),
        (tool(GENERATED), "lua.module", "time", "undefined"),
        (tool(GENERATED), "registry.get", GENERATED, "undefined"),
    ],
)
def test_what_tools_do(actor: Actor, action: str, resource: str, effect: str) -> None:
    assert decide(TOOL_SCOPE, actor, action, resource) == effect


def test_the_jail_must_be_whole_unless_the_person_says_otherwise(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    environment = {"MICRO_AGI_CONFIG": str(config), "MICRO_AGI_HOME": str(tmp_path)}
    config.write_text('profile = "guarded"\n')
    assert load_settings(environment).sandbox.require == "full"
    assert load_settings(environment, **{"sandbox.require": "limits"}).sandbox.require == "limits"
    assert load_settings({**environment, "MICRO_AGI_PROFILE": "reference"}).sandbox.require == "limits"
    config.write_text('profile = "guarded"\n[sandbox]\nrequire = "limits"\n')
    assert load_settings(environment).sandbox.require == "limits"
