"""Methods over participants: seeds are averaged first, pairs are people, and many comparisons are corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sslwear.errors import StudyError
from sslwear.evaluation.comparison import SCORES, as_frame, compare, find_method, holm, smallest_p, summaries


def results(
    methods: Mapping[str, Mapping[int, Sequence[float]]],
    transductive: Sequence[str] = (),
    supervised: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """A frame as evaluations give it: macro F1 of each method by seed, participant after participant."""
    rows: list[dict[str, Any]] = []
    for method, by_seed in methods.items():
        for seed, values in by_seed.items():
            for i, value in enumerate(values):
                place = {"dataset": "adl", "protocol": "leave-one-out", "transductive": method in transductive}
                place |= {"supervised": supervised.get(method, ""), "averaged_seeds": ""}
                whose = {"method": method, "seed": seed, "fold": i, "participant": f"p{i}", "windows": 10}
                scores = {**dict.fromkeys(SCORES, value - 0.1), "f1": value, "accuracy": value}
                rows.append({**place, **whose, **scores, "run_id": f"{method}-{seed}-{i}"})
    return pd.DataFrame(rows)


def test_a_participants_score_is_the_mean_over_seeds() -> None:
    (found,) = summaries(results({"a": {1: [0.2, 0.6], 2: [0.4, 1.0]}}))
    assert found.participants["f1"].to_dict() == pytest.approx({"p0": 0.3, "p1": 0.8})
    assert found.scores["f1"].mean == pytest.approx(0.55)
    assert found.scores["f1"].sd == pytest.approx(np.std([0.3, 0.8], ddof=1))
    assert found.scores["f1"].participants == 2  # and not 4
    assert found.seed_sd["f1"] == pytest.approx(np.std([0.4, 0.7], ddof=1))
    assert found.scores["kappa"].mean == pytest.approx(0.45)
    assert found.seeds == (1, 2)
    assert found.run_ids == ("a-1-0", "a-1-1", "a-2-0", "a-2-1")


def test_more_seeds_do_not_make_an_interval_narrower() -> None:
    one, many = summaries(results({"one": {1: [0.2, 0.5, 0.9]}, "many": {s: [0.2, 0.5, 0.9] for s in range(5)}}))
    assert many.scores["f1"] == one.scores["f1"]
    assert np.isnan(one.seed_sd["f1"])
    assert many.seed_sd["f1"] == 0


def test_a_score_that_is_undefined_for_one_seed_adds_nothing_to_the_spread_of_seeds() -> None:
    frame = results({"a": {1: [0.9, 0.9, 0.1], 2: [0.9, 0.9, 0.1]}})
    frame.loc[2, "kappa"] = np.nan
    (found,) = summaries(frame)
    assert found.seed_sd["kappa"] == found.seed_sd["f1"] == 0


def test_a_participant_for_whom_a_score_is_undefined_is_left_out_of_it_only() -> None:
    frame = results({"a": {1: [0.2, 0.6, 0.7]}})
    frame.loc[1, "kappa"] = np.nan
    (found,) = summaries(frame)
    assert found.scores["kappa"].participants == 2
    assert found.scores["f1"].participants == 3


def test_data_sets_protocols_and_marks_are_kept_apart_in_their_order() -> None:
    frame = results({"b": {1: [0.5, 0.6]}, "a": {1: [0.1, 0.2]}})
    frame = pd.concat([frame, frame.assign(dataset="wisdm"), frame.assign(transductive=True, supervised="x, y")])
    found = [(one.dataset, one.label) for one in summaries(frame)]
    assert found == [
        *[("adl", "b"), ("adl", "a"), ("wisdm", "b"), ("wisdm", "a")],
        *[("adl", f"{name} (transductive) (supervised on x, y)") for name in ("b", "a")],
    ]


def test_every_other_method_is_paired_with_the_reference_by_participant() -> None:
    base = [0.5, 0.6, 0.4, 0.7, 0.55, 0.65]
    better = [0.6, 0.72, 0.53, 0.84, 0.7, 0.81]
    frame = results({"base": {1: base}, "better": {1: better[::-1]}, "same": {1: base}})
    frame.loc[frame["method"] == "better", "participant"] = [f"p{i}" for i in range(6)][::-1]  # in another order
    methods = summaries(frame)
    first, second = compare(methods, methods[0], "f1")
    assert first.summary.method == "better"
    assert first.found.interval.mean == pytest.approx(np.mean(np.subtract(better, base)))
    assert first.found.interval.low > 0.1
    assert first.found.p == pytest.approx(stats.wilcoxon(np.subtract(better, base)).pvalue)
    assert first.found.p == pytest.approx(smallest_p(6))
    assert first.corrected == pytest.approx(2 * smallest_p(6))
    assert not first.significant
    assert (second.found.interval.mean, second.found.p, second.corrected) == (0, 1, 1)


def test_a_participant_whom_only_one_of_two_has_is_no_pair() -> None:
    frame = results({"base": {1: [0.5, 0.6, 0.4]}, "other": {1: [0.6, 0.7, 0.5]}})
    methods = summaries(frame[:-1])
    (found,) = compare(methods, methods[0], "f1")
    assert found.found.interval.participants == 2


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.02], [0.02]),
        ([], []),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.01, np.nan, 0.02], [0.02, np.nan, 0.02]),
        ([0.0001, 0.0001], [0.0002, 0.0002]),
    ],
)
def test_holm(p: list[float], expected: list[float]) -> None:
    assert holm(p) == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_no_correction_and_bonferronis(p: list[float]) -> None:
    found = holm(p)
    assert [found[i] for i in np.argsort(p, kind="stable")] == sorted(found)
    for before, after in zip(p, found, strict=True):
        assert before <= after <= min(1, len(p) * before) + 1e-15


def test_the_least_p_is_wilcoxons() -> None:
    for n in (2, 5, 7, 12):
        assert smallest_p(n) == pytest.approx(stats.wilcoxon(np.arange(1, n + 1)).pvalue)


def test_a_method_is_found_by_name() -> None:
    methods = summaries(results({"a": {1: [0.1, 0.2]}, "b": {1: [0.1, 0.2]}}, transductive=("b",)))
    assert find_method(methods, None).method == "a"
    assert find_method(methods, "b").method == "b"
    assert find_method(methods, "b (transductive)").method == "b"
    with pytest.raises(StudyError, match=r"no method 'c' in the results\. Choose one of 'a', 'b \(transductive\)'"):
        find_method(methods, "c")


def test_a_frame_of_methods_is_a_row_each_with_the_difference_to_the_first() -> None:
    methods = summaries(results({"a": {1: [0.2, 0.3]}, "b": {1: [0.4, 0.6]}}))
    frame = as_frame(methods, compare(methods, methods[0], "kappa"), "kappa")
    assert frame["method"].tolist() == ["a", "b"]
    assert frame["kappa"].tolist() == pytest.approx([0.15, 0.4])
    assert frame["f1"].tolist() == pytest.approx([0.25, 0.5])
    assert frame["difference"].tolist() == pytest.approx([np.nan, 0.25], nan_ok=True)
    three = summaries(results({"a": {1: [0.2] * 7}, "b": {1: [0.4] * 7}, "c": {1: [0.2 + 0.01 * i for i in range(7)]}}))
    both = as_frame(three, compare(three, three[0], "kappa"), "kappa")
    assert both["difference_p_holm"].tolist() == pytest.approx(
        [np.nan, 2 * both["difference_p"][1], both["difference_p"][2]], nan_ok=True
    )
    assert frame["participants"].tolist() == [2, 2]
    assert frame["seeds"].tolist() == [1, 1]


def test_a_frame_counts_the_participants_whose_objective_is_defined() -> None:
    table = results({"a": {1: [0.2, 0.3]}, "b": {1: [0.4, 0.5]}})
    methods = summaries(table.assign(kappa=table["kappa"].where(table["participant"] == "p0")))
    assert as_frame(methods, (), "kappa")["participants"].tolist() == [1, 1]
    frame = as_frame(methods, compare(methods, methods[0], "f1"), "f1")
    assert (frame["participants"].tolist(), frame["objective"].tolist()) == ([2, 2], ["f1", "f1"])
