"""A group of commands each of which is imported when it is called: the others cost nothing."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """`modules` is subcommand to `module:function`, in the order of the help; `package` is where the modules are."""

    def __init__(self, *args: Any, modules: Mapping[str, str], package: str | None, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self._modules = modules
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return None
        module, _, function = self._modules[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"{self._package}.{module}"), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        said = args[0]
        if said not in self._modules and not said.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(said, self._modules, n=1)
            is_shown = [name for name in near if (found := self.get_command(ctx, name)) and not found.hidden]
            ctx.fail(f"No such command {said!r}." + "".join(f" Did you mean {name!r}?" for name in is_shown))
        return super().resolve_command(ctx, args)
