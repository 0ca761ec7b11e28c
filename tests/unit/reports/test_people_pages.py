"""The pages of recordings and people: what they say, plain text, and no network."""

from __future__ import annotations

import numpy as np
import pytest

from sslwear.data.files.quality import Quality
from sslwear.evaluation.counting import CountingRule
from sslwear.evaluation.daily import LabelledRecording
from sslwear.evaluation.minute_table import MinuteTable, minute_table
from sslwear.evaluation.people import Person, RecordingSummary, person
from sslwear.reports.cohort_figures import distributions, usual_day, usual_days
from sslwear.reports.cohort_page import cohort_page
from sslwear.reports.recording_page import by_minute, recording_page

CLASSES = ("sleep", "<walk>")
QUALITY = Quality("CSV", 50.0, 1000, True, 12.0, 3.0, 0.002, 2, 5.0, 1, 3)
RULE = CountingRule(min_days=2)


def minutes(days: int, zone: str | None = None, start: str = "2024-05-06") -> MinuteTable:
    """Whole days that sleep until eight."""
    codes = np.tile(np.repeat([0, 1], [480, 960]), days)
    begin = np.datetime64(start, "ns")
    when = begin + (np.arange(len(codes)) * 60).astype("timedelta64[s]")
    enmo = np.full(len(codes), 30, np.float32)
    return minute_table(LabelledRecording("a", CLASSES, when, 60.0, codes, enmo, begin, when[-1], zone))


@pytest.fixture
def people() -> list[Person]:
    made = [("<b>anna</b>", 3), ("ben", 1)]
    found = [
        person(name, [RecordingSummary(name, f"{name}.csv", minutes(days), QUALITY)], CLASSES, RULE, {})
        for name, days in made
    ]
    lost = RecordingSummary("carl", "carl.csv", reason="empty", error="carl.csv is <empty>")
    return [*found, person("carl", [lost], CLASSES, RULE, {})]


def test_the_page_of_people_says_who_counts_and_why_others_do_not(people: list[Person]) -> None:
    page = cohort_page(people, CLASSES, RULE, ["Model m."])
    assert "1 of 3 people counts." in page
    assert "fewer than 2 days that count" in page
    assert "carl.csv is &lt;empty&gt;" in page
    assert 'href="%3Cb%3Eanna%3C/b%3E.html"' in page
    assert "<b>anna" not in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    nobody = cohort_page(people[2:], CLASSES, RULE, [])
    assert "0 of 1 person count." in nobody
    assert "<svg" not in nobody


def test_figures_of_people_have_a_panel_for_each_class_and_a_row_for_each_person(people: list[Person]) -> None:
    panels = [axes for axes in distributions(people[:1], CLASSES).axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == list(CLASSES)
    (axes,) = usual_days(people[:2], CLASSES).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["<b>anna</b>", "ben"]
    assert usual_day(minutes(2)).tolist() == [0] * 32 + [1] * 64
    empty = usual_day(minutes(1, "Asia/Tokyo"))  # from nine in the morning on, by the clock there
    assert empty.tolist() == [1] * 36 + [0] * 32 + [1] * 28


def test_the_page_of_a_recording_has_its_days_quality_and_notes() -> None:
    page = recording_page("<i>", minutes(2), QUALITY, RULE, ["read <so>"], "strange <windows>")
    for said in (
        "2 of 2 days count: a day counts with 10 h of wear.",
        "Mon 6 May 2024",
        "read &lt;so&gt;",
        "error 12.0 mg before",
    ):
        assert said in page
    assert "strange &lt;windows&gt;" in page
    assert "<i>" not in page
    assert "an hour occurs twice" not in page
    change = recording_page("a", minutes(2, "Europe/London", "2024-10-26T23:00"), QUALITY, RULE, [])
    assert "an hour occurs twice and is drawn once" in change
    assert "an hour is white" in recording_page("a", minutes(1, "Europe/London", "2024-03-31"), QUALITY, RULE, [])


def test_a_minute_has_the_class_of_most_of_it() -> None:
    codes = np.array([0, 1, 1, -1, -1, 0])
    begin = np.datetime64("2024-05-06", "ns")
    when = begin + (np.arange(6) * 20).astype("timedelta64[s]")
    found = LabelledRecording("a", CLASSES, when, 20.0, codes, np.zeros(6, np.float32), begin, when[-1])
    assert by_minute("a", minute_table(found)).codes.tolist() == [1, -1]
