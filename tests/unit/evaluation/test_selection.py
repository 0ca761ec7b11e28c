"""What cannot be told from the best trial, and what choosing among trials adds to its score."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sslwear.evaluation import best_trials
from sslwear.evaluation.best_trials import candidates
from sslwear.evaluation.intervals import Interval, interval
from sslwear.evaluation.selection import (
    corrected_estimate,
    corrected_scores,
    finding,
    group_means,
    outside,
    standard_error,
)


def table(trials: int, participants: int, seed: int, better: float = 0.0) -> pd.DataFrame:
    """Scores in which participants differ, and the first trial is better than the others."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0.6, 0.1, participants) + rng.normal(0, 0.05, (trials, participants))
    values[0] += better
    return pd.DataFrame(values, columns=[f"p{i:02}" for i in range(participants)])


def p_values(scores: pd.DataFrame) -> dict[int, float]:
    """P-value of each trial by the definition: the share of all sign flips with a largest paired t as large."""
    found = {}
    for i in scores.index:
        differences = (scores.drop(index=i) - scores.loc[i]).to_numpy()
        largest = [
            stats.ttest_1samp(differences * signs, 0, axis=1).statistic.max()
            for signs in itertools.product((1, -1), repeat=scores.shape[1])
        ]
        found[i] = float(np.mean(np.array(largest) >= largest[0] - 1e-9))
    return found


def test_the_smallest_p_of_five_participants_is_one_of_32_flips() -> None:
    scores = pd.DataFrame([[0.5, 0.6, 0.7, 0.4, 0.3], [0.6, 0.73, 0.81, 0.52, 0.44]])  # better for all
    assert p_values(scores)[0] == 1 / 32
    assert candidates(scores) == [1]
    assert candidates(scores, level=1 / 32) == [1, 0]  # out if p is below the level
    assert candidates(scores, level=1.01 / 32) == [1]


def test_with_four_participants_all_trials_stay() -> None:
    scores = pd.DataFrame([[0.1, 0.2, 0.1, 0.2], [0.9, 0.8, 0.95, 0.9]])
    assert candidates(scores) == [1, 0]


@pytest.mark.parametrize("seed", range(4))
def test_candidates_follow_the_definition(seed: int) -> None:
    scores = table(6, 7, seed, better=0.04)
    p = p_values(scores)
    for level in (0.02, 0.05, 0.2):
        assert sorted(candidates(scores, level)) == [i for i, one in p.items() if one >= level]
    assert min(p.values()) < 0.2 < max(p.values())  # the levels tell something


def test_many_trials_are_accounted_for() -> None:
    scores = pd.DataFrame([[0.5] * 8, [0.7, 0.62, 0.58, 0.66, 0.49, 0.6, 0.61, 0.48]])
    assert candidates(scores) == [1]  # one-sided p is 5 of 256
    rng = np.random.default_rng(0)
    others = pd.DataFrame(0.5 + rng.normal(0, 0.05, (40, 8)) - 0.01, index=range(2, 42))
    assert 0 in candidates(pd.concat([scores, others]))


def test_random_flips_find_a_better_trial_and_are_the_same_in_every_call() -> None:
    scores = table(10, 30, 1, better=0.1)
    assert candidates(scores) == [0]
    equal = table(10, 30, 2)
    assert len(candidates(equal)) > 5
    assert candidates(equal) == candidates(equal)


@given(st.integers(0, 10_000), st.sampled_from([6, 15]))
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_table_and_a_participants_level_do_not_matter(seed: int, participants: int) -> None:
    scores, rng = table(5, participants, seed, better=0.03), np.random.default_rng(seed)
    expected, corrected = candidates(scores), corrected_scores(scores)
    mixed = scores.iloc[rng.permutation(5), rng.permutation(participants)]
    assert candidates(mixed) == expected
    assert corrected_scores(mixed)[scores.columns].tolist() == corrected.tolist()
    level = pd.Series(rng.normal(0, 0.3, participants), scores.columns)
    assert candidates(scores + level) == expected
    assert candidates(scores * 3) == expected
    assert (corrected_scores(scores + level) - level).tolist() == pytest.approx(corrected.tolist())


def test_the_best_trial_always_stays_and_is_first() -> None:
    for seed in range(20):
        scores = table(8, 9, seed)
        assert candidates(scores, level=0.5)[0] == scores.mean(axis=1).idxmax()


