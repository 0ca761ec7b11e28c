"""A study in words says no more than its numbers."""

import math
from dataclasses import replace

import pytest

from sslwear.evaluation.intervals import Interval, interval
from sslwear.reports.study_report import StudyReport
from sslwear.reports.study_text import (
    MOST_LISTED,
    evaluations_note,
    limited,
    markdown_text,
    outcomes_text,
    paper,
    score_rows,
    study_markdown,
    verdict,
)
from tests.unit.reports.conftest import trial

FEW = interval([0.7, 0.8])
KNOWN = Interval(0.8, 0.1, 0.7512, 0.8488, 6)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (KNOWN, "0.800 [0.751, 0.849]"),
        (FEW, "0.750"),
        (interval([]), "undefined"),
        (Interval(0.8, 0.1, math.nan, math.nan, 9), "0.800"),
        (None, "-"),
    ],
)
def test_a_mean_has_limits_only_where_they_are_known(found: Interval | None, text: str) -> None:
    assert limited(found) == text


def test_the_verdict_names_the_winner_its_score_and_what_cannot_be_told_from_it(report: StudyReport) -> None:
    assert report.selected is not None
    changed = replace(report, selected=replace(report.selected, estimate=KNOWN))
    assert verdict(changed) == [
        "Trial 3 (head, reverse) was selected.",
        "Its estimated mean kappa is 0.800 (95 % interval 0.751 to 0.849), from 6 participants.",
        "Trial 3 cannot be told from trial 2.",
        "Trial 3 has the fewest tuned parameters of them.",
    ]


def test_the_verdict_says_when_participants_are_too_few_for_an_interval(report: StudyReport) -> None:
    assert report.selected is not None
    few = replace(report, selected=replace(report.selected, estimate=FEW))
    assert verdict(few)[1] == "Its estimated mean kappa is 0.750, from 2 participants, too few for an interval."


def test_the_verdict_gives_no_reason_for_limits_that_are_missing_otherwise(report: StudyReport) -> None:
    assert report.selected is not None
    unlimited = replace(report, selected=replace(report.selected, estimate=Interval(0.8, 0.1, math.nan, math.nan, 9)))
    assert verdict(unlimited)[1] == "Its estimated mean kappa is 0.800, from 9 participants."


def test_the_verdict_without_an_estimate_gives_the_mean_of_the_trial(report: StudyReport) -> None:
    sentence = "Its mean kappa is 0.790 ± 0.020, with the standard error over participants."
    assert verdict(replace(report, selected=None))[1] == sentence


def test_the_verdict_says_when_the_files_own_settings_won(report: StudyReport) -> None:
    changed = replace(report, winner=0, selected=report.default)
    assert verdict(changed)[0] == "Trial 0 (all, none), the file's own settings, was selected."
    assert [row.role for row in score_rows(changed)] == ["selected", "baseline"]


def test_the_verdict_says_where_the_baseline_is_better(report: StudyReport) -> None:
    assert report.selected is not None
    assert report.baseline is not None
    selected = replace(report.selected, estimate=KNOWN, test=interval([0.5, 0.6]))
    better = replace(
        report.baseline, name="random_forest", estimate=replace(KNOWN, mean=0.9), test=interval([0.6, 0.7])
    )
    sentence = (
        "The baseline, random_forest, has a higher mean in the search (0.900) and on the test participants (0.650)."
    )
    assert sentence in verdict(replace(report, selected=selected, baseline=better))
    as_good = replace(better, estimate=KNOWN, test=None)
    assert not any("baseline" in said for said in verdict(replace(report, selected=selected, baseline=as_good)))


def test_the_verdict_without_a_winner_gives_the_outcomes(report: StudyReport) -> None:
    nothing = replace(report, winner=None, selected=None, finding="", selection="")
    assert verdict(nothing) == ["No trial has been selected: 4 finished, 1 pruned, 1 failed."]
    why = "None of the 4 finished trials keeps the constraint (trainable_parameters: 5)."
    assert verdict(replace(nothing, selection=why))[1] == why
    assert verdict(replace(nothing, trials=())) == ["No trial has been selected: no trial has been run."]


def test_outcomes_of_other_versions_are_counted_too(report: StudyReport) -> None:
    changed = replace(report, trials=(trial(0, 0.5, outcome="lost"), trial(1, 0.5, outcome="running")))
    assert outcomes_text(changed) == "1 running, 1 lost"


def test_rows_of_scores_say_which_cannot_be_told_from_the_best(report: StudyReport) -> None:
    assert [(row.role, row.alike) for row in score_rows(report)] == [
        ("selected", True),
        ("file's own settings", False),
        ("baseline", None),
    ]
    trials = (replace(report.trials[0], candidate=True), *report.trials[1:])
    assert score_rows(replace(report, trials=trials))[1].alike


