"""The one training loop, which knows neither Optuna nor MLflow."""

from sslwear.training.cache import FeatureCache, FrozenBlocks
from sslwear.training.data import Augmentation, FitData, Windows, WindowSource
from sslwear.training.loop import evaluate, fit, leading, outputs, refit
from sslwear.training.records import EpochRecord, Evaluation, FitResult, FitSettings

__all__ = [
    "Augmentation",
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
    "outputs",
    "refit",
]
