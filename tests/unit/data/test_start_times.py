"""Start times that are given as text become times or seconds, and other text is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sslwear.data.checks import starts_of
from sslwear.errors import DataError

FILE = Path("T.npy")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (["2024-05-01 09:00:00", "2024-05-01T09:00:10.5"], ["2024-05-01T09:00:00", "2024-05-01T09:00:10.5"]),
        ([b"2024-05-01", b"2024-05-02"], ["2024-05-01", "2024-05-02"]),
        (["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00"], ["2024-10-27T00:30", "2024-10-27T01:30"]),
    ],
)
def test_dates_and_times_as_text_are_read(text: list[Any], expected: list[str]) -> None:
    assert_array_equal(starts_of(FILE, np.array(text)), np.array(expected, "M8[ns]"))


def test_seconds_as_text_are_read() -> None:
    assert starts_of(FILE, np.array(["0", "10.5", "1e3"])).tolist() == [0, 10.5, 1000]


def test_differences_of_unsigned_seconds_do_not_wrap() -> None:
    assert np.diff(starts_of(FILE, np.array([20, 10], "u8"))).tolist() == [-10]


@pytest.mark.parametrize("text", ["window 1", "01/05/2024 09:00", "9 o clock", "9999999-01-01", "inf"])
def test_text_that_is_no_time_is_refused_with_its_window(text: str) -> None:
    with pytest.raises(DataError, match=r"^T.npy has the start time '.*' for window 1; write times such as 2024-04-30"):
        starts_of(FILE, np.array(["2024-05-01", text]))
