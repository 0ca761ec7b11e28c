"""Section `search` of the study file: what can be searched, and the values of each key."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, get_args

from pydantic import ConfigDict, Discriminator, Field, Tag, TypeAdapter, create_model, field_validator, model_validator
from pydantic.fields import FieldInfo

from sslwear.config.kinds import SHORT_KEYS, SPELLINGS, Positive, Section
from sslwear.config.sections import PretrainingSettings, TrainingSettings

Number = TypeVar("Number", int, float)
ANY = "any"
"""The value of ``search.tuning`` for each set of frozen blocks."""
BLOCKS = 5
"""Number of blocks of every encoder."""
NO_SCALARS = ("pretraining.data",)
"""Keys that cannot be searched, because their values are lists."""
ROUNDING = 1e-9
"""Largest deviation of a number of steps from a whole number, as a share of it, that is rounding."""
MOST_STEPS = 1_000_000
"""Largest number of steps of a range."""


def _is_whole(steps: float) -> bool:
    return abs(steps - round(steps)) <= ROUNDING * max(1, steps)


class Range(Section, Generic[Number]):
    """A range of numbers that is searched."""

    # pydantic looks for docstrings of attributes in the source of all callers if a class is made at run time, as
    # Range[int] is, which takes a quarter of a command's start.
    model_config = ConfigDict(use_attribute_docstrings=False)

    low: Number = Field(description="Smallest value.")
    high: Number = Field(description="Largest value.")
    step: Number | None = Field(
        None, description="Distance between neighbouring values. Without it, all numbers are searched."
    )
    log: bool = Field(
        False, description="Whether the scale is logarithmic, so that 1 to 10 is searched as much as 10 to 100."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be less than high, but they are {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(
                f"low must be above 0 on a logarithmic scale, but is {self.low:g}; raise it, or add log: false"
            )
        if self.step is None:
            return self
        if not self.step > 0:
            raise ValueError(f"step must be above 0, but is {self.step:g}")
        if self.log:
            raise ValueError("step is for a linear scale; add log: false, or leave step out")
        steps = (self.high - self.low) / self.step
        if steps > MOST_STEPS:
            raise ValueError(f"step is too small: {self.low:g} to {self.high:g} has more than {MOST_STEPS:,} steps")
        if not _is_whole(steps):
            raise ValueError(f"high must be low and a number of steps, but {self.low:g} to {self.high:g} is {steps:g}")
        return self

    @property
    def values(self) -> tuple[Any, ...]:
        """All values of a range with a step."""
        assert self.step is not None
        low: float = self.low
        step: float = self.step
        return (*(low + i * step for i in range(round((self.high - low) / step))), self.high)

    def find(self, value: Number | None) -> Number | None:
        """The value of the range that equals a number up to rounding; None if there is none."""
        if value is None or not self.low <= value <= self.high:
            return None
        if self.step is None:
            return value
        steps = (value - self.low) / self.step
        return self.values[round(steps)] if _is_whole(steps) else None


class LogRange(Range[Positive]):
    """A range of learning rates, on a logarithmic scale if nothing else is said."""

    log: bool = Field(
        True, description="Whether the scale is logarithmic, so that 1e-4 to 1e-3 is searched as much as 1e-3 to 1e-2."
    )


Choices = tuple[Any, ...]
Space = Choices | Range[Any] | Literal["any"]
"""What is searched of one key."""


def section_and_key(name: str) -> tuple[str, str]:
    """Section and key of a name in `search`: ``batch_size`` is of `training`."""
    section, _, key = name.rpartition(".")
    return section or "training", key


def _names() -> dict[str, FieldInfo]:
    """Keys that can be searched, by name; those of `SHORT_KEYS` are without their section."""
    found = {}
    for section, kind in (("training", TrainingSettings), ("pretraining", PretrainingSettings)):
        for key, field in kind.model_fields.items():
            name = f"{section}.{key}"
            if name not in NO_SCALARS:
                found[SPELLINGS.get(name, name)] = field
    return {**{name: found[name] for name in SHORT_KEYS}, **found}


def _kind(name: str, field: FieldInfo) -> Any:
    """Type of the values of a key: choices of the key's own type, or a range if they are numbers."""
    value = field.rebuild_annotation()
    choices: Any = tuple[value, ...]  # type: ignore[valid-type]
    if name == "tuning":
        return Literal["any"] | choices
    number = next((one for one in (value, *get_args(value)) if (get_args(one) or (one,))[0] in (int, float)), None)
    if number is None:
        return choices
    within = LogRange if name.endswith("learning_rate") else _range_of(number)
    return Annotated[
        Annotated[within, Tag("tuple[range]")] | Annotated[choices, Tag("tuple[choices]")],
        Discriminator(lambda given: "tuple[range]" if isinstance(given, dict | Range) else "tuple[choices]"),
    ]


