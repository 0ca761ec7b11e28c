"""Leakage checks compare participants in any spelling."""

from __future__ import annotations

from typing import cast

import pytest

from sslwear.data.dataset import Dataset
from sslwear.studies.setup import leakage
from sslwear.studies.setup.leakage import Source, TrainingStep, seen_participants
from sslwear.tracking import Store


@pytest.mark.parametrize(
    ("sources", "people"),
    [
        (("other",), {"01", "2.0", "7_visit1", "P5"}),
        (("other", "more"), {"other:01", "other:2 ", "more:07", "more:P5"}),
    ],
)
def test_participants_of_earlier_trainings_are_found_in_any_spelling(
    small: Dataset, monkeypatch: pytest.MonkeyPatch, sources: tuple[str, ...], people: set[str]
) -> None:
    step = TrainingStep(tuple(Source(name, "x", None) for name in sources), frozenset(people), labels=True)
    monkeypatch.setattr(leakage, "training_provenance", lambda store, weights: [step])
    assert seen_participants(cast(Store, None), "weights", small, small.participants) == ["1", "2", "7"]
