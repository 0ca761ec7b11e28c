"""Minutes, days, bouts and people of labelled recordings, also over changes of the clocks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.data.files.quality import Quality
from sslwear.errors import SettingsError
from sslwear.evaluation.bouts import bouts
from sslwear.evaluation.counting import CountingRule
from sslwear.evaluation.daily import MISSING, LabelledRecording, minutes
from sslwear.evaluation.day_table import day_table, uncovered_hours
from sslwear.evaluation.minute_table import MinuteTable, joined, minute_table
from sslwear.evaluation.oxwearables import oxwearables_row
from sslwear.evaluation.people import RecordingSummary, person

CLASSES = ("sleep", "walking")
LONDON = "Europe/London"
QUALITY = Quality("CSV", 50.0, 1000, True, 12.0, 3.0, 0.002, 2, 5.0, 1, 3)
ANY = CountingRule(min_wear_h=0, min_days=1)


def labelled(
    begin: str,
    codes: np.ndarray,
    window_s: float = 60.0,
    zone: str | None = None,
    enmo_mg: float = 10.0,
    gaps: np.ndarray | None = None,
    rest_s: float = 0.0,
) -> LabelledRecording:
    """A recording of windows side by side; `gaps` are seconds without data before each window."""
    first = np.datetime64(begin, "ns").astype(np.int64)
    after = np.cumsum(np.zeros(len(codes)) if gaps is None else gaps)
    start = first + np.rint((np.arange(len(codes)) * window_s + after) * 1e9).astype(np.int64)
    end = (start[-1] if len(start) else first) + round((window_s + rest_s - 0.02) * 1e9)  # the last sample
    moments = [np.datetime64(int(one), "ns") for one in (first, end)]
    enmo = np.full(len(codes), enmo_mg, np.float32)
    return LabelledRecording("anna", CLASSES, start.view("datetime64[ns]"), window_s, codes, enmo, *moments, zone)


def summary(found: LabelledRecording, name: str = "anna", **others: Any) -> RecordingSummary:
    return RecordingSummary(name, f"{name}.csv", minute_table(found), QUALITY, **others)


def row_of(*found: LabelledRecording, rule: CountingRule = ANY) -> dict[str, Any]:
    recordings = [summary(one, f"r{i}") for i, one in enumerate(found)]
    return dict(person("anna", recordings, CLASSES, rule, {"model": "m"}).row)


@given(
    begin=st.sampled_from(["2024-03-30T20:10:03.25", "2024-10-26T22:59:58", "2024-06-01T00:00", "2024-10-27T00:30"]),
    zone=st.sampled_from([None, LONDON, "Australia/Lord_Howe", "Asia/Kathmandu"]),
    window_s=st.sampled_from([2.0, 10.0, 30.0, 700.0]),
    parts=st.lists(st.tuples(st.integers(-1, 1), st.integers(1, 300), st.floats(0, 90_000)), min_size=1, max_size=5),
    second=st.floats(-50_000, 50_000),
    rest_s=st.floats(0, 9),
)
def test_classes_nonwear_and_gaps_add_up_to_the_length_of_the_recordings(
    begin: str,
    zone: str | None,
    window_s: float,
    parts: list[tuple[int, int, float]],
    second: float,
    rest_s: float,
) -> None:
    codes = np.concatenate([np.full(count, code) for code, count, _ in parts])
    gaps = np.zeros(len(codes))
    gaps[np.cumsum([0, *(count for _, count, _ in parts[:-1])])] = [0, *(gap for _, _, gap in parts[1:])]
    one = labelled(begin, codes, window_s, zone, gaps=gaps, rest_s=rest_s)
    first, last = one.limits
    for unit, length in (("day", None), ("hour", None)):
        table = minutes(one, unit)  # type: ignore[arg-type]
        known = table.drop(columns=[unit, MISSING]).to_numpy().sum()
        assert known == pytest.approx(len(codes) * window_s / 60)
        assert (table[MISSING] >= -1e-9).all(), length
    days = day_table(minute_table(one), ANY)
    whole = days[[*(f"minutes_{name}" for name in CLASSES), "nonwear_minutes", "missing_minutes"]].sum(axis=1)
    np.testing.assert_allclose(whole, days["length_minutes"])
    np.testing.assert_allclose(days["length_minutes"], minutes(one, "day").iloc[:, 1:].sum(axis=1)[: len(days)])
    row = row_of(one)
    total = (
        sum(row[f"total_minutes_{name}"] for name in CLASSES) + row["total_nonwear_minutes"] + row["total_gap_minutes"]
    )
    assert total == pytest.approx((last - first) / 6e10)
    shifted = replace(
        one,
        start=one.start + np.timedelta64(round(second * 1e9), "ns"),
        begin=one.begin + np.timedelta64(round(second * 1e9), "ns"),
        end=one.end + np.timedelta64(round(second * 1e9), "ns"),
    )
    both = row_of(one, shifted)
    union = (last - first) * 2 - max(0, (last - first) - abs(round(second * 1e9)))
    total = sum(both[f"total_minutes_{name}"] for name in CLASSES)
    total += both["total_nonwear_minutes"] + both["total_gap_minutes"]
    assert total == pytest.approx(union / 6e10)
    assert both["recording_minutes"] == pytest.approx(union / 6e10)


def test_days_of_23_and_25_hours_have_their_length_and_hours() -> None:
    for begin, length, hours in (("2024-03-31T00:00", 1380, 23), ("2024-10-26T23:00", 1500, 25)):
        found = labelled(begin, np.zeros(length, np.int64), 60.0, LONDON)
        days = minutes(found, "day")
        assert days[["minutes_sleep", MISSING]].to_numpy().tolist() == [[length, 0]]
        assert len(minutes(found, "hour")) == hours
        (day,) = day_table(minute_table(found), CountingRule(cover="day")).to_dict("records")
        assert (day["length_minutes"], day["minutes_sleep"], day["counted"]) == (length, length, True)
        assert day["hours_without_wear"] == 0
        assert day["day"] == pd.Timestamp("2024-03-31" if hours == 23 else "2024-10-27")


def test_hours_in_a_time_zone_have_offsets() -> None:
    found = labelled("2024-10-27T00:00", np.zeros(120, np.int64), 60.0, LONDON)
    assert minutes(found, "hour")["hour"].astype(str).tolist() == [
        "2024-10-27 01:00:00+01:00",
        "2024-10-27 01:00:00+00:00",
    ]


def test_bouts_end_at_gaps_non_wear_and_other_classes() -> None:
    codes = np.array([0, 0, 1, 1, -1, 1, 0, 0])
    gaps = np.array([0, 0, 0, 0, 0, 0, 0, 5.0])
    found = labelled("2024-05-01T12:00", codes, 30.0, gaps=gaps)
    found = replace(found, enmo_mg=np.array([1, 3, 10, 20, 99, 7, 5, 6], np.float32))
    table = bouts(found)
    assert table["class"].tolist() == ["sleep", "walking", "walking", "sleep", "sleep"]
    assert table["minutes"].tolist() == [1, 1, 0.5, 0.5, 0.5]
    assert table["windows"].tolist() == [2, 2, 1, 1, 1]
    assert table["enmo_mg"].tolist() == [2, 15, 7, 5, 6]
    assert table["start"].tolist()[1] == "2024-05-01 12:01:00.000"
    assert table["end"].tolist()[-1] == "2024-05-01 12:04:05.000"
    assert (table["minutes"].sum() * 60).item() == 30 * (codes >= 0).sum()
    zoned = bouts(replace(found, zone=LONDON))
    assert zoned["start"].iloc[0] == "2024-05-01 13:00:00.000+01:00"
    assert bouts(replace(found, codes=np.full(8, -1))).empty
    assert bouts(labelled("2024-05-01", np.empty(0, np.int64))).empty


def test_a_table_of_minutes_is_read_as_it_was_written(tmp_path: Any) -> None:
    found = minute_table(labelled("2024-05-01T12:00:30", np.array([0, 1, -1, 1]), 45.0, LONDON))
    found.table().to_parquet(tmp_path / "m.parquet", index=False)
    span = (int(found.spans[0, 0]), int(found.spans[0, 1]))
    again = MinuteTable.from_table(pd.read_parquet(tmp_path / "m.parquet"), CLASSES, LONDON, span)
    for name in ("spans", "minute", "seconds", "nonwear", "enmo_mg"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert found.seconds.tolist() == [[30, 0], [15, 45], [0, 15], [0, 30]]
    assert found.nonwear.tolist() == [0, 0, 45, 0]


def week(wear: dict[int, np.ndarray], start: str = "2024-05-06") -> LabelledRecording:
    """Whole days from a Monday on: the codes of the minutes of some days; others have no data."""
    codes = np.concatenate(list(wear.values()))
    rows = np.concatenate([np.arange(1440) + day * 1440 for day in wear])
    begin = np.datetime64(start, "ns")
    return LabelledRecording(
        "anna",
        CLASSES,
        begin + (rows * 60 * 10**9).astype("timedelta64[ns]"),
        60.0,
        codes,
        np.where(codes == 1, 100.0, 4.0).astype(np.float32),
        begin,
        begin + np.timedelta64(int(rows[-1] + 1) * 60, "s"),
    )


def day_of(sleep: int, off: int = 0) -> np.ndarray:
    """A day that begins with so many minutes of sleep, ends with so many of non-wear, and walks in between."""
    codes = np.ones(1440, np.int64)
    codes[:sleep] = 0
    codes[1440 - off :] = -1
    return codes


def test_time_without_wear_is_imputed_by_the_same_minute_of_other_days_of_its_kind() -> None:
    # Mon and Tue sleep 480 and 240 min, Wed lacks its first 480 min, Sat sleeps all day
    wednesday = day_of(0)
    wednesday[:480] = -1
    found = week({0: day_of(480), 1: day_of(240), 2: wednesday, 5: day_of(1440)})
    days = day_table(minute_table(found), CountingRule(min_wear_h=10))
    assert days["day"].dt.day.tolist() == [6, 7, 8, 9, 10, 11]  # the gap of two days is there
    assert days["reason"].tolist() == ["", "", "", "no data", "no data", ""]
    third = days.iloc[2]
    assert (third["minutes_sleep"], third["minutes_walking"], third["nonwear_minutes"]) == (0, 960, 480)
    assert third["minutes_sleep_imputed"] == pytest.approx(240 + 240 / 2)  # not Saturday's
    assert third["minutes_walking_imputed"] == pytest.approx(960 + 240 / 2)
    assert third["imputed_minutes"] == 480
    assert third["enmo_mg_imputed"] == pytest.approx((960 * 100 + 360 * 4 + 120 * 100) / 1440)
    assert days["minutes_sleep_imputed"].iloc[3] == pytest.approx(240 + 240 / 2)  # Thursday is imputed as a whole


def test_what_was_worn_on_no_other_day_is_not_imputed() -> None:
    found = week({0: day_of(480, off=60), 1: day_of(480, off=60)})
    days = day_table(minute_table(found), CountingRule(min_wear_h=10))
    assert days["minutes_sleep_imputed"].isna().all()
    row = row_of(found)
    assert math.isnan(row["minutes_sleep_imputed"])
    assert (row["minutes_sleep"], row["flag_not_imputed"], row["hours_never_worn"]) == (480, True, 1)
    assert uncovered_hours(minute_table(found), days) == 1


def test_means_are_over_days_that_count_overall_and_by_kind() -> None:
    found = week({0: day_of(480), 1: day_of(240), 2: day_of(480, off=900), 5: day_of(600), 6: day_of(0)})
    rule = CountingRule(min_wear_h=10, min_days=4, min_weekdays=2, min_weekend_days=2, cover="person")
    row = row_of(found, rule=rule)
    assert (row["counts"], row["why_not"]) == (True, "")
    assert (row["days"], row["counted_days"], row["counted_weekdays"], row["counted_weekend_days"]) == (7, 4, 2, 2)
    assert row["minutes_sleep"] == (480 + 240 + 600 + 0) / 4
    assert row["minutes_sleep_weekday"] == 360
    assert row["minutes_sleep_weekend"] == 300
    assert row["wear_minutes"] == 1440
    assert row["enmo_mg_weekend"] == pytest.approx((4 * 600 + 100 * (1440 - 600) + 100 * 1440) / 2880)
    assert row["flag_clock_change"] is False
    stricter = row_of(found, rule=replace(rule, min_days=5, min_weekdays=3))
    assert stricter["counts"] is False
    assert stricter["why_not"] == "fewer than 5 days that count; fewer than 3 weekdays that count"
    assert stricter["minutes_sleep"] == row["minutes_sleep"]  # a flag leaves nobody out


@pytest.mark.parametrize(("cover", "counted"), [("none", True), ("day", False), ("person", True)])
def test_a_day_may_have_to_be_worn_in_each_hour(cover: str, counted: bool) -> None:
    days = day_table(minute_table(week({0: day_of(480, off=120)})), CountingRule(cover=cover))
    assert days["counted"].tolist() == [counted]
    if not counted:
        assert days["reason"].tolist() == ["2 hours without wear"]


def test_a_person_may_have_to_be_worn_at_each_hour_of_the_clock() -> None:
    rule = CountingRule(min_days=1, cover="person")
    assert row_of(week({0: day_of(480, off=120)}), rule=rule)["why_not"] == "hours of the day that were never worn"
    assert row_of(week({0: day_of(480, off=120), 1: day_of(480)}), rule=rule)["counts"]


def test_recordings_of_a_person_are_joined_and_time_that_both_cover_counts_once() -> None:
    one = labelled("2024-05-06T00:00", np.zeros(600, np.int64))
    later = labelled("2024-05-06T09:00", np.ones(120, np.int64))
    apart = labelled("2024-06-06T00:00", np.ones(1440, np.int64))
    row = row_of(later, one, apart)
    assert row["total_minutes_sleep"] == 600
    assert row["total_minutes_walking"] == 60 + 1440
    assert (row["overlap_minutes"], row["flag_overlap"]) == (60, True)
    assert row["recording_minutes"] == 660 + 1440
    assert row["days"] == 2
    assert (row["interrupts"], row["clipped_share"]) == (6, pytest.approx(0.002))
    # two recordings that meet within a minute
    first, second = (
        labelled("2024-05-06T00:00", np.zeros(3, np.int64), 10.0),
        labelled("2024-05-06T00:00:30", np.ones(3, np.int64), 10.0),
    )
    whole = joined([minute_table(second), minute_table(first)])
    assert whole.seconds.tolist() == [[30, 30]]
    assert whole.overlap_s == 0


def test_a_recording_counts_from_the_second_in_which_an_earlier_one_ends() -> None:
    first, second = (
        labelled("2024-05-06T00:00", np.zeros(63, np.int64), 10.0),
        labelled("2024-05-06T00:10:20", np.ones(58, np.int64), 10.0, enmo_mg=30.0),
    )
    whole = joined([minute_table(first), minute_table(second)])
    assert whole.seconds.sum(axis=0).tolist() == [630, 570]
    assert whole.seconds[10].tolist() == [30, 30]
    assert whole.enmo_mg[10] == pytest.approx(20)
    assert whole.overlap_s == pytest.approx(10)
    within = joined([minute_table(first), minute_table(labelled("2024-05-06T00:10:10", np.ones(2, np.int64), 10.0))])
    assert (whole.seconds.shape, within.seconds.sum(), within.overlap_s) == ((20, 2), 630, 20)


def test_a_recording_within_a_gap_of_an_earlier_one_counts() -> None:
    start = np.datetime64("2024-05-06T00:00", "ns") + np.arange(600) * np.timedelta64(1, "m")
    first = labelled("2024-05-06T00:00", np.zeros(600, np.int64))
    gap = (np.arange(600) > 0) & (np.arange(600) < 480)  # a minute long before the rest, as of an earlier use
    first = replace(first, start=start[~gap], codes=first.codes[~gap], enmo_mg=first.enmo_mg[~gap])
    second = labelled("2024-05-06T03:00:30", np.ones(60, np.int64))
    third = labelled("2024-05-06T07:30", np.ones(60, np.int64))
    for others in ([], [replace(second, name="again")]):  # which has the same windows
        row = row_of(first, second, third, *others)
        assert (row["total_minutes_sleep"], row["total_minutes_walking"]) == (121, 90)
        assert row["overlap_minutes"] == 30 + 60 * len(others)
        assert (row["recording_minutes"], row["total_gap_minutes"]) == (600, 600 - 121 - 90)
    assert not row_of(first, second)["flag_overlap"]


def test_a_person_without_any_label_has_a_row_with_the_reason() -> None:
    lost = RecordingSummary("anna", "anna.csv", reason="empty", error="anna.csv is empty")
    found = person("anna", [lost], CLASSES, ANY, {"model": "m"})
    assert dict(found.row) == {
        "person": "anna",
        "recordings": "anna",
        "counts": False,
        "why_not": "anna: empty",
        "recordings_left_out": 1,
        "model": "m",
    }
    some = person("anna", [lost, summary(week({0: day_of(480)}), "b")], CLASSES, ANY, {})
    assert (some.row["counts"], some.row["flag_recordings_left_out"]) == (True, True)


def test_flags_tell_what_is_to_be_known() -> None:
    found = week({0: day_of(480)})
    bad = replace(QUALITY, calibrated=False, calibration_error_after_mg=20.0, clipped_share=0.0)
    one = RecordingSummary("anna", "anna.csv", minute_table(found), bad, warning="strange")
    row = person("anna", [one], CLASSES, ANY, {}).row
    flags = {name.removeprefix("flag_"): value for name, value in row.items() if name.startswith("flag_")}
    assert {name for name, value in flags.items() if value} == {
        "not_calibrated",
        "calibration_error",
        "unlike_training_data",
    }


def test_columns_under_the_names_of_other_programs() -> None:
    found = week({0: day_of(480), 1: day_of(240), 2: day_of(480, off=300)})
    row = oxwearables_row(summary(found), CLASSES)
    assert row["Filename"] == "anna.csv"
    assert row["WearTime(days)"] == pytest.approx(3 - 300 / 1440)
    assert row["NonwearTime(days)"] == pytest.approx(300 / 1440)
    assert (row["FirstDay(0=mon,6=sun)"], row["Covers24hOK"], row["CalibOK"], row["NumInterrupts"]) == (0, 1, 1, 2)
    assert row["day1-recorded-sleep(hrs)"] == 4
    assert row["day2-recorded-wearTime(hrs)"] == 19
    assert row["TotalWalking(mins)"] == 960 + 1200 + 660
    assert row["WalkingDayAvg(mins)"] == 940  # all days with wear, as those programs count
    assert (row["WalkingDayMin(mins)"], row["WalkingDayMed(mins)"], row["WalkingDayMax(mins)"]) == (660, 960, 1200)
    assert row["ENMO(mg)"] == pytest.approx(np.mean([(480 * 4 + 960 * 100) / 1440, 84, (480 * 4 + 660 * 100) / 1140]))
    assert oxwearables_row(summary(week({0: day_of(480, off=60)})), CLASSES)["Covers24hOK"] == 0
    other = replace(minute_table(found), class_names=("sleep", "active"))
    assert "TotalWalking(mins)" not in oxwearables_row(replace(summary(found), minutes=other), other.class_names)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min_wear_h": 25}, "--min-wear 25 is not from 0 to 24 hours"),
        ({"cover": "week"}, "--cover week is unknown"),
        ({"min_weekend_days": -1}, "--min-weekend-days -1 is negative"),
    ],
)
def test_rules_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        CountingRule(**options)
