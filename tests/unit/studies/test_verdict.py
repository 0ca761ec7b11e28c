"""The verdict of a study, from trials in Optuna's storage."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import optuna
import pytest
from optuna.trial import TrialState

from sslwear.config import TrainingSettings, parse
from sslwear.reports.study_page import study_page
from sslwear.reports.study_text import paper
from sslwear.reports.study_text import verdict as told
from sslwear.studies.database import trials
from sslwear.studies.database.tested_trials import keep_scores
from sslwear.studies.database.trials import best_trial, network_run, scores_table, winner
from sslwear.studies.results import verdict
from sslwear.studies.results.compare import Side
from sslwear.studies.setup.limits import MEASURED
from sslwear.tracking import Store

CHOICES = {"tuning": optuna.distributions.CategoricalDistribution(["all", "head", "layer5"])}
CONTENT = {"study": "tiny", "data": "smartwatch", "search": {"tuning": ["all", "head", "layer5"]}}
PEOPLE = {
    "all": {"a": 0.80, "b": 0.70, "c": 0.61, "d": 0.72, "e": 0.66, "f": 0.74},
    "head": {"a": 0.79, "b": 0.71, "c": 0.60, "d": 0.71, "e": 0.66, "f": 0.73},
    "layer5": {"a": 0.50, "b": 0.41, "c": 0.30, "d": 0.42, "e": 0.35, "f": 0.44},
}
PARAMETERS = {"all": 1000.0, "head": 10.0, "layer5": 100.0}


def study(people: Mapping[str, Mapping[str, float]] = PEOPLE, **settings: object) -> optuna.Study:
    """A study in memory with a finished trial for each tuning strategy."""
    made = optuna.create_study(study_name="tiny", direction="maximize")
    content = parse({**CONTENT, **settings}, "the test")
    made.set_user_attr("settings", content.to_yaml())
    made.set_user_attr(trials.BY_PARTICIPANT, True)
    made.set_user_attr(trials.SELECT, content.select)
    for number, (tuning, scores) in enumerate(people.items()):
        training = TrainingSettings(**{**content.training.model_dump(), "tuning": tuning})
        made.add_trial(
            optuna.trial.create_trial(
                value=sum(scores.values()) / len(scores),
                params={"tuning": tuning},
                distributions=CHOICES,
                user_attrs={
                    "settings": training.model_dump(),
                    "run_id": f"run{number}",
                    "best_epoch": 3,
                    trials.PEOPLE: dict(scores),
                    MEASURED: {"trainable_parameters": PARAMETERS[tuning]},
                },
            )
        )
    return made


def test_the_best_trial_is_selected_or_the_simplest_of_those_that_cannot_be_told_from_it() -> None:
    best, simplest = winner(study()), winner(study(select="simplest"))
    assert best is not None
    assert simplest is not None
    assert (best.params["tuning"], simplest.params["tuning"]) == ("all", "head")
    found = verdict.report(study(select="simplest"))
    assert [one.number for one in found.trials if one.candidate] == [0, 1]
    assert found.selection == (
        "Trial 1 is selected (select: simplest) of the 2 trials that cannot be told from the best, trial 0: none of "
        "them tunes fewer parameters (10). Its tuning strategy is head."
    )


def test_a_best_trial_that_stands_alone_is_not_called_simple() -> None:
    people = {**PEOPLE, "head": PEOPLE["layer5"]}
    found = verdict.report(study(select="simplest", people=people))
    assert "because it is the best and all others are worse" in found.selection


def test_the_finding_says_which_blocks_none_of_the_best_tunes() -> None:
    people = {"head": PEOPLE["all"], "layer5": PEOPLE["head"], "all": PEOPLE["layer5"]}
    found = verdict.report(study(people=people, encoder="cnn10"))
    assert found.finding == (
        "Of 3 trials, 2 cannot be told from the best; neither of them tunes a block before layer5."
    )


def test_a_trial_that_exceeds_a_limit_is_not_selected() -> None:
    limited = study(constraint={"trainable_parameters": 500})
    best = best_trial(limited)
    assert best is not None
    assert best.params["tuning"] == "head"
    none = study(constraint={"trainable_parameters": 5})
    assert best_trial(none) is None
    assert verdict.report(none).selection == (
        "None of the 3 finished trials keeps the constraint (trainable_parameters: 5)."
    )
    assert trials.no_winner(limited) == ""


def test_a_report_has_means_errors_and_an_estimate_that_is_corrected_for_choosing() -> None:
    found = verdict.report(study())
    assert found.winner == 0
    assert found.trials[0].mean == pytest.approx(0.705)
    assert found.trials[0].error == pytest.approx(0.0268, abs=1e-4)
    assert found.selected is not None
    assert found.selected.estimate is not None
    assert found.selected.estimate.mean <= 0.705
    assert found.default is not None
    assert found.default.trial == 0
    assert list(found.groups["tuning"]) == ["all", "head", "layer5"]


def test_a_test_score_outside_of_its_estimate_is_a_warning() -> None:
    made = study()
    assert verdict.report(made).warning is None
    keep_scores(made, 0, {"kappa": 0.2}, {"kappa": 0.2}, {"x": 0.2, "y": 0.2})
    warning = verdict.report(made).warning
    assert warning is not None
    assert "0.200" in warning


def add_pruned(made: optuna.Study, attributes: dict[str, Any], reported: dict[int, float] | None = None) -> None:
    """Add a trial that ended early."""
    made.add_trial(
        optuna.trial.create_trial(
            state=TrialState.PRUNED,
            params={"tuning": "all"},
            distributions=CHOICES,
            user_attrs=attributes,
            intermediate_values=reported,
        )
    )


def test_trials_that_ended_early_are_in_no_comparison() -> None:
    made = study()
    add_pruned(made, {"settings": TrainingSettings().model_dump(), trials.PEOPLE: {"a": 0.1}})
    assert list(scores_table(made).index) == [0, 1, 2]
    assert [one.outcome for one in verdict.report(made).trials] == ["finished"] * 3 + ["pruned"]


def test_a_pruned_trial_has_no_standard_error() -> None:
    made = study()
    scores = {trials.PEOPLE: {"a": 0.0, "b": 0.0}}  # of the epoch with the lowest loss, which is the first
    add_pruned(made, scores, {1: 0.0, 2: 0.2})
    assert verdict.report(made).trials[-1].text() == "0.200"


def test_weights_of_a_trial_are_in_the_run_that_was_trained_on_all() -> None:
    made = study()
    best = winner(made)
    assert best is not None
    assert network_run(made, best) is None
    made.set_user_attr(trials.NETWORKS, {"0": "whole"})
    assert network_run(made, best) == "whole"
    old = optuna.trial.create_trial(value=0.5, user_attrs={"run_id": "own"})  # as in studies of version 0.1
    assert network_run(optuna.create_study(), old) == "own"


def test_a_study_without_finished_trials_has_a_report() -> None:
    made = study(people={})
    assert verdict.report(made).winner is None
    assert verdict.estimate(made) is None


@pytest.mark.parametrize(("number", "corrected"), [(2, False), (3, True)])
def test_an_estimate_from_few_participants_is_not_called_corrected(number: int, corrected: bool) -> None:
    few = {name: dict(list(scores.items())[:number]) for name, scores in PEOPLE.items()}
    found = verdict.report(study(few))
    assert (found.estimate_note == verdict.NOT_CORRECTED) is not corrected
    assert found.selected is not None
    assert found.selected.estimate is not None
    assert (found.selected.estimate.mean == pytest.approx(sum(few["all"].values()) / number)) is not corrected


UP, DOWN = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE


@pytest.mark.parametrize("second", [UP, DOWN])
def test_the_pareto_front_is_that_of_optuna(second: optuna.study.StudyDirection) -> None:
    made = optuna.create_study(directions=[UP, second])
    values = [(0.5, 10.0), (0.7, 20.0), (0.6, 30.0), (0.7, 20.0), (0.4, 5.0), (0.7, 25.0), (0.5, 9.0)]
    for pair in values:
        made.add_trial(optuna.trial.create_trial(values=list(pair)))
    expected = tuple(trial.number for trial in made.best_trials)
    assert len(expected) > 2 - (second == UP)
    assert trials.pareto_front(made.trials, made.directions) == expected


def test_the_pareto_front_has_trials_that_keep_the_constraint_only() -> None:
    made = optuna.create_study(study_name="tiny", directions=[UP, DOWN])
    limits = {"constraint": {"trainable_parameters": 500}, "second_objective": "trainable_parameters"}
    made.set_user_attr("settings", parse({**CONTENT, **limits}, "the test").to_yaml())
    for value, parameters in ((0.8, 1000.0), (0.7, 100.0)):
        measured = {MEASURED: {"trainable_parameters": parameters}, "run_id": "run", "settings": {"tuning": "all"}}
        made.add_trial(optuna.trial.create_trial(values=[value, parameters], user_attrs=measured))
    assert verdict.report(made).pareto == (1,)


def test_trials_are_compared_over_the_participants_who_are_scored_in_all_of_them() -> None:
    judged = {"a": 0.85, "b": 0.86, "c": 0.84, "d": 0.85, "e": 0.85}
    lower = {name: score - 0.05 for name, score in judged.items()}  # and undefined for f, whose windows are all right
    found = verdict.report(study({"all": {**judged, "f": 0.0}, "head": lower}))
    assert found.winner == 0
    assert found.selection.endswith("compared over the 5 participants whose score is defined in all trials.")
    assert found.selected is not None
    assert found.selected.estimate is not None
    assert found.selected.estimate.mean == pytest.approx(0.85)


def test_trials_that_exceed_a_limit_are_not_counted_as_worse() -> None:
    found = verdict.report(study(constraint={"trainable_parameters": 500}))
    assert "the best mean of the trials that keep the constraint" in found.selection
    assert found.excluded == 1
    assert "Of the 2 configurations that ran to the end and keep the constraint" in paper(found)[1]


def test_a_single_trial_is_better_than_no_other() -> None:
    found = verdict.report(study({"head": PEOPLE["head"]}, select="simplest"))
    assert found.selection == "Trial 0 is selected, because no other one has finished."


def test_a_study_of_version_0_1_goes_on_with_scores_over_all_windows() -> None:
    made = study()
    made.set_user_attr(trials.BY_PARTICIPANT, False)
    old = {"settings": TrainingSettings().model_dump(), "run_id": "old", "best_epoch": 3}
    made.add_trial(
        optuna.trial.create_trial(value=0.71, params={"tuning": "all"}, distributions=CHOICES, user_attrs=old)
    )
    first = best_trial(made)  # although the mean over participants of trial 0 would be compared with it
    assert first is not None
    assert first.number == 3
    found = verdict.report(made)
    assert told(found)[1] == "Its kappa over all windows is 0.710."
    assert found.selection == "Trial 3 is selected, because it has the best score (0.710)."
    assert [one.error for one in found.trials] == [None] * 4
    assert not any(one.candidate for one in found.trials)
    text = study_page(found)
    assert "over participants" not in text
    assert "Trials are judged by the score over all windows of a hold-out." in text


def test_trials_that_begin_while_a_study_is_read_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    made, get_trials = study(), optuna.Study.get_trials

    def growing(self: optuna.Study, *args: Any, **named: Any) -> list[optuna.trial.FrozenTrial]:
        made.ask()
        return get_trials(self, *args, **named)

    monkeypatch.setattr(optuna.Study, "get_trials", growing)
    assert verdict.report(made).winner == 0
    side = Side(made, cast("Store", SimpleNamespace(find_run=lambda one: None)))
    assert [kappa for _, _, kappa in side.scores] == [{"kappa": one.value} for one in made.trials[:3]]


def test_a_repeated_configuration_counts_once_in_a_paper() -> None:
    made = study()
    again = made.trials[0]
    again.user_attrs["duplicate_of"] = 0
    made.add_trial(again)
    methods, results = paper(verdict.report(made))
    assert methods.startswith("We compared 3 configurations of ")
    assert "Of the 3 configurations that ran to the end, 2, the best included, could not be told apart." in results
    limited = study(constraint={"trainable_parameters": 500})
    limited.add_trial(again)
    assert "Of the 2 configurations that ran to the end and keep the constraint" in paper(verdict.report(limited))[1]
