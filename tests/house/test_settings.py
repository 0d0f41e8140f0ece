"""Settings: which source wins, and one line for each thing that a person can get wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.interfaces import MIB, Limits
from micro_agi_kernel.settings import Settings, SyncSettings, _names


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def load(
    config: Path, environment: dict[str, str] | None = None, text: str | None = None, **arguments: object
) -> Settings:
    if text is not None:
        config.write_text(text, "utf-8")
    home = {"MICRO_AGI_HOME": str(config.parent / "home")}
    named = {"MICRO_AGI_CONFIG": str(config)} if config.exists() else {}
    return load_settings({**home, **named, **(environment or {})}, **arguments)


def test_defaults(config: Path) -> None:
    settings = load(config)
    assert settings == Settings(home=config.parent / "home", config=settings.config)
    assert settings.registry_path == config.parent / "home" / "registry.git"
    assert settings.sandbox.limits() == Limits(30.0, 64 * MIB, 10 * MIB, 1_000)
    assert (settings.limits.steps, settings.sandbox.require, settings.docs.remote) == (25, "limits", "")
    assert (settings.render.front_end, settings.model, settings.registry) == ("auto", "", "")


def test_precedence(config: Path) -> None:
    """Defaults < config file < environment < arguments."""
    text = 'model = "from-file"\n[sandbox]\ntimeout = 5\nrequire = "full"\n[limits]\nsteps = 3\n'
    assert load(config, text=text).model == "from-file"
    variables = {"MICRO_AGI_MODEL": "from-environment", "MICRO_AGI_SANDBOX_TIMEOUT": "7.5"}
    settings = load(config, variables)
    assert (settings.model, settings.sandbox.timeout, settings.limits.steps) == ("from-environment", 7.5, 3)
    assert settings.sandbox.require == "full"
    assert load(config, variables, model="from-argument").model == "from-argument"
    assert load(config, variables, model=None).model == "from-environment"
    assert load(config, variables, limits_steps=7).limits.steps == 7
    assert load(config, variables, **{"limits.steps": 8}).limits.steps == 8
    assert load(config, {"MICRO_AGI_MODEL": ""}).model == "from-file"


def test_paths(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    settings = load(config, {"MICRO_AGI_HOME": "~/data", "MICRO_AGI_REGISTRY": "~/r.git"})
    assert (settings.home, settings.registry_path) == (Path("/somewhere/data"), Path("/somewhere/r.git"))


def test_unrelated_variables_are_left_alone(config: Path) -> None:
    of_tests = {"MICRO_AGI_FULL": "1", "MICRO_AGI_REFERENCE_DOCS": "x", "MICRO_AGI_LUA_TESTS": "x"}
    assert load(config, {"MODEL": "x", "micro_agi_model": "x", **of_tests}) == load(config)


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("MICRO_AGI_LIMIT_COST", "MICRO_AGI_LIMITS_COST"),
        ("MICRO_AGI_MODLE", "MICRO_AGI_MODEL"),
        ("MICRO_AGI_HOMEE", "MICRO_AGI_HOME"),
        ("MICRO_AGI_SANDBOX_TIMEUOT", "MICRO_AGI_SANDBOX_TIMEOUT"),
        ("MICRO_AGI_LIMITS__STEPS", "MICRO_AGI_LIMITS_STEPS"),
        ("MICRO_AGI_NONSENSE", "MICRO_AGI_"),
        ("MICRO_AGI_", "MICRO_AGI_"),
    ],
)
def test_a_misspelt_variable_is_found(config: Path, variable: str, near: str) -> None:
    """It may be one that bounds what a session costs."""
    with pytest.raises(SettingsError) as error:
        load(config, {variable: "1"})
    assert f"unknown setting (environment, {variable}); the nearest is {near}" in str(error.value)


def test_the_page_lists_every_setting_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs/settings.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| (.*?) \|", page, re.MULTILINE))
    defaults = {}
    for name in _names(Settings):
        value: Any = Settings()
        for part in name.split("."):
            value = getattr(value, part)
        defaults[name] = value
    assert rows.keys() == defaults.keys()
    for name, value in defaults.items():
        shown = f'`"{value}"`' if isinstance(value, str) else f"{value:g}"
        if isinstance(value, bool):
            shown = str(value).lower()
        assert rows[name] == shown or value == "", name


def test_a_limit_of_zero_is_none(config: Path) -> None:
    limits = load(config, text="[limits]\nseconds = 0\ncost = 0.25\nsession_tokens = 0").limits
    assert (limits.seconds, limits.cost, limits.session_tokens) == (0, 0.25, 0)


def test_booleans(config: Path) -> None:
    assert load(config, text="[sync]\npush_after_commit = true").sync == SyncSettings(push_after_commit=True)
    for text, value in (("1", True), ("true", True), ("0", False), ("false", False)):
        assert load(config, {"MICRO_AGI_SYNC_PUSH_AFTER_COMMIT": text}).sync.push_after_commit is value


@pytest.mark.parametrize(("name", "value"), [("threshold", "1.01"), ("target", "49"), ("target", "2000000")])
def test_numbers_out_of_range(config: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"compression\.{name} is a number from .* to .*, not '{value}'"):
        load(config, {f"MICRO_AGI_COMPRESSION_{name.upper()}": value})


FILES = {
    "unknown": ("colour = 1", "unknown setting 'colour' (config file, colour); the nearest are render.color, "),
    "unknown-in-a-section": ("[sandbox]\nspeed = 1", "unknown setting 'sandbox.speed'"),
    "unknown-section": ("[nowhere]\na = 1", "unknown setting 'nowhere.a'"),
    "section-as-a-value": ("sandbox = 5", "unknown setting 'sandbox'"),
    "value-as-a-section": ("[model]\nname = 'x'", "unknown setting 'model.name'"),
    "text-for-a-number": ("[limits]\nsteps = 'many'", "limits.steps is a whole number above 0, not 'many'"),
    "zero": ("[limits]\nsteps = 0", "limits.steps is a whole number above 0, not 0"),
    "negative": ("[sandbox]\ntimeout = -1.5", "sandbox.timeout is a number above 0, not -1.5"),
    "endless": ("[sandbox]\ntimeout = inf", "sandbox.timeout is a number above 0, not inf"),
    "endless-steps": ("[limits]\nsteps = inf", "limits.steps is a whole number above 0, not inf"),
    "no-number": ("[sandbox]\ntimeout = nan", "sandbox.timeout is a number above 0, not nan"),
    "no-number-of-steps": ("[limits]\nsteps = nan", "limits.steps is a whole number above 0, not nan"),
    "no-boolean": ("[sync]\npull_at_start = 1", "sync.pull_at_start is true or false, not 1"),
    "boolean-as-text": ("[sync]\npull_at_start = 'yes'", "sync.pull_at_start is true or false, not 'yes'"),
    "list-for-a-boolean": ("[sync]\npull_at_start = [true]", "sync.pull_at_start is true or false, not [True]"),
    "less-than-no-limit": (
        "[limits]\ntokens = -1",
        "limits.tokens is a whole number of at least 0 (no limit), not -1",
    ),
    "half-a-step": ("[limits]\nsteps = 2.5", "limits.steps is a whole number above 0, not 2.5"),
    "boolean": ("[limits]\nsteps = true", "limits.steps is a whole number above 0, not True"),
    "list": ("[limits]\nsteps = [1]", "limits.steps is a whole number above 0, not [1]"),
    "number-for-text": ("model = 5", "model is a text, not 5"),
    "no-choice": ("[sandbox]\nrequire = 'some'", "sandbox.require is one of limits, full, not 'some'"),
    "date": ("[limits]\nsteps = 2020-01-01", "limits.steps is a whole number above 0"),
    "broken": ("model = ", "cannot read the config file"),
    "twice": ("model = 'a'\nmodel = 'b'", "cannot read the config file"),
    "key-of-two-lines": ('"a\\nb" = 1', "unknown setting 'a\\nb'"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_file_is_one_line(config: Path, case: str) -> None:
    text, reason = FILES[case]
    with pytest.raises(SettingsError) as caught:
        load(config, text=text)
    assert reason in str(caught.value) and "\n" not in str(caught.value)


VARIABLES = {
    "MICRO_AGI_LIMITS_STEPS": (
        "5.5",
        "limits.steps is a whole number above 0, not '5.5' (environment, MICRO_AGI_LIMITS_STEPS)",
    ),
    "MICRO_AGI_SANDBOX_TIMEOUT": ("soon", "sandbox.timeout is a number above 0, not 'soon'"),
    "MICRO_AGI_SANDBOX_MEMORY": ("1e3", "sandbox.memory is a whole number above 0, not '1e3'"),
    "MICRO_AGI_SANDBOX_OUTPUT": ("9" * 5_000, "sandbox.output is a whole number above 0"),
    "MICRO_AGI_SANDBOX_REQUIRE": ("FULL", "sandbox.require is one of limits, full, not 'FULL'"),
    "MICRO_AGI_RENDER_FRONT_END": ("a\nb", "render.front_end is one of auto, notebook, terminal, batch, not 'a\\nb'"),
    "MICRO_AGI_CONFIG": ("/nowhere/x.toml", "MICRO_AGI_CONFIG names /nowhere/x.toml, which does not exist"),
}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_wrong_variable_is_one_line(config: Path, name: str) -> None:
    value, reason = VARIABLES[name]
    with pytest.raises(SettingsError) as caught:
        load(config, {name: value})
    assert reason in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["MICRO_AGI_HOME", "MICRO_AGI_CONFIG", "MICRO_AGI_REGISTRY"])
def test_the_home_of_nobody(config: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="no such home folder"):
        _ = load(config, {name: "~no-such-user-here/x"}).registry_path


def test_a_config_file_that_cannot_be_read(config: Path, tmp_path: Path) -> None:
    for content in (b"\xff\xfe", b"\0"):
        config.write_bytes(content)
        with pytest.raises(SettingsError, match="cannot read the config file"):
            load(config)
    with pytest.raises(SettingsError, match="cannot read the config file"):
        load(config, {"MICRO_AGI_CONFIG": str(tmp_path)})


def test_unknown_arguments(config: Path) -> None:
    with pytest.raises(SettingsError, match=r"unknown setting 'colour' \(argument colour\)"):
        load(config, colour=1)


def test_no_color_is_respected_unless_the_setting_itself_is_given(config: Path) -> None:
    assert load(config).render.color
    assert not load(config, {"NO_COLOR": "1"}).render.color
    assert load(config, {"NO_COLOR": "1", "MICRO_AGI_RENDER_COLOR": "true"}).render.color
    assert load(config, {"NO_COLOR": "1"}, "render.color = true\n").render.color
    assert load(config, {"NO_COLOR": ""}, "").render.color, "an empty one is none: no-color.org"
