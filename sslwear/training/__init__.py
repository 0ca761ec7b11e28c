"""Training of encoders, without Optuna and MLflow."""

from sslwear.training.cache import FeatureCache, FrozenBlocks
from sslwear.training.checkpoint import Checkpoints
from sslwear.training.epochs import frozen_prefix_length
from sslwear.training.evaluation import evaluate, outputs
from sslwear.training.fold_group import Helpers
from sslwear.training.folds import FoldedResult, fit_folds
from sslwear.training.loop import fit, refit
from sslwear.training.results import EpochRecord, Evaluation, FitResult, FitSettings
from sslwear.training.trained_fold import Fold
from sslwear.training.windows import AugmentedViews, FitData, Windows, WindowSource

__all__ = [
    "AugmentedViews",
    "Checkpoints",
    "EpochRecord",
    "Evaluation",
    "FeatureCache",
    "FitData",
    "FitResult",
    "FitSettings",
    "Fold",
    "FoldedResult",
    "FrozenBlocks",
    "Helpers",
    "WindowSource",
    "Windows",
    "evaluate",
    "fit",
    "fit_folds",
    "frozen_prefix_length",
    "outputs",
    "refit",
]
