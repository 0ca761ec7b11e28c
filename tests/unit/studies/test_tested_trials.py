"""Test scores of trials, and the count of the evaluations that gave them."""

from __future__ import annotations

import optuna
import pytest

from sslwear.studies.database.tested_trials import (
    count_evaluation,
    is_tested,
    keep_scores,
    main_scores,
    past_evaluations,
    scored_trials,
    scores_of,
)


@pytest.fixture
def study() -> optuna.Study:
    """A study in memory."""
    return optuna.create_study()


def test_means_and_scores_over_all_windows_are_kept_apart(study: optuna.Study) -> None:
    assert not is_tested(study, 0)
    assert scores_of(study, 0) == {}
    keep_scores(study, 0, {"kappa": 0.5}, {"kappa": 0.4}, {"anna": 0.5})
    keep_scores(study, 2, {"kappa": 0.7}, {"kappa": 0.6}, {"anna": 0.7})
    assert scored_trials(study) == [0, 2]
    assert scores_of(study, 0) == {"kappa": 0.5, "pooled_kappa": 0.4}
    assert main_scores(study, 2) == ({"kappa": 0.7}, "means over participants")


def test_scores_of_an_old_study_are_called_what_they_were(study: optuna.Study) -> None:
    study.set_user_attr("tested", {"1": {"kappa": 0.4, "f1": 0.3}})
    assert scores_of(study, 1) == {"pooled_kappa": 0.4, "pooled_f1": 0.3}
    assert main_scores(study, 1) == ({"kappa": 0.4, "f1": 0.3}, "over all windows")
    assert [one["trial"] for one in past_evaluations(study)] == [1]


def test_a_trial_counts_once(study: optuna.Study) -> None:
    count_evaluation(study, 0, "trial 0, the winner")
    count_evaluation(study, 0, "promotion of trial 0")
    count_evaluation(study, 12, "promotion of trial 12")
    count_evaluation(study, 12, "promotion of trial 12")
    assert [(one["trial"], one["why"]) for one in past_evaluations(study)] == [
        (0, "trial 0, the winner"),
        (12, "promotion of trial 12"),
    ]
    assert all(one["when"] for one in past_evaluations(study))


def test_an_old_count_is_read_by_trial(study: optuna.Study) -> None:
    whys = ["trial 3, the winner", "promotion of trial 3", "promotion of trial 1", "promotion of trial 1"]
    study.set_user_attr("test_looks", [{"when": "", "why": why} for why in whys])
    count_evaluation(study, 1, "promotion of trial 1")
    assert [one["why"] for one in past_evaluations(study)] == ["trial 3, the winner", "promotion of trial 1"]
