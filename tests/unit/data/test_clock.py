"""Clocks and time zones: changes of the clocks, days of 23 and 25 hours, and hours that occur twice."""

from __future__ import annotations

import numpy as np
import pytest

from sslwear.data.files.clock import Clock, LocalTimes, edges, texts, to_instants, to_local
from sslwear.data.files.recording_format import Reading
from sslwear.errors import SettingsError

LONDON = "Europe/London"
HOUR = 3600 * 10**9


def ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


@pytest.mark.parametrize(
    ("zone", "begin", "hours"),
    [
        (LONDON, "2024-03-30T12:00", [24, 23, 24]),
        (LONDON, "2024-10-26T12:00", [24, 25, 24]),
        ("America/Sao_Paulo", "2018-11-03T12:00", [24, 23, 24]),  # midnight does not occur
        ("Australia/Lord_Howe", "2024-04-06T00:00", [24, 24.5, 24]),
        ("Asia/Kathmandu", "2024-04-06T00:00", [24, 24, 24]),
        (None, "2024-03-30T12:00", [24, 24, 24]),
    ],
)
def test_days_begin_at_the_local_midnight_and_have_their_length(
    zone: str | None, begin: str, hours: list[float]
) -> None:
    first = ns(begin)
    found = edges(first, first + 48 * HOUR, "day", zone)
    assert (np.diff(found) / HOUR).tolist() == hours
    assert found[0] <= first < found[1]
    dates = to_local(found, zone).view("datetime64[ns]").astype("datetime64[D]")
    assert np.diff(dates).astype(int).tolist() == [1] * len(hours)


def test_the_hour_that_occurs_twice_is_there_twice_and_has_two_offsets() -> None:
    found = edges(ns("2024-10-26T23:30"), ns("2024-10-27T02:30"), "hour", LONDON)
    assert texts(found, LONDON, "s") == [
        "2024-10-27 00:00:00+01:00",
        "2024-10-27 01:00:00+01:00",
        "2024-10-27 01:00:00+00:00",
        "2024-10-27 02:00:00+00:00",
        "2024-10-27 03:00:00+00:00",
    ]
    assert texts(np.array([ns("2024-01-01T00:00:00.5")]), "America/St_Johns") == ["2023-12-31 20:30:00.500-03:30"]


def test_a_clock_that_was_set_at_the_start_does_not_follow_the_change() -> None:
    clock = Clock.set_at(LONDON, ns("2024-03-30T12:00"))  # winter time: no shift
    assert clock.instants(np.array([ns("2024-04-01T12:00")])).tolist() == [ns("2024-04-01T12:00")]
    assert clock.time_of(np.datetime64("2024-04-01T12:00")) == ns("2024-04-01T11:00")
    summer = Clock.set_at(LONDON, ns("2024-10-26T12:00"))
    assert summer.instants(np.array([ns("2024-10-28T12:00")])).tolist() == [ns("2024-10-28T11:00")]
    assert Clock.set_at(None, 5) == Clock()


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_local_times_over_the_end_of_summer_time_become_instants_that_increase(size: int) -> None:
    instants = ns("2024-10-26T23:00") + np.arange(4 * 360) * 10 * 10**9
    local = to_local(instants, LONDON)
    convert = LocalTimes(LONDON)
    found = np.concatenate([convert(local[i : i + size]) for i in range(0, len(local), size)])
    np.testing.assert_array_equal(found, instants)


def test_a_recording_within_the_second_round_of_the_hour_is_taken_for_the_first() -> None:
    assert LocalTimes(LONDON)(np.array([ns("2024-10-27T01:30")])).tolist() == [ns("2024-10-27T00:30")]


def test_a_local_time_that_does_not_occur_shows_that_the_clock_did_not_follow() -> None:
    with pytest.raises(
        ValueError, match=r"01:30:00 does not occur in Europe/London, so that .* leave out --clock local"
    ):
        LocalTimes(LONDON)(np.array([ns("2024-03-31T00:30"), ns("2024-03-31T01:30")]))


def test_single_local_times_have_one_instant() -> None:
    times = np.array([ns("2024-03-31T01:30"), ns("2024-10-27T01:30")])
    assert to_instants(times, LONDON).tolist() == [ns("2024-03-31T01:00"), ns("2024-10-27T00:30")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"zone": "Europe/Londn"}, "--timezone Europe/Londn is not in the time zone database"),
        ({"zone": "../etc/passwd"}, "is not in the time zone database"),
        ({"clock": "wall"}, "--clock wall is unknown. Write fixed or local"),
        ({"clock": "local"}, "--clock local needs a time zone"),
        ({"start": "yesterday"}, "--start yesterday is not a date and time"),
        ({"start": "2024"}, "--start 2024 is not a date and time"),
        ({"end": "2024-05-01T00:00+01:00"}, r"--end .* is not a date and time"),
        ({"start": "2024-05-02", "end": "2024-05-01 23:00"}, "--start 2024-05-02 is not before --end"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Reading(**options)  # type: ignore[arg-type]
