"""Sections of the study file, but for its evaluation: their keys, with types, limits and defaults."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sslwear.config.kinds import (
    NO_BOOLEAN,
    NO_PRETEXT,
    Augment,
    BatchSize,
    Count,
    Gigabytes,
    NonNegative,
    OneOrMore,
    Positive,
    Section,
    Seed,
    Share,
)


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


class SamplerSettings(Section):
    """How trials are proposed: the first ones cover the search space evenly, the others come from a sampler."""

    name: Literal["tpe", "grid", "random", "gp"] = "tpe"
    """Sampler: a tree-structured Parzen estimator of the earlier results (tpe); all combinations (grid); random draws
    (random); or a Gaussian process of the earlier results (gp)."""
    startup_trials: NonNegative = 5
    """First trials, which cover every choice and range as evenly as their number allows. They run in the order of
    their cost. Not for grid, which has all combinations in that order."""


class PrunerSettings(Section):
    """Ends trials early that fall behind the others at the same epoch."""

    name: Literal["median", "halving", "hyperband", "none"] = "median"
    """Rule by which trials are ended: worse than the median; not among the best of its rung (asynchronous
    successive halving); halving that starts at several epochs (Hyperband); or none."""
    warmup_epochs: NonNegative = 2
    """Epochs of a trial in which it is not ended."""
    startup_trials: NonNegative = 5
    """First trials of a study, which median does not end."""
    reduction_factor: Annotated[int, Field(ge=2, lt=2**31, strict=True)] = 3
    """For halving and hyperband: one trial in this number goes on, for this number times as many epochs."""

    @model_validator(mode="after")
    def _applies(self) -> Self:
        for key, names in {"startup_trials": ("median",), "reduction_factor": ("halving", "hyperband")}.items():
            if self.name not in names and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} is for {' and '.join(names)} only; leave it out with {self.name}")
        return self


class CacheSettings(Section):
    """Outputs of frozen blocks are kept, so that they are computed once."""

    memory_gb: Gigabytes = 0.5
    """Gigabytes of outputs kept in memory."""
    disk_gb: Gigabytes = 10
    """Gigabytes of outputs kept in the folder cache/features of the store; 0 keeps nothing."""
