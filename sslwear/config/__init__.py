"""The study file: its schema, and how it is read."""

from sslwear.config.evaluation import EvaluationSettings, MethodSettings
from sslwear.config.kinds import NO_PRETEXT, SUPERVISED
from sslwear.config.loading import from_python, load, parse, with_effect
from sslwear.config.schema import Settings
from sslwear.config.search import ANY, LogRange, Range, SearchSettings, section_and_key
from sslwear.config.sections import (
    CacheSettings,
    ConstraintSettings,
    OptimizationSettings,
    PretrainingSettings,
    PrunerSettings,
    SamplerSettings,
    SplitSettings,
    TrainingSettings,
)
from sslwear.config.yaml import YamlError, from_yaml, to_yaml

__all__ = [
    "ANY",
    "NO_PRETEXT",
    "SUPERVISED",
    "CacheSettings",
    "ConstraintSettings",
    "EvaluationSettings",
    "LogRange",
    "MethodSettings",
    "OptimizationSettings",
    "PretrainingSettings",
    "PrunerSettings",
    "Range",
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
    "section_and_key",
    "to_yaml",
    "with_effect",
]
