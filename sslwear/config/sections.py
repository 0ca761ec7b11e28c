"""Sections of the study file, but for its evaluation: their keys, with types, limits and defaults."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sslwear.config.augment import Augment
from sslwear.config.kinds import (
    NO_BOOLEAN,
    NO_PRETEXT,
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

FEW_PARTICIPANTS = 30
"""Number of participants below which a study is cross-validated unless its file says otherwise."""
DEFAULT_FOLDS = 5
DEFAULT_VALIDATION = 0.125


class SplitSettings(Section):
    """Test participants, and how the others judge trials: in folds, or by a hold-out."""

    test: Share = 0.2
    """Share of the participants who are test participants."""
    test_seed: Seed = 42
    """Seed of the draw of test participants, or of the groups of k_fold."""
    folds: Literal["participants"] | Annotated[int, Field(ge=2, lt=2**31, strict=True)] | None = None
    """Number of folds of the other participants, or participants for one fold a participant. A trial trains once in
    each fold, and each participant is judged once, by a network that has not seen the participant. Without folds and
    validation, there are 5 folds if the data set has fewer than 30 participants, and otherwise a hold-out."""
    repeats: Count = 1
    """Number of times that the participants are cut into folds, each time in another way."""
    validation: Share | None = None
    """Share of the other participants who are validation participants, in place of folds; 0.125 where a command has
    no folds."""
    validation_seed: Seed = 41
    """Seed of the draw of validation participants, or of the folds."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.folds is not None and self.validation is not None:
            raise ValueError("folds and validation are both given; leave one of them out")
        if self.repeats > 1 and self.folds == "participants":
            raise ValueError("repeats would cut the participants in the same way each time; leave it out")
        return self

    def for_study(self, participants: int) -> SplitSettings:
        """The settings of a study with either folds or validation.

        Args:
            participants: number of participants of the data set.
        """
        if self.folds is not None or self.validation is not None:
            return self
        if participants < FEW_PARTICIPANTS:
            return self.model_copy(update={"folds": DEFAULT_FOLDS})
        return self.model_copy(update={"validation": DEFAULT_VALIDATION})

    def for_training(self) -> SplitSettings:
        """The settings of a single training, which has validation participants and no folds."""
        return self.model_copy(update={"folds": None, "repeats": 1, "validation": self.validation_share})

    @property
    def validation_share(self) -> float:
        """Share of validation participants where there are no folds."""
        return DEFAULT_VALIDATION if self.validation is None else self.validation


class OptimizationSettings(Section):
    """How weights are optimized, in pre-training and in training."""

    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam with AMSGrad, as in the published trainings, or AdamW, which has a weight decay."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False), NO_BOOLEAN] = 0.01
    """Weight decay of AdamW; biases and batch norms have none."""
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    """Learning rate over the epochs: constant; half a cosine that ends after max_epochs; or one cycle, which rises for
    30 % of max_epochs and falls to nearly 0 after it (Smith and Topin, arXiv 1708.07120)."""
    warmup_epochs: NonNegative = 0
    """First epochs, in which the learning rate rises from 0 to its value."""
    clip_norm: Positive | None = None
    """Largest norm of the gradient of a step, to which longer ones are scaled."""


class PretrainingSettings(OptimizationSettings):
    """Fitting the encoder on a pretext task, before fine-tuning."""

    learning_rate: Positive = 1e-3
    """Learning rate of all parameters."""
    batch_size: BatchSize = 64
    """Windows in a batch."""
    max_epochs: Count = 20
    """Largest number of epochs."""
    patience: Count = 5
    """Early stopping after this number of epochs without a lower loss of held-out participants."""
    data: Annotated[OneOrMore, Field(min_length=1)] | None = None
    """Folders of unlabelled shards or of data sets, or names of sources. Only the pretext task activities uses
    labels. Without it, the training participants of the study are used."""
    sampling: Literal["uniform", "motion"] = "motion"
    """How windows are drawn: with a probability proportional to their motion, or all with the same probability."""
    windows_per_participant: Count = 1500
    """Windows drawn from each participant of pretraining.data in an epoch."""
    participants_at_a_time: Count = 8
    """Participants whose windows are mixed in a batch, where windows are drawn."""


