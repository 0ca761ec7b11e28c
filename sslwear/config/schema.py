"""The study file as typed, validated settings: its sections, their keys, and the kinds of values in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from sslwear.config.yaml import to_yaml

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
    return tuple(os.path.abspath(Path(path).expanduser()) for path in paths)  # noqa: PTH100 - keeps links


NO_BOOLEAN = BeforeValidator(_no_boolean)
"""Numbers are not strict, so that a number in quotes is read too."""
OneOrMore = Annotated[tuple[str, ...], BeforeValidator(_one_or_more, str | tuple[str, ...])]
"""A text, or a list of texts."""
Share = Annotated[float, Field(gt=0, lt=1), NO_BOOLEAN]
NonNegativeNumber = Annotated[float, Field(ge=0, allow_inf_nan=False), NO_BOOLEAN]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), NO_BOOLEAN]
Count = Annotated[int, Field(ge=1, strict=True)]
NonNegative = Annotated[int, Field(ge=0, strict=True)]
BatchSize = Annotated[int, Field(ge=2, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**31, strict=True)]


def _boolean_or_name(value: Any) -> Any:
    if value == "" or not (isinstance(value, str) or value in (True, False)):
        raise ValueError(f"input should be true, false or a name, but got {value!r}")
    return value


def _canonical_augment(value: bool | str) -> bool | str:
    return True if value == ROTATION else value


ROTATION = "rotation"
"""The augmentation that ``augment: true`` stands for."""
Augment = Annotated[
    bool | str,
    Field(union_mode="left_to_right"),  # so that yes and no are read as booleans
    BeforeValidator(_boolean_or_name),
    AfterValidator(_canonical_augment),
]
"""Whether to augment, or the name of an augmentation; the name of the rotation is read as true."""
OLD_KEYS = {"tuned": "tuning", "choose": "select_on_validation"}
"""Earlier spellings of keys, which files and stores may have."""


class Section(BaseModel):
    """A section of the study file; it refuses keys that it does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _read_old_keys(cls, content: Any) -> Any:
        """Take an earlier spelling of a key for today's."""
        if not isinstance(content, dict):
            return content
        renamed = {old: new for old, new in OLD_KEYS.items() if old in content and new in cls.model_fields}
        for old, new in renamed.items():
            if new in content:
                raise ValueError(f"{old} is the old spelling of {new}, and both are given; leave {old} out")
        return {renamed.get(key, key): value for key, value in content.items()}


class SplitSettings(Section):
    """Hold-out by participant."""

    test: Share = 0.2
    """Share of the participants who are test participants."""
    test_seed: Seed = 42
    """Seed of the draw of test participants, or of the groups of k_fold."""
    validation: Share = 0.125
    """Share of the other participants who are validation participants."""
    validation_seed: Seed = 41
    """Seed of the draw of validation participants."""


class PretrainingSettings(Section):
    """Fitting the encoder on a pretext task, before fine-tuning."""

    learning_rate: Positive = 1e-3
    """Learning rate of all parameters."""
    batch_size: BatchSize = 64
    """Windows in a batch."""
    max_epochs: Count = 20
    """Largest number of epochs."""
    patience: Count = 5
    """Early stopping after this number of epochs without a better score of held-out participants."""
    data: Annotated[OneOrMore, Field(min_length=1)] | None = None
    """Folders of unlabelled shards or of data sets, or names of sources. Only the pretext task activities uses
    labels. Without it, the training participants of the study are used."""
    sampling: Literal["uniform", "motion"] = "motion"
    """How windows are drawn: with a probability proportional to their motion, or all with the same probability."""
    windows_per_participant: Count = 1500
    """Windows drawn from each participant of pretraining.data in an epoch."""
    participants_at_a_time: Count = 8
    """Participants whose windows are mixed in a batch, where windows are drawn."""


class TrainingSettings(Section):
    """Fitting on activity labels; what `search` names is replaced in each trial."""

    tuning: str = "all"
    """Tuning strategy: all, head, blocks such as layer1, layer4-5 or layer1+layer5, or another strategy."""
    learning_rate: Positive = 1e-4
    """Learning rate of the head and of the blocks that are tuned."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate over the epochs: constant, or half a cosine that ends after max_epochs."""
    batch_size: BatchSize = 64
    """Windows in a batch."""
    augment: Augment = False
    """Augmentation of training windows: false, true for random rotations, or the name of another augmentation."""
    augment_degrees: Annotated[float, Field(gt=0, le=180), NO_BOOLEAN] | None = None
    """Largest angle of the random rotations in degrees. Without it, windows are turned to any orientation, and axes
    are switched."""
    augmented_views: Count = 8
    """Number of augmented views that epochs take in turn where the first block is frozen, so that its outputs can
    be kept."""
    pretext: str = NO_PRETEXT
    """Pretext task of the pre-training, activities for supervised pre-training on pretraining.data, or none."""
    head: Literal["published", "linear"] = "published"
    """The two layers of the published models, or one linear layer."""
    class_weights: bool = True
    """Whether the loss weighs classes by the inverse of their frequency."""
    max_epochs: Count = 50
    """Largest number of epochs."""
    patience: Count = 5
    """Early stopping after this number of epochs without a better validation score."""


