"""Rule by which a candidate may replace the champion."""

from __future__ import annotations

import pytest

from sslwear.deployment.promotion.rule import Rule
from sslwear.errors import SettingsError
from sslwear.evaluation.intervals import Difference, Interval

NAN = float("nan")


def test_one_participant_fulfils_the_rule_of_the_mean_only() -> None:
    one = Difference(Interval(0.1, NAN, NAN, NAN, 1), NAN)
    assert Rule().allows(one)
    assert not Rule(kind="interval").allows(one)


def test_a_rule_of_another_name_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"rule: there is no 'Mean'\. Choose mean or interval"):
        Rule(kind="Mean")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "participants", "judged"), [("mean", 1, True), ("interval", 4, False), ("interval", 5, True)]
)
def test_the_interval_needs_five_participants(kind: str, participants: int, judged: bool) -> None:
    why = Rule("f1", kind).undecided(participants)  # type: ignore[arg-type]
    assert why == (
        ""
        if judged
        else "the rule of the interval cannot be judged, because an interval needs at least 5 test participants with a "
        "defined f1 and there are 4"
    )