class TrainingSettings(OptimizationSettings):
    """Fitting on activity labels; what `search` names is replaced in each trial."""

    tuning: str = "all"
    """Tuning strategy: all, head, blocks such as layer1, layer4-5 or layer1+layer5, or another strategy."""
    learning_rate: Positive = 1e-4
    """Learning rate of the head and of the blocks that are tuned."""
    batch_size: BatchSize = 64
    """Windows in a batch."""
    augment: Augment = False
    """Augmentation of training windows: false, true for random rotations, an augmentation such as rotate(20), or a list
    of augmentations, which are applied in this order."""
    augment_degrees: Annotated[float, Field(gt=0, le=180), NO_BOOLEAN] | None = None
    """Largest angle of the random rotations of augment: true, in degrees. Without it, windows are turned to any
    orientation, and axes are switched."""
    augmented_views: Count = 8
    """Number of augmented views that epochs take in turn where the first block is frozen, so that its outputs can
    be kept."""
    pretext: str = NO_PRETEXT
    """Pretext task of the pre-training, activities for supervised pre-training on pretraining.data, or none."""
    head: Literal["published", "linear"] = "published"
    """The two layers of the published models, or one linear layer."""
    dropout: Annotated[float, Field(ge=0, lt=1), NO_BOOLEAN] = 0.0
    """Share of the features that are set to 0 at random before the head, in training only."""
    class_weights: bool = True
    """Whether the loss weighs classes by the inverse of their frequency."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1), NO_BOOLEAN] = 0.0
    """Share of the target that is spread evenly over all classes."""
    weight_average: Literal["none", "ema", "swa"] = "none"
    """Average of the weights that is evaluated and kept: none; an exponential moving average over about two epochs
    (ema); or the mean over the ends of the epochs in the last quarter of max_epochs (swa)."""
    max_epochs: Count = 50
    """Largest number of epochs."""
    patience: Count = 5
    """Early stopping after this number of epochs without a lower validation loss."""


class SamplerSettings(Section):
    """How trials are proposed: the first ones cover the search space evenly, the others come from a sampler."""

    name: Literal["tpe", "grid", "random", "gp"] = "tpe"
    """Sampler: a tree-structured Parzen estimator of the earlier results (tpe); all combinations (grid); random draws
    (random); or a Gaussian process of the earlier results (gp)."""
    startup_trials: NonNegative = 5
    """First trials, which cover every choice and range as evenly as their number allows. They run in the order of
    their cost. Not for grid, which has all combinations in that order."""


class PrunerSettings(Section):
    """Ends trials early that are worse than others: at the same epoch of the first folds, and after each fold."""

    name: Literal["median", "halving", "hyperband", "folds", "none"] = "median"
    """Rule by which trials are ended at an epoch of the first folds: worse than the median; not among the best of its
    rung (asynchronous successive halving); halving that starts at several epochs (Hyperband). Or folds for no such
    rule; or none, which ends no trial."""
    p_value: Annotated[float, Field(ge=0, lt=1), NO_BOOLEAN] = 0.1
    """A trial ends after a fold if it is worse than the best trial so far on the same participants with a p-value
    below this one (one-sided Wilcoxon signed-rank test); 0 for no such rule."""
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


class ConstraintSettings(Section):
    """Limits that a study's best trial must keep; other trials may exceed them."""

    trainable_parameters: Count | None = None
    """Largest number of tuned parameters."""
    windows_per_second: Positive | None = None
    """Smallest number of windows that are predicted in a second."""


class CacheSettings(Section):
    """Outputs of frozen blocks are kept, so that they are computed once, and data is kept on a graphics card."""

    memory_gb: Gigabytes = 0.5
    """Gigabytes of outputs kept in memory."""
    disk_gb: Gigabytes = 10
    """Gigabytes of outputs kept in the folder cache/features of the store; 0 keeps nothing."""
    device_gb: Gigabytes | None = None
    """Gigabytes of windows and outputs kept on a graphics card; by default half of its free memory, 0 keeps nothing."""

    @property
    def device_bytes(self) -> int | None:
        """`device_gb` in bytes."""
        return None if self.device_gb is None else int(self.device_gb * 1e9)
