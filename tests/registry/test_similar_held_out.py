"""How well tools of the same purpose are found: on purposes that the measure was not made with, and by adversaries.

The floors are what was measured, not what was aimed at. A change of words.py may raise them; it may not be fitted to
these purposes, or they say nothing any more.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from registry_kit import plant, tool

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.registry import Registry, Snapshot

PURPOSES = yaml.safe_load((Path(__file__).parent / "held_out_purposes.yaml").read_text())
FIRST, SECOND = ([next(iter(pair[n].items())) for pair in PURPOSES["pairs"]] for n in (0, 1))
OTHERS = [next(iter(other.items())) for other in PURPOSES["others"]]

PADDING = " Handles every input with care, is fast and reliable, and reports clear errors when something is wrong." * 3
LENGTHY = (
    " It accepts the weight of an adult in kilograms and the height in meters, divides the first by the square of the "
    "second, rounds to one decimal place, and names the category of the World Health Organization (underweight, "
    "normal, overweight, obese). Pounds and inches can be given instead, and are converted before anything else."
)
ADVERSARIES = {
    "padding": ("is_prime", "Checks if a given integer is a prime number." + PADDING, True),
    "a long description": ("calculate_bmi", "Calculates the Body Mass Index (BMI) of a person." + LENGTHY, True),
    "a name that says nothing": ("helper_two", "Returns the moon phase for a given date.", True),
    "two purposes in one": ("palindrome_and_moon", "Tells whether a text reads backwards, or the moon phase.", True),
    "one long sentence": ("calculate_bmi", "Calculates the BMI" + LENGTHY.replace(" It accepts", " of", 1), False),
    "synonyms throughout": ("lunar_state", "Says how full earth's satellite looks at some day.", False),
    "another language": ("mondphase", "Berechnet die Phase des Mondes an einem Datum.", False),
}
"""A tool that is there already, worded so that it may slip through, and whether it is found."""
MEANT = {"is_prime": "prime_check", "calculate_bmi": "bmi"}


def made(name: str, description: str) -> Entry:
    source = f"return {{ handler = function() return {name!r} end }}"
    return tool(name, source, title=name, comment=description, llm_description=description)


def names(snapshot: Snapshot, wanted: tuple[str, str]) -> list[str]:
    return [each.head.id.name for each in snapshot.similar(made(*wanted))]


@pytest.fixture
def first(empty: Registry) -> Snapshot:
    plant(empty, *(made(*each) for each in (*FIRST, *OTHERS)))
    return empty.snapshot()


def test_the_purposes_are_apart_from_those_that_the_measure_was_made_with() -> None:
    tasks = Path(__file__).parents[1].glob("corpus/tasks/*.yaml")
    known = {path.stem for path in tasks}
    told = [name for name, _ in (*FIRST, *SECOND, *OTHERS)]
    assert len(FIRST) == len(SECOND) == 20 and len(OTHERS) == 30
    assert len(set(told)) == len(told) and not known & set(told)


def test_fourteen_of_twenty_are_found(first: Snapshot) -> None:
    found = [meant for (meant, _), wanted in zip(FIRST, SECOND, strict=True) if meant in names(first, wanted)]
    assert len(found) >= 14, found


def test_two_of_thirty_are_asked_about_in_vain(first: Snapshot) -> None:
    asked = {name: found for name, text in OTHERS if (found := names(first, (name, text)))}
    assert sum(map(len, asked.values())) <= 2, asked


def test_a_paraphrase_is_seldom_taken_for_another_purpose(first: Snapshot) -> None:
    pairs = zip(FIRST, SECOND, strict=True)
    wrong = {wanted[0]: [n for n in names(first, wanted) if n != meant] for (meant, _), wanted in pairs}
    assert sum(map(len, wrong.values())) <= 2, wrong


@pytest.mark.parametrize("case", ADVERSARIES)
def test_what_slips_through(first: Snapshot, case: str) -> None:
    name, description, is_found = ADVERSARIES[case]
    assert (MEANT.get(name, "moon_phase") in names(first, (name, description))) == is_found
