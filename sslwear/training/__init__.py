"""The one training loop, which knows neither Optuna nor MLflow."""

from sslwear.training.cache import FeatureCache, FrozenBlocks
from sslwear.training.data import Augmentation, FitData, Windows, WindowSource
from sslwear.training.loop import (
    EpochRecord,
    Evaluation,
    FitResult,
    FitSettings,
    evaluate,
    fit,
    leading,
    outputs,
    refit,
)

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
