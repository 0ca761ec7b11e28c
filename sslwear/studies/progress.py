"""Progress of studies and trainings, as callbacks."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sslwear.pretext.base import CHANCE
from sslwear.training import EpochRecord
from sslwear.utils.masking import masked

log = logging.getLogger(__name__)


def beside_chance(scores: Mapping[str, float], headline: str) -> str:
    """A score as text, with the score of chance if the task has one: ``accuracy 0.812 (chance 0.500)``."""
    text = f"{headline} {scores[headline]:.3f}"
    return f"{text} (chance {scores[CHANCE]:.3f})" if CHANCE in scores else text


class ProgressCallback:
    """Receives the progress of a study; this class logs warnings and is silent otherwise, subclasses show progress."""

    def study(self, name: str, done: int, total: int) -> None:
        """A study starts or goes on with `done` of `total` trials finished."""

    def trial(self, name: str) -> None:
        """A trial of a study, or a job of an evaluation, starts."""

    def started(self, name: str, max_epochs: int) -> None:
        """A training or pre-training of at most `max_epochs` epochs starts."""

    def epoch(self, record: EpochRecord, headline: str) -> None:
        """An epoch ended; `headline` names the score to show."""

    def ended(self, name: str, outcome: str, value: float | None) -> None:
        """A trial or job ended with an `outcome`; `value` is its objective, None if it has none."""

    def note(self, text: str) -> None:
        """Something worth knowing happened."""

    def warn(self, text: str) -> None:
        """Something happened that the user should act on; logged by default."""
        log.warning(masked(text))