@pytest.mark.parametrize("participants", [8, 20])
def test_identical_trials_stay_or_go_together(participants: int) -> None:
    scores = table(3, participants, 3, better=0.2)
    double = pd.concat([scores, scores.set_axis([10, 11, 12])])
    assert candidates(scores) == [0]
    assert candidates(double) == [0, 10]
    same = pd.concat([scores.iloc[[0]]] * 3).set_axis([4, 5, 6])
    assert candidates(same) == [4, 5, 6]


def test_a_constant_difference_is_seen() -> None:
    scores = pd.DataFrame([[0.5, 0.6, 0.7, 0.4, 0.3, 0.2]] * 2)
    scores.loc[1] += 0.01
    assert candidates(scores) == [1]


def test_participants_without_a_score_are_left_out_of_the_comparison() -> None:
    scores = table(3, 8, 4, better=0.2)
    more = scores.assign(q=[np.nan, 0.9, 0.9], r=[0.1, np.nan, 0.9])
    assert candidates(more) == candidates(scores) == [0]
    assert corrected_scores(more).equals(corrected_scores(scores))
    scores.iloc[2, :4] = np.nan
    assert sorted(candidates(scores)) == [0, 1, 2]  # four are left


def test_few_trials() -> None:
    assert candidates(table(1, 9, 0)) == [0]
    assert candidates(pd.DataFrame(dtype=float)) == []


def test_flips_are_all_or_random_and_fewer_for_many_trials() -> None:
    assert best_trials._flips(5, 10).shape == (32, 5)
    assert len(np.unique(best_trials._flips(12, 600), axis=0)) == 4096
    assert best_trials._flips(40, 200).shape == (10_000, 40)
    assert len(best_trials._flips(40, 1265)) == 2499
    assert len(best_trials._flips(40, 2_000)) == 1000
    assert len(best_trials._flips(40, 20_000)) == 40
    for participants in (5, 40):
        assert (best_trials._flips(participants, 24)[0] == 1).all()


@pytest.mark.parametrize("at_once", [1, 1000, 1_000_000], ids=["one by one", "in parts", "the highest first"])
@pytest.mark.parametrize("noise", [0.05, 1e-7, 0.0])
def test_trials_are_compared_with_all_others_under_all_flips(
    monkeypatch: pytest.MonkeyPatch, at_once: int, noise: float
) -> None:
    monkeypatch.setattr(best_trials, "AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    values = rng.normal(0.7, 0.1, 8) - 0.03 * rng.integers(4, size=(150, 1)) + rng.normal(0, noise, (150, 8))
    sums = best_trials._flips(8, 150) @ values.T
    expected = []
    for own, scores in zip(sums.T, values, strict=True):
        lengths = np.sqrt(((values - scores) ** 2).sum(axis=1))
        others = lengths > best_trials.SAME
        t = ((sums - own[:, None])[:, others] / lengths[others]).max(axis=1)
        expected.append(t[0] <= 0 or bool(np.mean(t >= t[0] - best_trials.TOLERANCE) >= 0.05))
    assert best_trials._stay(values, sums, 0.05).tolist() == expected
    assert 0 < sum(expected) < 150


def test_corrected_scores_of_participants_are_those_of_trials_chosen_without_them() -> None:
    # Trial 1 is best on all resamples with c, trial 0 on those without c.
    scores = pd.DataFrame({"a": [0.5, 0.4], "b": [0.5, 0.4], "c": [0.0, 0.9]})
    assert corrected_scores(scores).to_dict()["c"] == 0.0
    without_a = corrected_scores(scores).to_dict()["a"]  # resamples of b and c: one of 8 has no c
    assert without_a == pytest.approx(0.4 + 0.1 / 8, abs=0.01)
    assert scores.mean(axis=1).max() > corrected_scores(scores).mean()


def test_a_trial_that_is_best_for_all_keeps_its_scores() -> None:
    scores = table(5, 10, 5, better=2.0)
    assert corrected_scores(scores).tolist() == pytest.approx(scores.loc[0].tolist())
    assert corrected_scores(scores).equals(corrected_scores(scores))


def test_one_trial_or_two_participants_are_not_corrected() -> None:
    one = pd.DataFrame({"a": [0.5], "b": [np.nan], "c": [0.7], "d": [0.8]}, index=[3])
    assert corrected_scores(one).to_dict() == {"a": 0.5, "c": 0.7, "d": 0.8}
    two = pd.DataFrame({"a": [0.1, 0.4], "b": [0.5, 0.3]}, index=[7, 2])
    assert corrected_scores(two).to_dict() == {"a": 0.4, "b": 0.3}
    undefined = pd.DataFrame({"a": [np.nan, 0.4], "b": [0.5, np.nan], "c": [np.nan, np.nan]})
    assert corrected_scores(undefined).to_dict() == {"b": 0.5}
    nobody = pd.DataFrame({"a": [np.nan, np.nan]})
    assert corrected_scores(nobody).empty
    assert corrected_estimate(nobody).participants == 0


def test_the_correction_takes_away_what_luck_adds() -> None:
    naive, corrected = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores = pd.DataFrame(rng.normal(0, 0.1, 10) + rng.normal(0, 0.05, (24, 10)))  # all trials are equal
        naive.append(scores.mean(axis=1).max())
        corrected.append(corrected_scores(scores).mean())
    assert np.mean(naive) > 0.02  # the truth is 0
    assert abs(np.mean(corrected)) < 0.01


def test_the_estimate_has_students_interval() -> None:
    scores = table(1, 8, 6)
    found, own = corrected_estimate(scores), scores.loc[0].to_numpy()
    low, high = stats.t.interval(0.95, 7, own.mean(), stats.sem(own))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.mean, found.sd, found.participants) == pytest.approx((own.mean(), own.std(ddof=1), 8))
    few = corrected_estimate(scores.iloc[:, :4])
    assert few.participants == 4
    assert math.isnan(few.low)
    many = table(6, 12, 6)
    assert corrected_estimate(many).mean == pytest.approx(corrected_scores(many).mean())


