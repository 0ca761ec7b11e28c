"""Kinds of values in a study file, and what all its sections have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

NO_PRETEXT = "none"
"""The value of ``pretext:`` for fine-tuning without pre-training."""
SUPERVISED = "activities"
"""The value of ``pretext:`` for supervised pre-training on the labels of `pretraining.data`."""


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"input should be a number, but got {value}")
    return value


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _absolute(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Paths that hold from every working directory, because stores keep them."""
    return tuple(os.path.abspath(os.path.expanduser(path)) for path in paths)  # noqa: PTH100, PTH111 - keeps links


NO_BOOLEAN = BeforeValidator(_no_boolean)
"""Numbers are not strict, so that a number in quotes is read too."""
OneOrMore = Annotated[tuple[str, ...], BeforeValidator(_one_or_more, str | tuple[str, ...])]
"""A text, or a list of texts."""
Paths = Annotated[OneOrMore, AfterValidator(_absolute)]
"""A path, or a list of paths."""
Share = Annotated[float, Field(gt=0, lt=1), NO_BOOLEAN]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), NO_BOOLEAN]
Gigabytes = Annotated[float, Field(ge=0, le=1e6), NO_BOOLEAN]
Count = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
NonNegative = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
BatchSize = Annotated[int, Field(ge=2, lt=2**31, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
SHORT_KEYS = ("tuning", "learning_rate", "batch_size", "augment", "pretext")
"""Keys of `training` that `search` also has without their section."""
OLD_KEYS = {"tuned": "tuning", "choose": "select_on_validation"}
"""Earlier spellings of keys, which files and stores may have."""
SPELLINGS = OLD_KEYS | {f"training.{key}": key for key in SHORT_KEYS}
"""Other spellings of keys: earlier ones, and those of `search` with their section."""


class Section(BaseModel):
    """A section of the study file; it refuses keys that it does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    spellings: ClassVar[Mapping[str, str]] = OLD_KEYS

    @model_validator(mode="before")
    @classmethod
    def _read_other_spellings(cls, content: Any) -> Any:
        """Take another spelling of a key for its name."""
        if not isinstance(content, dict):
            return content
        renamed = {other: key for other, key in cls.spellings.items() if other in content and key in cls.model_fields}
        for other, key in renamed.items():
            if key in content:
                raise ValueError(f"{other} is another spelling of {key}, and both are given; leave {other} out")
        return {renamed.get(key, key): value for key, value in content.items()}
