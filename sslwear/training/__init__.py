"""The one training loop, which knows neither Optuna nor MLflow."""

from sslwear.training.cache import FeatureCache, FrozenBlocks
from sslwear.training.data import FitData, Windows, WindowSource
from sslwear.training.loop import EpochRecord, Evaluation, FitResult, FitSettings, evaluate, fit, leading, refit

__all__ = [
    "EpochRecord",
    "Evaluation",
    "FeatureCache",
    "FitData",
    "FitResult",
    "FitSettings",
    "FrozenBlocks",
    "WindowSource",
    "Windows",
    "evaluate",
    "fit",
    "leading",
    "refit",
]
