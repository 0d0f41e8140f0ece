"""Finding tools that do already what a new one is for: none among different tools, most among paraphrases."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from registry_kit import create, delete, plant, tool, update, write

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.registry import Registry, Snapshot, sidecar_query
from micro_agi_kernel.registry.words import ALIKE, likeness, purpose

TASKS = [
    yaml.safe_load(path.read_text())["tool"] for path in sorted(Path(__file__).parents[1].glob("corpus/tasks/*.yaml"))
]
NOTHING = "return { handler = function() end, name = %r }"

PARAPHRASES = {
    "business_days": (
        "working_days",
        "Counts the business days between two dates, leaving out weekends and holidays.",
    ),
    "check_links": ("link_check", "Checks a list of links and reports the broken ones."),
    "convert_time_zone": ("meeting_times", "Shows what time a meeting is in several time zones."),
    "count_words": ("text_stats", "Counts the words, characters and sentences of a text."),
    "currency_converter": (
        "convert_currency",
        "Converts an amount from one currency to another with the current exchange rates of the ECB.",
    ),
    "decode_jwt": ("inspect_jwt", "Decodes a JSON Web Token and shows its header and claims and if it has expired."),
    "mask_pii": ("redact_text", "Masks e-mail addresses, IP addresses and credit card numbers in a text."),
    "money_format": ("format_money", "Formats an amount of money in the style of a locale."),
    "parse_csv": ("csv_to_records", "Parses CSV text with a header row into a list of objects."),
    "slugify": ("slug", "Makes a URL slug from a title: lower-case letters, digits and hyphens."),
    "sort_semver": ("compare_versions", "Sorts semantic version numbers and tells which one is the newest."),
    "split_markdown": ("markdown_sections", "Splits Markdown into sections by its headings."),
    "stripe_signature": (
        "sign_webhook",
        "Computes the Stripe-Signature header for a payload with the webhook secret.",
    ),
    "totp": ("totp_code", "Generates the current TOTP one-time password from a Base32 secret."),
    "verify_github_webhook": (
        "check_github_signature",
        "Verifies the signature of a GitHub webhook against the secret.",
    ),
    "yaml2json": ("yaml_to_json", "Converts YAML text into JSON."),
    # What shares too few words is not found; nor would it be, were the bar as low as different tools allow.
    "age_of_person": ("", "Computes the age of a person and the days until the next birthday."),
    "strip_tracking": ("", "Strips tracking parameters such as utm_source from a web address."),
    "word_frequency": ("", "Finds the most frequent words in a text, ignoring stop words."),
    "check_uuid": ("", "Checks whether a string is a valid UUID and tells its version."),
}


def made(name: str, description: str, source: str = "") -> Entry:
    """A tool as create_tool writes it."""
    return tool(name, source or NOTHING % name, title=name, comment=description, llm_description=description)


def names(snapshot: Snapshot, entry: Entry) -> list[tuple[str, str]]:
    return [(each.head.id.name, each.why) for each in snapshot.similar(entry)]


@pytest.fixture
def corpus(empty: Registry) -> Snapshot:
    plant(empty, *(made(task["name"], task["description"], task["source"]) for task in TASKS))
    return empty.snapshot()


def test_different_tools_are_not_taken_for_one_another(corpus: Snapshot) -> None:
    assert len(TASKS) == 30
    for task in TASKS:
        assert names(corpus, made(task["name"], task["description"], task["source"])) == []


def test_paraphrases_are_found(corpus: Snapshot) -> None:
    assert len([meant for meant, _ in PARAPHRASES.values() if meant]) == 16
    for name, (meant, description) in PARAPHRASES.items():
        found = [other for other, why in names(corpus, made(name, description)) if why == "similar purpose"]
        assert (meant in found) if meant else not found, (name, found)


def test_the_same_code_is_found_whatever_it_is_called(corpus: Snapshot) -> None:
    for task in TASKS[:5]:
        source = "-- mine\n" + task["source"].replace("\n", "\n  ")
        found = names(corpus, made("entirely_other", "Plays a game.", source))
        assert found == [(task["name"], "same code")]
    first = TASKS[0]
    assert names(corpus, made("another", first["description"], first["source"])) == [(first["name"], "same code")]


def test_only_tools_as_they_stand_are_found(registry: Registry) -> None:
    described = "Counts the sheep of a herd."
    write(registry, create(made("sheep", described), made("herd", "Of no interest", NOTHING % "sheep")))
    library = Entry(made("flock", "").id, "library.lua", {"comment": described}, {"source": NOTHING % "sheep"})
    write(registry, create(library))
    before = registry.snapshot()
    wanted = made("count_sheep", described, NOTHING % "sheep")
    assert sorted(names(before, wanted)) == [("herd", "same code"), ("sheep", "same code")]
    write(registry, update(made("sheep", "Plays a game.", NOTHING % "game")))
    assert names(registry.snapshot(), wanted) == [("herd", "same code")]
    write(registry, delete("app.generated:herd"))
    assert names(registry.snapshot(), wanted) == []
    assert len(names(before, wanted)) == 2, "each commit is asked as it stood"
    write(registry, create(wanted))
    assert names(registry.snapshot(), wanted) == [], "no tool is like itself"


def test_the_cost_does_not_follow_the_number_of_tools(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar_query, "MAX_HOLDERS", 5)
    write(registry, create(*(made(f"sheep_{n}", "Counts the sheep of a herd.") for n in range(40))))
    with monkeypatch.context() as patch:
        compared: list[object] = []
        patch.setattr("micro_agi_kernel.registry.similar.likeness", lambda *both: compared.append(both) or 0)
        registry.snapshot().similar(made("count_sheep", "Counts the sheep of a herd."))
    assert 0 < len(compared) <= 5
    assert len(names(registry.snapshot(), made("count_sheep", "Counts the sheep of a herd."))) == 5


def test_words_of_any_script_and_of_no_meaning(registry: Registry) -> None:
    write(
        registry,
        create(made("weather", "查询北京的天气预报"), made("odd", '"*" AND NEAR(xx) -yy {tt}: \0'), made("x", "")),
    )
    assert names(registry.snapshot(), made("tianqi", "查询天气预报")) == [("weather", "similar purpose")]
    assert names(registry.snapshot(), made("strange", '"*" AND NEAR(xx) -yy {tt}: \0')) == [("odd", "similar purpose")]
    assert names(registry.snapshot(), made("y", "the of and")) == []
    assert names(registry.snapshot(), made("z", "a " * 50_000 + "b" * 50_000)) == []


def test_the_way_of_a_conversion_counts() -> None:
    to = purpose("csv_to_json", {"comment": "Turns CSV into JSON"})
    back = purpose("json_to_csv", {"comment": "Turns JSON into CSV"})
    again = purpose("csv_as_json", {"comment": "Makes CSV to JSON"})
    assert likeness(to, back) < ALIKE < likeness(to, again) and likeness(to, to) == 1
    assert purpose("links", {"title": "Checking"}) == {"link": 2, "check": 2}
    assert likeness({}, {}) == 0
