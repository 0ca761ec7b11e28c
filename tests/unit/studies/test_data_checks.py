"""Checks of data sets against the encoder of a study."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from sslwear.data.dataset import Dataset
from sslwear.encoders.base import get
from sslwear.errors import DataError
from sslwear.studies.evaluations.job_keys import _content
from sslwear.studies.evaluations.methods import Method
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.data_checks import check_window_lengths, data_warnings


def test_windows_of_unknown_length_need_the_samples_of_the_encoder(small: Dataset) -> None:
    unknown = replace(small, window_s=None)
    check_window_lengths([unknown], get("cnn5"))
    check_window_lengths([small], get("cnn10"))
    with pytest.raises(DataError, match=r"windows of 150 samples, and their length in seconds is not known. Write it"):
        check_window_lengths([small, unknown], get("cnn10"))


@pytest.mark.parametrize(
    ("window_s", "encoder", "words"),
    [
        (5.0, "cnn5", []),
        (5.0, "cnn10", ["has windows of 5 s and cnn10 expects 10 s. They are resampled"]),
        (3.0, "cnn5", ["has windows of 3 s and cnn5 expects 5 s. They are resampled"]),
        (None, "cnn5", ["does not say how long its windows are. They are taken as 5 s at 30 Hz, as cnn5 expects"]),
    ],
)
def test_lengths_that_are_not_the_encoders_are_warned_of(
    small: Dataset, window_s: float | None, encoder: str, words: list[str]
) -> None:
    found = data_warnings([replace(small, window_s=window_s)], get(encoder))
    assert len(found) == len(words)
    assert all(text in warning for text, warning in zip(words, found, strict=True))


def test_warnings_about_names_are_given_once(small: Dataset) -> None:
    assert data_warnings([replace(small, warnings=("one person",))] * 2, get("cnn5")) == ["one person"]


def test_results_of_a_baseline_depend_on_the_length_of_the_windows(small: Dataset) -> None:
    method = SimpleNamespace(given=SimpleNamespace(baseline="random_forest"))
    contexts = [SimpleNamespace(dataset=replace(small, window_s=seconds)) for seconds in (5.0, 3.0)]
    one, other = (_content(cast(StudyContext, context), cast(Method, method)) for context in contexts)
    assert one != other