class LogRange(Section):
    """A range that is searched on a logarithmic scale."""

    low: Positive
    """Smallest value."""
    high: Positive
    """Largest value."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be less than high, but they are {self.low:g} and {self.high:g}")
        return self


class SearchSettings(Section):
    """What a study searches over; a key that is left out stays as `training` has it."""

    tuning: Literal["any"] | tuple[str, ...] | None = None
    """Tuning strategies to choose from; any for each set of frozen blocks."""
    learning_rate: LogRange | None = None
    """Range of learning rates."""
    batch_size: tuple[BatchSize, ...] | None = None
    """Batch sizes to choose from."""
    augment: tuple[Augment, ...] | None = None
    """Augmentations to choose from: false, true for random rotations, or names."""
    pretext: tuple[str, ...] | None = None
    """Pretext tasks to choose from; none for no pre-training."""

    @field_validator("tuning", "batch_size", "augment", "pretext")
    @classmethod
    def _choices(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            if not value:
                raise ValueError("give at least one choice, or leave the key out")
            if len(set(value)) < len(value):
                raise ValueError("a choice is given twice")
        return value


class SamplerSettings(Section):
    """How trials are proposed: at random at first, then by TPE from the results of the earlier ones."""

    startup_trials: NonNegative = 5
    """Trials that are drawn at random before the sampler uses results; they run in the order of their cost."""


class PrunerSettings(Section):
    """Ends trials early that fall behind the others at the same epoch."""

    name: Literal["median", "halving", "hyperband", "none"] = "median"
    """Rule by which trials are ended: worse than the median; not among the best of its rung (asynchronous
    successive halving); halving that starts at several epochs (Hyperband); or none."""
    warmup_epochs: NonNegative = 2
    """Epochs of a trial in which it is not ended."""
    startup_trials: NonNegative = 5
    """First trials of a study, which median does not end."""
    reduction_factor: Annotated[int, Field(ge=2, strict=True)] = 3
    """For halving and hyperband: one trial in this number goes on, for this number times as many epochs."""

    @model_validator(mode="after")
    def _applies(self) -> Self:
        for key, names in {"startup_trials": ("median",), "reduction_factor": ("halving", "hyperband")}.items():
            if self.name not in names and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} is for {' and '.join(names)} only; leave it out with {self.name}")
        return self


class CacheSettings(Section):
    """Outputs of frozen blocks are kept, so that they are computed once."""

    memory_gb: NonNegativeNumber = 0.5
    """Gigabytes of outputs kept in memory."""
    disk_gb: NonNegativeNumber = 10
    """Gigabytes of outputs kept in the folder cache/features of the store; 0 keeps nothing."""


class MethodSettings(TrainingSettings):
    """One of the methods that an evaluation compares: what differs from `training`, or what is made of other methods,
    or a baseline.

    Only the keys that are given count (`model_fields_set`); the others stay as `training` has them.
    """

    weights: str | None = None
    """Initial weights of the encoder; the study's weights where it is left out."""
    select_on_validation: tuple[str, ...] | None = None
    """Methods of which the best one on the validation participants is taken, in each fold and with each seed."""
    ensemble: tuple[str, ...] | None = None
    """Methods whose class probabilities are averaged, in each fold and with each seed."""
    baseline: str | None = None
    """A baseline, which is a method without a network, such as random_forest."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        for key in ("select_on_validation", "ensemble"):
            names = getattr(self, key)
            if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
                raise ValueError(f"{key} wants the names of two or more different methods")
        for key in ("select_on_validation", "ensemble", "baseline"):
            if key in self.model_fields_set and getattr(self, key) is None:
                raise ValueError(f"{key} is empty; give it a value, or leave it out")
            if key in self.model_fields_set and (others := sorted(self.model_fields_set - {key})):
                raise ValueError(f"{key} cannot be combined with {others[0]}; leave one of them out")
        return self

    @property
    def members(self) -> tuple[str, ...]:
        """Other methods that it is made of."""
        return self.select_on_validation or self.ensemble or ()

    @property
    def trains(self) -> bool:
        """Whether it trains a network of its own."""
        return not (self.members or self.baseline)

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what was given, because what is left out is as `training` has it and not the default."""
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