def test_standard_error() -> None:
    assert standard_error([0.2, np.nan, 0.6]) == pytest.approx(0.2)
    assert standard_error([1, 2, 3, 4]) == pytest.approx(np.sqrt(5 / 3) / 2)
    assert math.isnan(standard_error([0.5, np.nan]))
    assert math.isnan(standard_error([]))


def test_means_of_groups_are_over_the_same_participants_and_the_best_is_first() -> None:
    scores = pd.DataFrame(
        {"a": [0.1, 0.3, 0.8], "b": [0.5, 0.7, 0.6], "c": [0.2, 0.2, 0.9], "d": [np.nan, 0.9, 0.9]}, index=[0, 4, 5]
    )
    found = group_means(scores, {0: "x", 4: "x", 5: "y", 9: "pruned"})
    assert list(found) == ["y", "x"]
    assert found["x"] == interval([0.2, 0.6, 0.2])  # d has no score in trial 0
    assert found["y"] == interval([0.8, 0.6, 0.9])
    assert list(group_means(scores, {5: "y"})) == ["y"]
    assert group_means(scores, {5: "y"})["y"].participants == 4
    assert group_means(scores, {}) == {}


PRETEXT = {**dict.fromkeys(range(3), "permutation"), **dict.fromkeys(range(3, 24), "none")}
RATES = {number: f"{number / 1000}" for number in range(24)}
BLOCKS = tuple(f"layer{i}" for i in range(1, 6))


@pytest.mark.parametrize(
    ("alike", "total", "properties", "expected"),
    [
        ([], 0, {}, "No trial has finished."),
        ([0], 1, {}, "Only one trial has finished, so it cannot be compared."),
        ([7], 24, {"pretext": PRETEXT}, "Trial 7 is better than all other 23 trials."),
        ([1], 2, {}, "Trial 1 is better than the other trial."),
        ([2, 0, 1], 3, {"pretext": PRETEXT}, "None of the 3 trials can be told from the best."),
        (
            [2, 0, 1],
            24,
            {"learning_rate": RATES, "pretext": PRETEXT},
            "Of 24 trials, 3 cannot be told from the best; all 3 have pretext permutation.",
        ),
        (
            [2, 0],
            24,
            {"a": PRETEXT, "b": PRETEXT, "c": PRETEXT},
            "Of 24 trials, 2 cannot be told from the best; both have a permutation, b permutation and c permutation.",
        ),
        (
            [2, 5],
            24,
            {"learning_rate": RATES, "pretext": PRETEXT},
            "Of 24 trials, 2 cannot be told from the best; no setting that varies among the trials has the same value "
            "in both.",
        ),
        # one value only was tried, or the trials have none
        ([0, 3], 24, {"a": dict.fromkeys(range(24), "x")}, "Of 24 trials, 2 cannot be told from the best."),
        (
            [0, 3],
            24,
            {"a": {**RATES, 0: "-", 3: "-"}},
            "Of 24 trials, 2 cannot be told from the best; no setting that varies among the trials has the same value "
            "in both.",
        ),
        ([], 24, {}, "Of 24 trials, 0 cannot be told from the best."),
    ],
)
def test_the_finding(alike: list[int], total: int, properties: dict[str, dict[int, str]], expected: str) -> None:
    assert finding(alike, total, properties) == expected


