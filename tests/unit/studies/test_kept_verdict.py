"""Parts of a verdict that a finalised study keeps."""

from __future__ import annotations

import pytest

from sslwear.evaluation.intervals import Interval
from sslwear.studies.database import trials
from sslwear.studies.database.kept_verdict import keep, kept_alike, kept_importances
from sslwear.studies.results import verdict
from sslwear.studies.results.importances import importances
from tests.unit.studies.test_verdict import study

SHARES = {"tuning": Interval(0.9, 0.1, 0.8, 1.0, 3)}


def test_a_finalised_study_is_told_from_what_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(select="simplest")
    before = verdict.report(made)
    keep(made, [one.number for one in before.trials if one.candidate], SHARES)
    monkeypatch.setattr(trials, "candidates", lambda _: pytest.fail("compared again"))
    after = verdict.report(made)
    assert after.importances == importances(made) == SHARES
    assert (after.trials, after.winner, after.finding) == (before.trials, before.winner, before.finding)


def test_what_is_kept_counts_until_there_are_more_trials() -> None:
    made = study()
    assert kept_alike(made) is kept_importances(made) is None
    keep(made, [0], {})
    assert (kept_alike(made), kept_importances(made)) == ([0], {})
    made.add_trial(made.trials[0])
    assert kept_alike(made) is kept_importances(made) is None
    assert importances(made) == {}
