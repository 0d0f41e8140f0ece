"""Go's time on plain integers: what the Lua module lacks, to Go's tables, and what those tables leave open."""

from __future__ import annotations

import pytest
from conformance_kit import vectors

from micro_agi_kernel import go_time
from micro_agi_kernel.go_time import UTC, Time, Zone, date, load_zone, parse_time

RFC3339 = "2006-01-02T15:04:05.999999999Z07:00"
BERLIN = load_zone("Europe/Berlin")


def shown(layout: str, text: str, zone: Zone = UTC) -> str:
    """What was read, and in which zone."""
    time = parse_time(layout, text, zone)
    return f"{time.format(RFC3339)} {time.zone.name}".strip()


# -- Go's tables


def test_weeks() -> None:
    cases = [case for case in vectors("go_time.jsonl") if case["kind"] == "iso_week"]
    assert len(cases) == 98
    for case in cases:
        found = go_time.iso_week(date(case["year"], case["month"], case["day"]).wall())
        assert found == (case["iso_year"], case["iso_week"]), case


def test_steps_of_durations() -> None:
    steps = {"duration_truncate": go_time.truncate_duration, "duration_round": go_time.round_duration}
    cases = [case for case in vectors("go_time.jsonl") if case["kind"] in steps]
    assert len(cases) == 30
    for case in cases:
        assert steps[case["kind"]](case["ns"], case["m"]) == case["want"], case


# -- reading


@pytest.mark.parametrize(
    ("layout", "text", "want"),
    [
        ("2006-01-02 15:04", "2024-07-01 12:00", "2024-07-01T12:00:00+02:00 Europe/Berlin"),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 CEST", "2024-07-01T12:00:00+02:00 Europe/Berlin"),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 CET", "2024-07-01T13:00:00+02:00 Europe/Berlin"),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 UTC", "2024-07-01T12:00:00Z UTC"),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 EST", "2024-07-01T12:00:00Z EST"),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 GMT+3", "2024-07-01T15:00:00+03:00 GMT+3"),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 GMT+24", None),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 ChST", "2024-07-01T12:00:00Z ChST"),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 WITA", "2024-07-01T12:00:00Z WITA"),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 +03", "2024-07-01T12:00:00Z +03"),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 +3", None),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 ABCD", None),
        ("2006-01-02 15:04 MST", "2024-07-01 12:00 ABCDEF", None),
        ("2006-01-02 15:04 Z07:00", "2024-07-01 12:00 +02:00", "2024-07-01T12:00:00+02:00 Europe/Berlin"),
        ("2006-01-02 15:04 Z07:00", "2024-07-01 12:00 +01:00", "2024-07-01T12:00:00+01:00"),
        ("2006-01-02 15:04 Z07:00", "2024-07-01 12:00 Z", "2024-07-01T12:00:00Z UTC"),
        ("2006-01-02 15:04 -0700 MST", "2024-07-01 12:00 +0200 CEST", "2024-07-01T12:00:00+02:00 Europe/Berlin"),
        ("2006-01-02 15:04 -0700 MST", "2024-07-01 12:00 +0200 EET", "2024-07-01T12:00:00+02:00 EET"),
    ],
)
def test_the_zone_of_a_text(layout: str, text: str, want: str | None) -> None:
    if want:
        assert shown(layout, text, BERLIN) == want
    else:
        with pytest.raises(ValueError, match="parsing time"):
            parse_time(layout, text, BERLIN)


@pytest.mark.parametrize(
    ("layout", "text", "want"),
    [
        ("06-1-2", "69-1-2", "1969-01-02T00:00:00Z"),
        ("06-1-2", "68-1-2", "2068-01-02T00:00:00Z"),
        ("3:04PM", "12:00AM", "0000-01-01T00:00:00Z"),
        ("3:04PM", "12:00PM", "0000-01-01T12:00:00Z"),
        ("3:04pm", "1:05pm", "0000-01-01T13:05:00Z"),
        ("2006 __2", "2024 366", "2024-12-31T00:00:00Z"),
        ("2006 __2", "2024  60", "2024-02-29T00:00:00Z"),
        ("January 2 2006", "SEPTEMBER 9 2024", "2024-09-09T00:00:00Z"),
        ("15:04:05", "01:02:03.5", "0000-01-01T01:02:03.5Z"),
        ("15:04:05.99", "01:02:03", "0000-01-01T01:02:03Z"),
        ("15:04:05.99", "01:02:03.12345678987", "0000-01-01T01:02:03.123456789Z"),
        ("15:04:05.000", "01:02:03.+12", "0000-01-01T01:02:03.012Z"),
        ("", "", "0000-01-01T00:00:00Z"),
        ("2006  -  ", "2024 - ", "2024-01-01T00:00:00Z"),
        ("2006 ", "2024", "2024-01-01T00:00:00Z"),
        ("2006\n01", "2024\n02", "2024-02-01T00:00:00Z"),
    ],
)
def test_what_is_read(layout: str, text: str, want: str) -> None:
    assert shown(layout, text) == f"{want} UTC"


