"""Results of a training and of a pre-training."""

# Imports of other parts stay inside functions, so that importing this module is fast.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from sslwear.training import FitResult


@dataclass(frozen=True)
class TrainingResult:
    """One training.

    Attributes:
        weights: address of its checkpoint, ``runs:/ID``.
        scores: scores of the best epoch, means over the validation participants, by name.
        fit: the network, the predictions of the best epoch and the record of each epoch.
    """

    weights: str
    scores: dict[str, float]
    fit: FitResult

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row an epoch: ``epoch``, ``train_loss``, ``validation_loss``, the validation scores and ``seconds``."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "epoch": record.epoch,
                    "train_loss": record.train_loss,
                    "validation_loss": record.validation_loss,
                    **record.scores,
                    "seconds": record.seconds,
                }
                for record in self.fit.history
            ]
        )

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.3f}" for name, value in self.scores.items())
        return f"TrainingResult({self.weights!r}, {scores})"

    def _repr_html_(self) -> str:
        table = self.epochs.to_html(index=False, float_format=lambda value: f"{value:.4g}")
        return f"{_scores_html('Training', self.weights, self.scores)}{table}"


@dataclass(frozen=True)
class PretrainingResult:
    """One pre-training.

    Attributes:
        weights: address of its checkpoint, ``runs:/ID``, for `load_encoder` or a study's ``weights``.
        scores: scores of the pretext task on held-out participants, by name; ``chance`` is the score of an untrained
            network.
    """

    weights: str
    scores: dict[str, float]

    def _repr_html_(self) -> str:
        return _scores_html("Pre-training", self.weights, self.scores)


def _scores_html(what: str, weights: str, scores: Mapping[str, float]) -> str:
    """Scores and the address of the weights, as a paragraph."""
    listed = ", ".join(f"{escape(name)} {value:.3f}" for name, value in scores.items())
    return f"<p><b>{what}</b>: {listed}. Weights: <code>{escape(weights)}</code></p>"