MethodName = Annotated[str, Field(pattern=r"^\w[\w .,:()+-]*$", max_length=60)]


class EvaluationSettings(Section):
    """Methods compared on test participants, with how sure one can be: `sslwear evaluate`."""

    protocol: Literal["hold_out", "k_fold", "leave_one_out"] = "k_fold"
    """Test participants: those of split (hold_out); everybody once, in groups (k_fold); everybody once, alone
    (leave_one_out)."""
    folds: Annotated[int, Field(ge=2, strict=True)] = 5
    """Number of groups of k_fold."""
    seeds: tuple[Seed, ...] = (42,)
    """Seeds; each method is trained with each seed in each fold. Folds are the same for all seeds."""
    methods: Annotated[dict[MethodName, MethodSettings], Field(min_length=1)]
    """Methods by name, each with the keys of training that differ."""
    smoothing: Literal["none", "hmm"] = "none"
    """Smoothing of predictions over time: none, or a hidden Markov model."""
    refit: bool = False
    """Whether the network is trained again on training and validation participants together, for the number of
    epochs that was best on the validation participants."""
    transductive: bool = False
    """Whether pre-training may use windows of test participants, without their labels. All results are marked with
    it."""
    keep_checkpoints: bool = False
    """Whether the weights of all trained networks are kept."""

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise ValueError("give at least one seed, or leave the key out")
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed is given twice")
        return seeds

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.protocol != "k_fold" and self.folds != type(self).model_fields["folds"].default:
            raise ValueError(f"folds is for k_fold only; leave it out with {self.protocol}")
        if self.refit and self.keep_checkpoints:
            raise ValueError("keep_checkpoints keeps networks before the refit; leave it or refit out")
        trained = [name for name, method in self.methods.items() if method.trains]
        if self.smoothing != "none" and any(method.ensemble for method in self.methods.values()):
            raise ValueError("smoothing is not for methods with ensemble; leave one of them out")
        for name, method in self.methods.items():
            for member in method.members:
                if member not in trained:
                    raise ValueError(
                        f"methods: {name!r} names {member!r}, which is none of the methods that train a network: "
                        f"{', '.join(trained) or 'there are none'}"
                    )
        return self


class Settings(Section):
    """One study file."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    """Name of the study."""
    data: str
    """Folder of a data set, or name of a source."""
    encoder: str = "harnet10"
    """Name of the encoder."""
    weights: str = "none"
    """Initial weights of the encoder: none, hub, the path of a checkpoint, runs:/ID of a run, or
    models:/NAME@alias."""
    trials: Count = 20
    """Number of trials of the study in all."""
    objective: Literal["kappa", "f1"] = "kappa"
    """Score on the validation participants that the search maximises: Cohen's kappa or macro F1."""
    seed: Seed = 42
    """Seed of everything random; an evaluation has its own seeds."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """Device that computes; auto for a graphics card where there is one."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Precision of the computation; auto for bf16 where the device is fast with it."""
    threads: Literal["auto"] | Count = "auto"
    """Cores to compute on; auto for all that this process may use, shared between studies that run at the same
    time."""
    include_nonwear: bool = False
    """Whether windows in which the device was not worn are used."""
    plugins: Annotated[OneOrMore, AfterValidator(_absolute)] = ()
    """Python files with sources, augmentations, encoders, pretext tasks, tuning strategies or baselines."""
    split: SplitSettings = SplitSettings()
    """Hold-out split by participant."""
    training: TrainingSettings = TrainingSettings()
    """Fine-tuning on activity labels."""
    pretraining: PretrainingSettings = PretrainingSettings()
    """Pre-training on a pretext task."""
    search: SearchSettings = SearchSettings()
    """What the study searches over."""
    sampler: SamplerSettings = SamplerSettings()
    """How trials are proposed."""
    pruner: PrunerSettings = PrunerSettings()
    """How trials are ended early."""
    cache: CacheSettings = CacheSettings()
    """How outputs of frozen blocks are kept."""
    evaluation: EvaluationSettings | None = None
    """What sslwear evaluate compares."""

    @model_validator(mode="after")
    def _room_to_prune(self) -> Self:
        if self.pruner.name in ("halving", "hyperband") and self.pruner.warmup_epochs >= self.training.max_epochs:
            warmup, most = self.pruner.warmup_epochs, self.training.max_epochs
            raise ValueError(
                f"pruner.warmup_epochs is {warmup} and training.max_epochs {most}, which leaves "
                f"{self.pruner.name} nothing to end; lower the first"
            )
        return self

    def to_yaml(self) -> str:
        """The settings with every default filled in, as YAML that `parse` and `load` read back."""
        return to_yaml(self.model_dump(mode="json"))
