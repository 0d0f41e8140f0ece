"""The seed grants a tool every module but the host's, and what an agent reads names exactly these."""

from __future__ import annotations

import re

import yaml

from micro_agi_kernel.lua_modules import load_all
from micro_agi_kernel.permissions import HOST_MODULES
from micro_agi_kernel.resources import resource

SEED = resource("registry_repo")


def granted() -> list[str]:
    policy = yaml.safe_load((SEED / "app/allow_modules.yaml").read_text())["data"]["policy"]
    assert policy["actions"] == "lua.module" and policy["effect"] == "allow"
    return list(policy["resources"])


def test_the_seed_grants_every_module_but_those_of_the_host() -> None:
    assert sorted(granted()) == sorted(load_all().keys() - HOST_MODULES)


def test_create_tool_names_what_is_granted() -> None:
    schema = yaml.safe_load((SEED / "app/tools/create_tool.yaml").read_text())["meta"]["input_schema"]
    names = schema["properties"]["modules"]["description"].removeprefix("Modules that the source requires: ")
    assert names.split(", ") == granted()


def test_the_page_on_writing_a_tool_lists_what_is_granted_with_its_pages() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(lua/\S+)` \|", (SEED / "docs/tools/writing-a-tool.md").read_text(), re.M)
    assert [name for name, _ in rows] == granted()
    for name, path in rows:
        assert (SEED / f"docs/{path}.md").read_text().startswith(f"# {name}\n")
