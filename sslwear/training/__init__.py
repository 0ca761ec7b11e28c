"""The one training loop, which knows neither Optuna nor MLflow."""

from sslwear.training.data import FitData, Windows, WindowSource
from sslwear.training.loop import EpochRecord, Evaluation, FitResult, FitSettings, evaluate, fit

__all__ = [
    "EpochRecord",
    "Evaluation",
    "FitData",
    "FitResult",
    "FitSettings",
    "WindowSource",
    "Windows",
    "evaluate",
    "fit",
]
