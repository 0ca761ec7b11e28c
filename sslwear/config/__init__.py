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
from sslwear.config.yaml import YamlError, from_yaml, to_yaml

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
    "YamlError",
    "from_yaml",
    "load",
    "parse",
    "to_yaml",
]
