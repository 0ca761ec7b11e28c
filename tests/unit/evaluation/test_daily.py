"""Minutes a day and an hour add up, and windows count where they lie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.evaluation.daily import LabelledRecording, minutes


def labelled(
    begin: str, seconds: list[float], codes: list[int], window_s: float = 10, end: str = ""
) -> LabelledRecording:
    first = np.datetime64(begin, "ns")
    start = first + np.rint(np.array(seconds) * 1e9).astype("timedelta64[ns]")
    last = np.datetime64(end, "ns") if end else first
    return LabelledRecording(
        "anna", ("rest", "walk"), start, window_s, np.array(codes, int), np.ones(len(codes)), first, last
    )


def test_a_window_over_midnight_counts_on_both_days() -> None:
    found = labelled("2024-05-01T23:59:44", [0, 10, 20], [0, 1, -1])
    days = minutes(found, "day")
    assert days.columns.tolist() == ["day", "minutes_rest", "minutes_walk", "nonwear_minutes", "missing_minutes"]
    assert days["day"].astype(str).tolist() == ["2024-05-01", "2024-05-02"]
    np.testing.assert_allclose(days["minutes_rest"] * 60, [10, 0])
    np.testing.assert_allclose(days["minutes_walk"] * 60, [6, 4])
    np.testing.assert_allclose(days["nonwear_minutes"] * 60, [0, 10])
    np.testing.assert_allclose(days["missing_minutes"], [1440 - 16 / 60, 1440 - 14 / 60])


def test_hours_without_windows_are_there() -> None:
    found = labelled("2024-05-01T10:30", [0, 3 * 3600], [0, 1], end="2024-05-01T14:10")
    hours = minutes(found, "hour")
    assert hours["hour"].dt.hour.tolist() == [10, 11, 12, 13, 14]
    np.testing.assert_allclose(hours["missing_minutes"], [60 - 1 / 6, 60, 60, 60 - 1 / 6, 60])


@given(
    starts=st.lists(st.integers(0, 30_000), unique=True, max_size=40),
    begin=st.integers(0, 86_399),
    codes=st.lists(st.integers(-1, 1), min_size=40, max_size=40),
    window_s=st.sampled_from([4, 10, 30, 2000]),
)
def test_nothing_is_lost_and_days_are_the_sums_of_their_hours(starts, begin, codes, window_s) -> None:
    seconds = [window_s * start for start in sorted(starts)]
    moment = str(np.datetime64("2024-02-28") + np.timedelta64(begin, "s"))
    found = labelled(moment, seconds, codes[: len(seconds)], window_s)
    days, hours = minutes(found, "day"), minutes(found, "hour")
    columns = days.columns[1:]
    assert (days[columns] >= 0).all(axis=None)
    np.testing.assert_allclose(days[columns].sum(axis=1), 1440)
    np.testing.assert_allclose(hours[columns].sum(axis=1), 60)
    for i, column in enumerate(["nonwear_minutes", "minutes_rest", "minutes_walk"]):
        assert days[column].sum() * 60 == pytest.approx(window_s * codes[: len(seconds)].count(i - 1))
        summed = hours.groupby(hours["hour"].dt.floor("D"))[column].sum()
        np.testing.assert_allclose(days.set_index(pd.DatetimeIndex(days["day"]))[column], summed, atol=1e-9)


def test_a_window_longer_than_an_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="a window of 4000 s is longer than an hour"):
        minutes(labelled("2024-05-01T10:30", [0], [0], 4000), "hour")
