"""A policy that a person broke with a push closes its scope, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from registry_kit import create, push, thing, tool, write

from micro_agi_kernel.policy import ScopeError, load_scope
from micro_agi_kernel.registry import Registry

DENY = {"policy": {"actions": "*", "resources": "app:*", "effect": "deny"}, "groups": ["agent_security"]}

EXPRESSION = b"""\
kind: security.policy.expr
data:
  policy: {actions: '*', resources: 'app:*', effect: deny, expression: '%s'}
  groups: [agent_security]
"""


@pytest.mark.parametrize(
    ("path", "content", "refused"),
    [
        ("app/deny_core_ns.yaml", b"kind: security.policy\ndata: [", True),
        ("app/deny_core_ns.yaml", b"kind: security.policy\nextra: 1\n", True),
        ("app/deny_core_ns.yaml", b"kind: security.policy\n", True),
        ("app/Deny More.yaml", b"kind: security.policy\n", True),
        ("app/more.yml", b"kind: security.policy\n", True),
        ("app/unknown.yaml", b"\xff\xfe", True),
        ("app/more.yaml", EXPRESSION % b"true and", True),
        ("app/more.yaml", EXPRESSION % b"1 + 1", True),
        ("app/more.yaml", EXPRESSION % b"actor.id == 1", False),
        ("app/generated/more.yaml", EXPRESSION % b"true and", False),
        ("app/lua.yaml", b"kind: function.lua\ndata: {source: file://lua.lua}\n", False),
        ("app/generated/x.yaml", b"kind: security.policy\ndata: [", False),
        ("app/tools/x.yaml", b"[", False),
        ("README.md", b"[", False),
        ("x.yaml", b"[", False),
        ("docs/x.yaml", b"[", False),
    ],
)
def test_what_a_push_can_break(registry: Registry, tmp_path: Path, path: str, content: bytes, refused: bool) -> None:
    write(registry, create(tool("x"), thing("app:deny_core_ns", "security.policy", **DENY)))  # type: ignore[arg-type]
    push(registry, tmp_path, {path: content})
    snapshot = registry.snapshot()
    scope = load_scope("app:agent_security", snapshot.entries("app"), snapshot.problems())
    if refused:
        with pytest.raises(ScopeError) as error:
            scope.require_sound()
        assert str(error.value).startswith("failed to load security scope: app") and "\n" not in str(error.value)
    else:
        scope.require_sound()