@cache
def _range_of(number: Any) -> type[Range[Any]]:
    """Ranges of a type of numbers, under a name in the JSON schema such as ``IntegersFrom1``."""
    limits = TypeAdapter(number).json_schema()
    name = f"{limits['type'].capitalize()}sFrom{limits.get('minimum', limits.get('exclusiveMinimum'))}"
    return create_model(name, __base__=Range[number], __doc__=Range.__doc__)


def _described(name: str, field: FieldInfo) -> str:
    blocks = " Or any for each set of blocks." if name == "tuning" else ""
    return f"Values of {'.'.join(section_and_key(name))} to try.{blocks} {field.description}"


def _with_full_names(schema: dict[str, Any]) -> None:
    """Add the full names of keys to the JSON schema, which has the short ones."""
    schema["properties"] |= {f"training.{name}": schema["properties"][name] for name in SHORT_KEYS}


if TYPE_CHECKING:
    _Keys = Section
else:
    _Keys = create_model(
        "_Keys",
        __base__=Section,
        __cls_kwargs__={"use_attribute_docstrings": False},
        **{
            name: (_kind(name, field) | None, Field(None, description=_described(name, field)))
            for name, field in _names().items()
        },
    )


class SearchSettings(_Keys):
    """What a study searches over: lists of choices, and ranges of numbers. A key that is left out stays as `training`
    and `pretraining` have it.
    """

    model_config = ConfigDict(json_schema_extra=_with_full_names)
    spellings: ClassVar[Mapping[str, str]] = SPELLINGS

    @field_validator("*")
    @classmethod
    def _choices(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            if not value:
                raise ValueError("give at least one choice, or leave the key out")
            if len(set(value)) < len(value):
                raise ValueError("a choice is given twice")
        return value

    @property
    def space(self) -> dict[str, Space]:
        """What is searched, by name."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: values for name, values in given if values is not None}

    @property
    def pretraining_keys(self) -> tuple[str, ...]:
        """Keys of `pretraining` that are searched."""
        found = map(section_and_key, self.space)
        return tuple(key for section, key in found if section == "pretraining")

    def choices(self, name: str) -> Choices:
        """Choices of a key; empty if it has none."""
        found = self.space.get(name)
        return found if isinstance(found, tuple) else ()

    def most_epochs(self, own: int) -> int:
        """Largest number of epochs that a trial may fine-tune for, where `own` is the number that is not searched."""
        searched = self.space.get("training.max_epochs", ())
        return int(searched.high) if isinstance(searched, Range) else max(searched, default=own)

    def grid_size(self) -> int:
        """Number of combinations of all values.

        Raises:
            ValueError: when a range has no step.
        """
        size = 1
        for name, values in self.space.items():
            if isinstance(values, Range) and values.step is None:
                raise ValueError(
                    f"search.{name} is a range without a step, which has too many values for a grid; give it a step "
                    "with log: false, give a list, or choose another sampler.name"
                )
            size *= 2**BLOCKS if values == ANY else len(values.values if isinstance(values, Range) else values)
        return size
