"""Training of encoders, without Optuna and MLflow."""

from sslwear.training.cache import FeatureCache, FrozenBlocks
from sslwear.training.evaluation import evaluate, outputs
from sslwear.training.loop import fit, frozen_prefix_length, refit
from sslwear.training.results import EpochRecord, Evaluation, FitResult, FitSettings
from sslwear.training.windows import AugmentedViews, FitData, Windows, WindowSource

__all__ = [
    "AugmentedViews",
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
    "frozen_prefix_length",
    "outputs",
    "refit",
]