@pytest.mark.parametrize(
    ("alike", "first", "properties", "expected"),
    [
        ([0, 1, 2], {0: 3, 1: 4, 2: 5, 3: 0}, {}, "; none of them tunes a block before layer4."),
        ([0, 1], {0: 5, 1: 5, 2: 5, 3: 4}, {}, "; neither of them tunes a block of the encoder."),
        ([0, 1], {0: 0, 1: 3, 2: 5, 3: 0}, {}, "."),
        ([0, 1], {0: 3, 1: 3, 2: 3, 3: 4}, {}, "."),  # no trial tunes an earlier block
        ([0, 1], {0: 3, 3: 0}, {}, "."),  # trial 1 is not known
        (
            [0, 1],
            {0: 3, 1: 3, 2: 0, 3: 0},
            {"pretext": {**PRETEXT, 2: "none"}},
            "; both have pretext permutation, and neither of them tunes a block before layer4.",
        ),
        ([0, 1], {0: 3, 1: 3, 2: 0}, {"tuning": {0: "x", 1: "x", 2: "all"}}, "; both have tuning x."),
    ],
)
def test_the_finding_says_which_blocks_need_no_tuning(
    alike: list[int], first: dict[int, int], properties: dict[str, dict[int, str]], expected: str
) -> None:
    found = finding(alike, 24, properties, first_tuned=first, block_names=BLOCKS)
    assert found == f"Of 24 trials, {len(alike)} cannot be told from the best{expected}"


def test_the_finding_says_that_participants_are_too_few() -> None:
    found = finding([0, 1], 2, {}, participants=4)
    assert found == "With 4 participants, trials cannot be compared: at least 5 are needed."
    assert finding([0, 1], 2, {}, participants=5) == "None of the 2 trials can be told from the best."


ESTIMATE = Interval(0.7, 0.1, 0.65, 0.75, 16)


@pytest.mark.parametrize(
    ("mean", "participants", "expected"),
    [
        (0.66, 3, None),
        (0.75, 3, None),
        (np.nan, 0, None),
        (
            0.61,
            3,
            "The mean of the test, 0.610, is below the interval of the estimate, 0.700 [0.650, 0.750]. "
            "With 3 test participants, such a difference is often due to chance.",
        ),
        (
            0.9,
            3,
            "The mean of the test, 0.900, is above the interval of the estimate, 0.700 [0.650, 0.750]. "
            "With 3 test participants, such a difference is seldom due to chance. The test participants may differ "
            "from the participants of the search.",
        ),
    ],
)
def test_a_test_mean_outside_of_its_estimate(mean: float, participants: int, expected: str | None) -> None:
    assert outside(ESTIMATE, Interval(mean, np.nan, np.nan, np.nan, participants)) == expected


def test_chance_is_judged_by_the_interval_for_new_participants() -> None:
    half = stats.t.ppf(0.975, 15) * 0.1 * np.sqrt(1 / 16 + 1 / 5)
    inside, beyond = (Interval(0.7 - half + by, 0.1, 0.5, 0.6, 5) for by in (0.001, -0.001))
    assert "often due to chance" in (outside(ESTIMATE, inside) or "")
    assert "seldom due to chance" in (outside(ESTIMATE, beyond) or "")


def test_an_estimate_without_limits_gives_no_warning() -> None:
    assert outside(interval([0.7, 0.8]), interval([0.1, 0.2])) is None