@pytest.mark.parametrize(
    ("layout", "text", "words"),
    [
        ("2006-01-02", "2024-13-01", "month out of range"),
        ("2006-01-02", "2024-00-01", "month out of range"),
        ("2006-01-02", "2024-01-00", "day out of range"),
        ("2006-01-02", "2023-02-29", "day out of range"),
        ("2006 002", "2023 366", "day-of-year out of range"),
        ("2006 002", "2023 000", "day-of-year out of range"),
        ("3PM", "13PM", "hour out of range"),
        ("15:04:05", "10:00:60", "second out of range"),
        ("-07:00", "+25:00", "time zone offset hour out of range"),
        ("-07:00", "+24:61", "time zone offset minute out of range"),
        ("15:04:05", "1:2:3", 'cannot parse "2:3" as "04"'),
        ("2006", "２０２４", 'cannot parse "\\xef\\xbc\\x92'),
        ("Jan", "Ju", 'cannot parse "Ju" as "Jan"'),
        ("2006", "2024 ", 'extra text: " "'),
        ("2006 ", "2024x", 'cannot parse "x" as " "'),
        ("2006", "2024" + "x" * 10_000, 'extra text: "' + "x" * 256 + '"'),
    ],
)
def test_what_is_refused(layout: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match="parsing time") as caught:
        parse_time(layout, text)
    assert words in str(caught.value)


def test_a_long_text_is_read_in_no_time() -> None:
    for text in ("9" * 100_000, " " * 100_000, "GMT+" + "0" * 100_000, "." + "9" * 100_000 + "!"):
        for layout in ("2006", "_2", "MST", ".999", "Monday", "-07:00:00", "05" * 1000):
            with pytest.raises(ValueError, match="parsing time"):
                parse_time(layout, text)
        with pytest.raises(ValueError, match="duration"):
            go_time.parse_duration(text)


# -- zones


def test_a_zone_without_limits() -> None:
    newyork = load_zone("America/New_York")
    assert newyork.at(-(10**18)) == (-17_762, "LMT")
    assert newyork.at(10**18)[1] in ("EST", "EDT")
    for day in range(1, 367):
        assert newyork.at(date(2_424, 1, day).seconds) == newyork.at(date(40_024, 1, day).seconds)


def test_zones_by_name() -> None:
    assert load_zone("") == load_zone("UTC") == load_zone("Local") == UTC == Zone("UTC", 0)
    assert load_zone("Europe/Berlin") == Zone("Europe/Berlin", None)
    for name in ("Mars/Olympus", "europe/berlin", "../zones", "/etc/passwd", "Europe", "x\0"):
        with pytest.raises(ValueError, match="unknown time zone"):
            load_zone(name)


def test_the_offset_of_an_abbreviation() -> None:
    summer, winter = date(2024, 7, 1).seconds, date(2024, 1, 1).seconds
    assert BERLIN.offset_named("CEST", summer) == 7_200
    assert BERLIN.offset_named("CET", winter) == 3_600
    assert BERLIN.offset_named("CEST", winter) == 7_200, "it is the only one of that name"
    assert BERLIN.offset_named("EST", summer) is None
    # Seoul has had two offsets of that name: on the morning of the change it is the one that is over.
    seoul = load_zone("Asia/Seoul")
    assert seoul.offset_named("KST", date(1955, 5, 5).seconds) == 32_400
    assert seoul.offset_named("KST", date(1955, 5, 6).seconds) == 30_600
    assert Zone("EST", -18_000).offset_named("EST", 0) == -18_000


def test_every_zone_can_be_read() -> None:
    go_time.preload_zones()


# -- moments


def test_equal_moments_in_different_zones() -> None:
    time = Time(0, 5)
    assert time != time.in_zone(BERLIN)
    assert time.instant == time.in_zone(BERLIN).instant == 5
    assert time.sub(go_time.at_instant(-5)) == 10


def test_a_difference_has_64_bits() -> None:
    assert Time(10**18, 0).sub(Time(-(10**18), 0)) == go_time.MAX_INT64
    assert Time(-(10**18), 0).sub(Time(10**18, 0)) == go_time.MIN_INT64


@pytest.mark.parametrize("step", [0, -1])
def test_a_step_that_is_none_changes_nothing(step: int) -> None:
    time = Time(1, 999_999_999)
    assert time.truncate(step) == time.round(step) == time
    assert go_time.truncate_duration(7, step) == go_time.round_duration(7, step) == 7


def test_numbers_of_any_size() -> None:
    far = date(10**30, 1, 1)
    assert far.wall().year == 10**30
    assert far.add_date(-(10**30), 0, 0).format("2006") == "0000"
    assert date(-5, 1, 1).format("2006 06") == "-0005 05"


def test_a_clock_time_that_is_skipped_or_comes_twice() -> None:
    assert date(2024, 3, 31, 2, 30, zone=BERLIN).format(RFC3339) == "2024-03-31T03:30:00+02:00"
    assert date(2024, 10, 27, 2, 30, zone=BERLIN).format(RFC3339) == "2024-10-27T02:30:00+01:00"


def test_a_zone_without_a_name() -> None:
    assert Time(0, 0, Zone("", 19_800)).format("MST") == "+0530"
    assert Time(0, 0, Zone("", -7_200)).format("MST") == "-0200"
