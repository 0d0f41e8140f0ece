"""Which models there are, which one runs and why, and where a key may go."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from micro_agi_kernel.entries import Entry, EntryId, from_files
from micro_agi_kernel.errors import EntryError, ModelError
from micro_agi_kernel.models import choose, obstacle, open_model
from micro_agi_kernel.models.catalog import ModelSpec, Pricing, Provider, find, read_spec, read_specs
from micro_agi_kernel.models.demo import DemoModel
from micro_agi_kernel.models.endpoint import OPENAI_URL, endpoint_of
from micro_agi_kernel.models.openai import PROVIDER, OpenAIModel
from micro_agi_kernel.resources import resource

KEY = "sk-planted-0123456789abcdef"
LOCAL = "http://127.0.0.1:11434/v1"


def seed() -> dict[str, ModelSpec]:
    folder = resource("registry_repo") / "app"
    entries = [
        from_files(EntryId("app", name), {f"{name}.yaml": (folder / f"{name}.yaml").read_bytes()})
        for name in ("gpt-5.1", "gpt-4.1-nano", "demo")
    ]
    specs, problems = read_specs(entries)
    assert problems == ()
    return {spec.name: spec for spec in specs}


def entry(name: str = "m", meta: Mapping[str, Any] = {}, data: Mapping[str, Any] = {}, **options: Any) -> Entry:
    provider = {"id": PROVIDER, "provider_model": f"{name}-there", "options": options}
    return Entry(
        EntryId.parse(f"app:{name}"),
        "registry.entry",
        {"type": "llm.model", "name": name, **meta},
        {"max_tokens": 1000, "providers": [provider], **data},
    )


def secrets(**known: str) -> Any:
    return known.get


# The entries


def test_models_of_the_seed_have_the_numbers_of_the_reference() -> None:
    specs = seed()
    big, small, demo = specs["gpt-5.1"], specs["gpt-4.1-nano"], specs["demo"]
    assert (big.window, big.output_tokens, big.pricing) == (128_000, 32_768, Pricing(2.5, 10))
    assert (big.thinking_effort, big.priority, big.classes) == (10, 210, ("reasoning",))
    assert big.capabilities == ("generate", "tool_use", "structured_output", "vision", "thinking")
    assert big.providers == (Provider("wippy.llm.openai:provider", "gpt-5.1", reasoning=True),)
    assert (small.window, small.output_tokens, small.pricing) == (1_047_576, 32_768, Pricing(0.1, 0.4))
    assert (small.thinking_effort, small.priority, small.classes) == (None, 100, ("fast",))
    assert small.capabilities == ("generate", "tool_use", "structured_output")
    assert small.providers == (Provider("wippy.llm.openai:provider", "gpt-4.1-nano"),)
    assert demo.classes == ("demo",) and demo.priority < small.priority


def test_defaults_of_a_short_entry() -> None:
    short = Entry(
        EntryId.parse("app:short"),
        "registry.entry",
        {"type": "llm.model", "class": "fast"},
        {"max_tokens": 9, "providers": [{"id": "x"}]},
    )
    assert read_spec(short) == ModelSpec(
        short.id, "short", "", (Provider("x", "short"),), window=9, output_tokens=9, classes=("fast",)
    )


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (entry(data={"max_tokens": None}), "data.max_tokens"),
        (entry(data={"max_tokens": "many"}), "data.max_tokens"),
        (entry(data={"max_tokens": True}), "data.max_tokens"),
        (entry(data={"max_tokens": 0}), "data.max_tokens"),
        (entry(data={"output_tokens": -1}), "data.output_tokens"),
        (entry(data={"thinking_effort": "hard"}), "data.thinking_effort"),
        (entry(data={"pricing": [1]}), "data.pricing"),
        (entry(data={"pricing": {"input": -1}}), "data.pricing.input"),
        (entry(data={"providers": []}), "data.providers"),
        (entry(data={"providers": ["x"]}), "data.providers"),
        (entry(data={"providers": [{"provider_model": "x"}]}), "data.providers: id"),
        (entry(base_url=7), "base_url"),
        (entry(reasoning_model_request="yes"), "reasoning_model_request"),
        (entry(meta={"name": ""}), "meta.name"),
        (entry(meta={"class": [1]}), "meta.class"),
        (entry(meta={"priority": "high"}), "meta.priority"),
    ],
)
def test_broken_entry_is_a_line_that_names_the_field(broken: Entry, field: str) -> None:
    with pytest.raises(EntryError) as caught:
        read_spec(broken)
    assert str(caught.value).startswith("app:m: ") and field in str(caught.value)


def test_broken_and_doubled_entries_do_not_hide_the_others() -> None:
    other = Entry(EntryId.parse("app:other"), "registry.entry", {"type": "llm.agent"}, {})
    twin = entry("twin", meta={"name": "good"})
    specs, problems = read_specs([twin, entry("bad", data={"max_tokens": 0}), other, entry("good")])
    assert [(spec.name, str(spec.id)) for spec in specs] == [("good", "app:good")]
    assert len(problems) == 2 and "app:bad" in problems[0] and "app:twin" in problems[1]


def test_find_by_name_then_class_then_priority() -> None:
    specs, _ = read_specs(
        [
            entry("a", meta={"class": ["fast"], "priority": 1}),
            entry("b", meta={"class": ["fast", "cheap"], "priority": 5}),
            entry("fast-too", meta={"class": ["fast"], "priority": 5}),
            entry("cheap", meta={"class": ["slow"]}),
        ]
    )

    def name_of(wanted: str) -> str | None:
        found = find(specs, wanted)
        return found.name if found else None

    assert name_of("a") == "a"
    assert name_of("fast") == name_of("class:fast") == "b"
    assert name_of("cheap") == "cheap"  # a name comes before a class
    assert name_of("class:cheap") == "b"
    assert name_of("class:a") is None and name_of("class:") is None and name_of("") is None


# Which one runs


def test_without_key_and_server_the_demo_runs_and_says_why() -> None:
    choice = choose(list(seed().values()), None, "gpt-5.1", secrets())
    assert choice.spec.name == "demo" and choice.fallback
    for word in ("gpt-5.1 needs a key", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        assert word in choice.reason
    assert "\n" not in choice.reason
    assert isinstance(open_model(choice.spec, secrets()), DemoModel)


@pytest.mark.parametrize("known", [{"OPENAI_API_KEY": KEY}, {"OPENAI_BASE_URL": LOCAL}])
def test_with_a_key_or_a_server_the_agents_model_runs(known: dict[str, str]) -> None:
    choice = choose(list(seed().values()), "", "gpt-5.1", known.get)
    assert (choice.spec.name, choice.fallback) == ("gpt-5.1", False)
    assert isinstance(open_model(choice.spec, known.get), OpenAIModel)


def test_the_setting_wins_even_over_a_missing_key() -> None:
    specs = list(seed().values())
    assert choose(specs, "demo", "gpt-5.1", secrets(OPENAI_API_KEY=KEY)).spec.name == "demo"
    assert choose(specs, "class:fast", "gpt-5.1", secrets()).spec.name == "gpt-4.1-nano"
    with pytest.raises(ModelError, match=r"gpt-4\.1-nano needs a key: set OPENAI_API_KEY"):
        open_model(choose(specs, "fast", "gpt-5.1", secrets()).spec, secrets())


@pytest.mark.parametrize(("setting", "agent"), [("gpt-5", "gpt-5.1"), (None, "gpt-5"), (None, "GPT-5.1")])
def test_an_unknown_name_is_an_error_with_the_nearest_and_all_others(setting: str | None, agent: str) -> None:
    """Whoever names it: the demo would write commits that nobody asked for."""
    with pytest.raises(ModelError) as caught:
        choose(list(seed().values()), setting, agent, secrets(OPENAI_API_KEY=KEY))
    who = "no model or class" if setting else "the agent's entry: no model or class"
    assert str(caught.value) == (
        f"{who} is called {setting or agent!r}, the nearest is 'gpt-5.1': there are the models demo, gpt-4.1-nano, "
        "gpt-5.1 and the classes demo, fast, reasoning"
    )


def test_an_unknown_class_names_the_classes() -> None:
    specs = list(seed().values())
    for wanted in ("class:Reasonning", "Fast"):
        with pytest.raises(ModelError, match=r"the nearest is '(class:)?(reasoning|fast)'.* classes demo, fast"):
            choose(specs, wanted, None, secrets())
    with pytest.raises(ModelError, match="called 'xyzzy': there are the models demo"):
        choose(specs, "xyzzy", None, secrets())
    with pytest.raises(ModelError, match="called 'gone': there is none at all"):
        choose([], "gone", None, secrets())


def test_the_demo_stands_in_for_a_missing_key_and_for_nothing_else() -> None:
    mute = read_spec(entry("mute", meta={"capabilities": ["generate"]}))
    strange = read_spec(entry("strange", data={"providers": [{"id": "wippy.llm.claude:provider"}]}))
    strayed = read_spec(entry("strayed", base_url="http://x.example/v1"))
    specs = [*seed().values(), mute, strange, strayed]
    for agent, known, line in (
        ("mute", {"OPENAI_API_KEY": KEY}, "mute cannot call tools"),
        ("strange", {"OPENAI_API_KEY": KEY}, "no provider for"),
        ("strayed", {"OPENAI_API_KEY": KEY}, "app:strayed names its own server and a key"),
        ("gpt-5.1", {"OPENAI_BASE_URL": "localhost:11434/v1"}, "OPENAI_BASE_URL is no http"),
        ("reasoning", {"OPENAI_BASE_URL": "localhost:11434/v1"}, "OPENAI_BASE_URL is no http"),
        ("gpt-5.1", {"OPENAI_API_KEY": "schlüssel"}, "holds characters that no key has"),
    ):
        with pytest.raises(ModelError, match=line):
            choose(specs, None, agent, known.get)
    assert choose(specs, None, "fast", secrets()).spec.name == "demo"


def test_the_demo_does_not_stand_in_once_a_model_has_answered() -> None:
    with pytest.raises(ModelError, match=r"^gpt-5\.1 needs a key: set OPENAI_API_KEY"):
        choose(list(seed().values()), None, "gpt-5.1", secrets(), begun=True)


def test_without_a_demo_entry_there_is_a_clear_end() -> None:
    with pytest.raises(ModelError, match=r"no model can run .*OPENAI_API_KEY"):
        choose([seed()["gpt-5.1"]], None, "gpt-5.1", secrets())


def test_entry_of_an_unknown_provider() -> None:
    spec = read_spec(entry(data={"providers": [{"id": "wippy.llm.claude:provider"}]}))
    assert "no provider for 'wippy.llm.claude:provider'" in (obstacle(spec, secrets(OPENAI_API_KEY=KEY)) or "")
    both = entry(data={"providers": [{"id": "wippy.llm.claude:provider"}, {"id": "micro_agi:demo"}]})
    assert obstacle(read_spec(both), secrets()) is None


# Where a key may go


def endpoint(made_of: Entry, **known: str) -> Any:
    spec = read_spec(made_of)
    return endpoint_of(spec, spec.providers[0], known.get)


def test_key_goes_to_the_default_or_to_the_users_server() -> None:
    assert (endpoint(entry(), OPENAI_API_KEY=KEY).url, endpoint(entry(), OPENAI_API_KEY=KEY).key) == (OPENAI_URL, KEY)
    users = endpoint(entry(), OPENAI_API_KEY=KEY, OPENAI_BASE_URL=LOCAL)
    assert (users.url, users.key, users.of_entry) == (LOCAL, KEY, False)
    assert endpoint(entry(), OPENAI_BASE_URL=LOCAL).key is None
    assert endpoint(entry(api_key_env="OTHER"), OTHER=KEY, OPENAI_API_KEY="x").key == KEY
    named = endpoint(entry(base_url=LOCAL + "/"), OPENAI_API_KEY=KEY, OPENAI_BASE_URL=LOCAL)
    assert (named.key, named.of_entry) == (KEY, False)


@pytest.mark.parametrize("options", [{}, {"api_key_env": "OPENAI_API_KEY"}, {"api_key_env": "OTHER"}])
@pytest.mark.parametrize("known", [{}, {"OPENAI_API_KEY": KEY}, {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": LOCAL}])
def test_entry_cannot_pair_its_own_server_with_a_key(options: dict[str, str], known: dict[str, str]) -> None:
    url = "https://api.openai.com.evil.example/v1"
    with pytest.raises(ModelError, match="no key goes to a server that an entry names") as caught:
        endpoint(entry(base_url=url, **options), OTHER=KEY, **known)
    assert KEY not in str(caught.value)


def test_entry_with_its_own_server_and_no_key_needs_nothing() -> None:
    for known in ({}, {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://elsewhere.example/v1"}):
        local = endpoint(entry(base_url=LOCAL, api_key_env="none"), **known)
        assert (local.url, local.key, local.of_entry) == (LOCAL, None, True)


@pytest.mark.parametrize(
    "url", ["localhost:11434", "ftp://x/v1", "http://", "http://[::1", "http://x:0/", "http://a b/"]
)
def test_address_that_is_none(url: str) -> None:
    with pytest.raises(ModelError, match="OPENAI_BASE_URL is no http"):
        endpoint(entry(), OPENAI_BASE_URL=url)
    with pytest.raises(ModelError, match="base_url of app:m is no http"):
        endpoint(entry(base_url=url, api_key_env="none"))


def test_endpoint_shows_neither_key_nor_password() -> None:
    found = endpoint(entry(), OPENAI_API_KEY=KEY, OPENAI_BASE_URL="http://user:password@127.0.0.1:1/v1?token=secret")
    assert KEY not in repr(found)
    assert found.shown == "http://127.0.0.1:1/v1"
    with pytest.raises(ModelError) as caught:
        endpoint(entry(), OPENAI_BASE_URL="ftp://user:password@host/v1")
    assert "password" not in str(caught.value)


def test_opening_a_model_does_not_import_the_client() -> None:
    code = (
        "import sys, micro_agi_kernel.models as m\n"
        "from micro_agi_kernel.models.catalog import ModelSpec, Provider\n"
        "from micro_agi_kernel.entries import EntryId\n"
        f"p = Provider({PROVIDER!r}, 'x')\n"
        "m.open_model(ModelSpec(EntryId.parse('app:x'), 'x', '', (p,), 1, 1), {'OPENAI_API_KEY': 'k'}.get)\n"
        "heavy = {'openai', 'httpx', 'httpx2', 'yaml', 'tiktoken'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_preload_imports_the_client_in_the_background() -> None:
    code = (
        "import sys, threading\n"
        "from micro_agi_kernel.models.openai import preload\n"
        "assert 'openai' not in sys.modules\n"
        "preload()\n"
        "[thread.join() for thread in threading.enumerate() if thread.name == 'preload-openai']\n"
        "assert {'openai', 'httpx'} <= {*sys.modules}, 'the client uses httpx where it is, half imported or not'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
