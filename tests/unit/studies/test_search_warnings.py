"""Trials that must repeat others are warned about."""

from __future__ import annotations

import pytest

from sslwear.config import parse
from sslwear.studies.setup.data_checks import search_warnings

LISTS = {"search": {"tuning": ["all", "head"], "learning_rate": [1e-3, 1e-2]}}
RANGE = {"search": {"tuning": ["all", "head"], "learning_rate": {"low": 1e-3, "high": 1e-2}}}


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        ({"trials": 2}, "a has nothing to search, so all 2 trials are the same. Add search, or set trials: 1"),
        (
            {"trials": 5, **LISTS},
            "search has 4 combinations, so some of the 5 trials repeat others. Set trials: 4 and sampler: {name: grid} "
            "to try each once",
        ),
        (
            {"trials": 33, "search": {"tuning": "any"}},
            "search has 32 combinations, so some of the 33 trials repeat others. Set trials: 32 and sampler: {name: "
            "grid} to try each once",
        ),
    ],
)
def test_more_trials_than_combinations_are_warned_about(content: dict[str, object], warning: str) -> None:
    assert search_warnings(parse({"study": "a", "data": "b", **content}, "test")) == [warning]


@pytest.mark.parametrize(
    "content",
    [
        {"trials": 1},
        {"trials": 4, **LISTS},
        {"trials": 50, **RANGE},
        {"trials": 50, "sampler": {"name": "grid"}, **LISTS},
    ],
)
def test_enough_combinations_are_not_warned_about(content: dict[str, object]) -> None:
    assert search_warnings(parse({"study": "a", "data": "b", **content}, "test")) == []
