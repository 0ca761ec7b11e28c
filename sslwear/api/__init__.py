"""The public interface for Python and notebooks: studies, evaluations, data sets, encoders and models.

Results are kept in the store that the environment variable ``SSLWEAR_HOME`` names, by default the folder ``mlruns``
below the current folder. What a user can correct raises a subclass of `sslwear.SslwearError`.
"""

from sslwear.api.evaluation_result import EvaluationResult
from sslwear.api.loading import load_dataset, load_encoder, load_model, load_plugins, load_settings
from sslwear.api.running import evaluate, pretrain, promote, run_study, train
from sslwear.api.study_result import BestTrial, StudyResult
from sslwear.api.training_results import PretrainingResult, TrainingResult

__all__ = [
    "BestTrial",
    "EvaluationResult",
    "PretrainingResult",
    "StudyResult",
    "TrainingResult",
    "evaluate",
    "load_dataset",
    "load_encoder",
    "load_model",
    "load_plugins",
    "load_settings",
    "pretrain",
    "promote",
    "run_study",
    "train",
]
