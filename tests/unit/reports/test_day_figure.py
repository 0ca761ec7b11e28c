"""The picture of days shows what the windows are, when, and in which colour."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sslwear.evaluation.daily import LabelledRecording
from sslwear.reports.day_figure import NONWEAR_COLOUR, PALETTE, day_figure


def labelled(
    begin: str, codes: list[int], window_s: float = 10, gap: slice | None = None, classes: int = 2
) -> LabelledRecording:
    first = np.datetime64(begin, "ns")
    start = first + (np.arange(len(codes)) * window_s * 1000).astype("timedelta64[ms]")
    keep = np.ones(len(codes), bool)
    if gap is not None:
        keep[gap] = False
    names = tuple(f"class {i}" for i in range(classes))
    mg = np.full(len(codes), 20.0, np.float32)
    return LabelledRecording("anna", names, start[keep], window_s, np.array(codes)[keep], mg[keep], first, start[-1])


def spans(figure: Figure, row: int = 0) -> dict[str, list[tuple[float, float]]]:
    """From when to when there is what colour in a row's ribbon, in hours."""
    found = {}
    for collection in figure.axes[row].collections:
        assert isinstance(collection, PolyCollection)
        edges = [
            (path.vertices[:, 0].min() / 3600, path.vertices[:, 0].max() / 3600) for path in collection.get_paths()
        ]
        found[to_hex(collection.get_facecolor()[0])] = edges
    return found


def test_a_row_a_day_with_ribbons_and_grey_where_not_worn() -> None:
    codes = [0] * 6 * 120 + [1] * 6 * 60 + [-1] * 6 * 120 + [0] * 6 * 60
    figure = day_figure(labelled("2024-05-01T20:00", codes))
    assert len(figure.axes) == 2
    assert spans(figure) == {PALETTE[0]: [(20, 22)], PALETTE[1]: [(22, 23)], NONWEAR_COLOUR: [(23, 24)]}
    assert spans(figure, 1) == {NONWEAR_COLOUR: [(0, 1)], PALETTE[0]: [(1, 2)]}
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["Wed 1 May", "Thu 2 May"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["class 0", "class 1", "not worn"]
    assert figure.axes[1].get_xlim() == (0, 86400)


def test_a_recording_that_ends_at_midnight_has_no_row_of_the_next_day() -> None:
    found = labelled("2024-05-01T22:00", [0] * 6 * 120)
    figure = day_figure(replace(found, end=np.datetime64("2024-05-02T00:00", "ns")))
    assert len(figure.axes) == 1
    assert figure.texts[0].get_text() == "anna, 1 May 2024"


def test_a_gap_stays_white() -> None:
    figure = day_figure(labelled("2024-05-01T10:00", [1] * 6 * 180, gap=slice(360, 720)))
    assert spans(figure) == {PALETTE[1]: [(10, 11), (12, 13)]}
    assert "white: no data" in figure.texts[1].get_text()


@pytest.mark.parametrize(("days", "rows"), [(20, 21), (300, 2)])
def test_days_without_data_are_left_out_of_long_recordings(days: int, rows: int) -> None:
    found = labelled("2024-05-01T20:00", [0] * 720 + [1] * 720)
    later = np.where(np.arange(1440) < 720, 0, days * 86400 - 7200).astype("timedelta64[s]")
    figure = day_figure(replace(found, start=found.start + later, end=found.end + later[-1]))
    assert len(figure.axes) == rows
    assert spans(figure) == {PALETTE[0]: [(20, 22)]}
    assert spans(figure, rows - 1) == {PALETTE[1]: [(20, 22)]}


def test_a_minute_is_what_most_of_its_windows_are() -> None:
    figure = day_figure(labelled("2024-05-01T10:00", [0, 0, 1, 1, 1, 1] * 61))
    assert spans(figure) == {PALETTE[1]: [(10, pytest.approx(11 + 1 / 60))]}


def test_a_short_recording_is_drawn_by_the_window_over_the_whole_width() -> None:
    figure = day_figure(labelled("2024-05-01T10:00", [0, 1, 1, 0], 5))
    found = spans(figure)
    assert found[PALETTE[1]] == [(pytest.approx(10 + 5 / 3600), pytest.approx(10 + 15 / 3600))]
    begin, end = figure.axes[0].get_xlim()
    assert (begin, end) == (36_000, 36_020)
    assert "10:00:06" in [text.get_text() for text in figure.axes[0].get_xticklabels()]


@pytest.mark.parametrize("classes", [1, 3, 12, 25])
@pytest.mark.parametrize("days", [1, 9])
def test_nothing_overlaps_or_leaves_the_page(classes: int, days: int) -> None:
    codes = (np.arange(days * 2880) // 40 % (classes + 1) - 1).tolist()
    figure = day_figure(labelled("2024-12-30T00:00", codes, 30, classes=classes))
    FigureCanvasAgg(figure).draw()
    page = figure.bbox
    legend = figure.legends[0].get_window_extent()
    title = figure.texts[0].get_window_extent()
    texts = [text for axes in figure.axes for text in axes.texts]
    for box in (legend, title, *(text.get_window_extent() for text in texts)):
        assert box.x0 >= page.x0
        assert box.x1 <= page.x1
    assert legend.y1 <= title.y0
    assert legend.y0 >= figure.axes[0].get_tightbbox().y1
    ticks = [label.get_window_extent() for label in figure.axes[-1].get_xticklabels()]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(ticks))
    assert figure.texts[0].get_text() == (
        "anna, 30 December 2024" if days == 1 else "anna, 30 December 2024 to 7 January 2025"
    )


def test_a_recording_that_was_never_worn_is_grey() -> None:
    figure = day_figure(labelled("2024-05-01T10:00", [-1] * 400))
    assert list(spans(figure)) == [NONWEAR_COLOUR]
