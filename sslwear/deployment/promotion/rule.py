"""Rule by which a candidate may replace the champion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sslwear.errors import SettingsError
from sslwear.evaluation.intervals import FEWEST, Difference
from sslwear.training.metrics import SCORES


@dataclass(frozen=True)
class Rule:
    """Rule by which a candidate may replace the champion.

    Attributes:
        score: score to compare, one of `SCORES`.
        kind: ``mean``: the mean difference over participants must be at least minus the margin; ``interval``: the lower
            limit of its 95 % interval must be, which needs at least five participants.
        margin: non-inferiority margin of the score.

    Raises:
        SettingsError: when the score or the kind is unknown, or the margin is not at least 0 and less than 1.
    """

    score: str = "kappa"
    kind: Literal["mean", "interval"] = "mean"
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise SettingsError(f"score: there is no {self.score!r}. Choose one of {', '.join(SCORES)}")
        if self.kind not in ("mean", "interval"):
            raise SettingsError(f"rule: there is no {self.kind!r}. Choose mean or interval")
        if not 0 <= self.margin < 1:
            raise SettingsError(f"margin: it must be at least 0 and less than 1 but is {self.margin:g}")

    def allows(self, found: Difference) -> bool:
        """Whether a difference, candidate minus champion, fulfils the rule."""
        value = found.interval.mean if self.kind == "mean" else found.interval.low  # NaN for too few participants
        return bool(value >= -self.margin)

    def undecided(self, participants: int) -> str:
        """Why the rule cannot be judged with a number of test participants; empty if it can."""
        if self.kind == "mean" or participants >= FEWEST:
            return ""
        return (
            f"the rule of the interval cannot be judged, because an interval needs at least {FEWEST} test participants "
            f"with a defined {self.score} and there {'is' if participants == 1 else 'are'} {participants}"
        )

    def __str__(self) -> str:
        what = "the mean difference" if self.kind == "mean" else "the lower limit of the difference's 95 % interval"
        return f"{what} in {self.score} must be at least {-self.margin or 0:g}"
