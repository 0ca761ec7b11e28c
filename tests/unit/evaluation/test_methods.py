"""Methods summarised over participants and seeds."""

import math
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from sslwear.evaluation.intervals import difference, interval
from sslwear.evaluation.methods import as_frame, summarise


def table(scores: dict[str, list[list[float]]]) -> pd.DataFrame:
    """Kappa by method, seed and participant; F1 is half of it."""
    return pd.DataFrame(
        [
            {"method": method, "seed": seed, "participant": str(who), "kappa": kappa, "f1": kappa / 2}
            for method, seeds in scores.items()
            for seed, people in enumerate(seeds)
            for who, kappa in enumerate(people)
        ]
    )


def test_participants_are_averaged_over_seeds_and_compared_with_the_first_method() -> None:
    b, a = summarise(table({"b": [[0.2, 0.4, 0.9], [0.4, 0.6, 0.7]], "a": [[0.5, 0.7, 0.9], [0.5, 0.7, 0.9]]}))
    assert (b.method, a.method) == ("b", "a")
    assert astuple(b.kappa) == pytest.approx(astuple(interval([0.3, 0.5, 0.8])))
    assert astuple(b.f1) == pytest.approx(astuple(interval([0.15, 0.25, 0.4])))
    assert (b.seeds, b.difference) == (2, None)
    assert b.spread == pytest.approx(np.std([0.5, 1.7 / 3], ddof=1))
    assert a.spread == pytest.approx(0)
    expected = difference(pd.Series([0.5, 0.7, 0.9]), pd.Series([0.3, 0.5, 0.8]))
    assert a.difference is not None
    assert a.difference.interval.mean == pytest.approx(expected.interval.mean)
    assert a.difference.p == pytest.approx(expected.p)


def test_undefined_scores_are_left_out_and_one_seed_has_no_spread() -> None:
    (one,) = summarise(table({"a": [[0.5, math.nan, 0.7]]}))
    assert one.kappa.participants == 2
    assert one.kappa.mean == pytest.approx(0.6)
    assert math.isnan(one.spread)


def test_the_summary_is_a_row_a_method() -> None:
    frame = as_frame(summarise(table({"a": [[0.1, 0.2]], "b": [[0.3, 0.5]]})))
    assert frame["method"].tolist() == ["a", "b"]
    assert frame["kappa"].tolist() == pytest.approx([0.15, 0.4])
    assert frame["difference"].tolist() == pytest.approx([math.nan, 0.25], nan_ok=True)
    assert frame["participants"].tolist() == [2, 2]
