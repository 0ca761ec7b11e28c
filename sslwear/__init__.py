"""Self-supervised learning on wrist accelerometers: which layers to fine-tune, how fast, after which pretext task.

The names below are the public interface, see `sslwear.api`. They are imported on first use, so that ``import sslwear``
is fast and changes nothing in the process.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

if TYPE_CHECKING:
    from sslwear.api import (
        BestTrial,
        EvaluationResult,
        PretrainingResult,
        StudyResult,
        TrainingResult,
        evaluate,
        load_dataset,
        load_encoder,
        load_model,
        load_plugins,
        load_settings,
        pretrain,
        promote,
        run_study,
        train,
    )
    from sslwear.config import Settings
    from sslwear.errors import SslwearError

__all__ = [
    "BestTrial",
    "EvaluationResult",
    "PretrainingResult",
    "Settings",
    "SslwearError",
    "StudyResult",
    "TrainingResult",
    "__version__",
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

_ELSEWHERE = {"Settings": "sslwear.config", "SslwearError": "sslwear.errors"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ELSEWHERE.get(name, "sslwear.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
