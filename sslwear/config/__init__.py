"""The study file: its schema, and how it is read."""

from sslwear.config.loading import load, parse
from sslwear.config.schema import (
    NO_PRETEXT,
    SUPERVISED,
    CacheSettings,
    EvaluationSettings,
    LogRange,
    MethodSettings,
    PretrainingSettings,
    PrunerSettings,
    SamplerSettings,
    SearchSettings,
    Settings,
    SplitSettings,
    TrainingSettings,
)

__all__ = [
    "NO_PRETEXT",
    "SUPERVISED",
    "CacheSettings",
    "EvaluationSettings",
    "LogRange",
    "MethodSettings",
    "PretrainingSettings",
    "PrunerSettings",
    "SamplerSettings",
    "SearchSettings",
    "Settings",
    "SplitSettings",
    "TrainingSettings",
    "load",
    "parse",
]