@pytest.mark.parametrize(
    ("evaluations", "beginning"),
    [
        (0, "The test participants have not been scored."),
        (1, "The test participants were scored once, after the search."),
        (3, "The test participants were scored 3 times. If any choice"),
    ],
)
def test_the_number_of_test_evaluations_is_given(report: StudyReport, evaluations: int, beginning: str) -> None:
    assert evaluations_note(replace(report, test_evaluations=evaluations)).startswith(beginning)


def test_a_paper_gets_methods_and_results_with_numbers(report: StudyReport) -> None:
    methods, results = paper(report)
    assert methods == (
        "We compared 6 configurations of harnet10 (initial weights: published weights) on adl, which differed in "
        "tuning, pretext, learning_rate; 2 of them did not run to the end. Each trial was judged in 3 folds. Trial 3 "
        "has the fewest tuned parameters of them."
    )
    again = replace(report, trials=(*report.trials, replace(report.trials[-1], outcome="interrupted")))
    assert paper(again)[0] == methods  # an interrupted trial is run again
    assert report.selected is not None
    assert report.selected.estimate is not None
    assert report.selected.test is not None
    estimate, test = report.selected.estimate, report.selected.test
    without, on = "estimated without the test participants (n = 6)", "on the test participants (n = 5)"
    assert results == (
        f"Mean kappa of the selected configuration: 0.790 (95 % interval {estimate.low:.3f} to {estimate.high:.3f}) "
        f"{without}, and 0.740 (95 % interval {test.low:.3f} to {test.high:.3f}) {on}. The estimate was lowered by "
        f"0.010. Baseline (random forest): 0.550 (95 % interval 0.550 to 0.550) {without}, and 0.500 (95 % interval "
        f"0.500 to 0.500) {on}. Of the 4 configurations that ran to the end, 2, the best included, could not "
        "be told apart."
    )


def test_a_paper_says_when_the_best_was_better_than_all_others(report: StudyReport) -> None:
    alone = tuple(replace(one, candidate=one.number == report.winner) for one in report.trials)
    results = paper(replace(report, trials=alone))[1]
    assert results.endswith("Of the 4 configurations that ran to the end, one was better than all others.")


def test_a_paper_gets_nothing_without_a_winner(report: StudyReport) -> None:
    assert paper(replace(report, winner=None, selected=None)) == []


def test_the_markdown_has_the_verdict_the_scores_and_the_trials_that_cannot_be_told_apart(report: StudyReport) -> None:
    lines = study_markdown(replace(report, warning="Few windows.")).split("\n")
    assert lines[:3] == ["Each trial was judged in 3 folds.", "", " ".join(verdict(report))]
    assert "**Warning:** Few windows." in lines
    assert report.default is not None
    estimate = limited(report.default.estimate)
    assert estimate.startswith("0.500 [")
    assert f"| trial 0 (file's own settings) | {estimate}, 6 participants | - |" in lines
    assert "The estimate was lowered by 0.010. The test participants were scored once, after the search." in lines
    assert lines[-2:] == ["| 2 | 0.800 ± 0.020 | layer1, reverse |", "| 3 (selected) | 0.790 ± 0.020 | head, reverse |"]


def test_the_markdown_marks_own_settings_that_cannot_be_told_from_the_best(report: StudyReport) -> None:
    trials = (replace(report.trials[0], candidate=True), *report.trials[1:])
    text = study_markdown(replace(report, trials=trials))
    assert "| trial 0 (file's own settings; cannot be told from the best) |" in text


def test_the_markdown_lists_a_limited_number_of_trials(report: StudyReport) -> None:
    trials = tuple(trial(number, 0.5, candidate=True) for number in range(MOST_LISTED + 2))
    text = study_markdown(replace(report, trials=trials))
    assert text.count("± 0.020") == MOST_LISTED
    assert text.endswith("2 more trials cannot be told from the best.")


def test_the_markdown_of_a_study_without_trials_is_the_verdict(report: StudyReport) -> None:
    empty = replace(report, trials=(), winner=None, selected=None, default=None, baseline=None, finding="")
    empty = replace(empty, selection="")
    assert study_markdown(empty).split("\n\n")[1:] == ["No trial has been selected: no trial has been run."]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<b>*x*`y`", r"\<b\>\*x\*\`y\`"),
        ("layer1_layer2 _x_", r"layer1_layer2 \_x\_"),
        ("[a](b) [0.7, 0.8] (c)", r"[a]\(b) [0.7, 0.8] (c)"),
        ("two\nlines\x1b", r"two lines\\x1b"),
    ],
)
def test_markdown_shows_names_as_they_are(text: str, shown: str) -> None:
    assert markdown_text(text) == shown
