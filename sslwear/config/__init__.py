"""The study file: its schema, and how it is read."""

from sslwear.config.kinds import NO_PRETEXT, OLD_KEYS, SUPERVISED
from sslwear.config.loading import from_python, load, parse, with_effect
from sslwear.config.schema import EvaluationSettings, MethodSettings, Settings
from sslwear.config.sections import (
    CacheSettings,
    LogRange,
    PretrainingSettings,
    PrunerSettings,
    SamplerSettings,
    SearchSettings,
    SplitSettings,
    TrainingSettings,
)
from sslwear.config.yaml import YamlError, from_yaml, to_yaml

__all__ = [
    "NO_PRETEXT",
    "OLD_KEYS",
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
    "from_python",
    "from_yaml",
    "load",
    "parse",
    "to_yaml",
    "with_effect",
]
