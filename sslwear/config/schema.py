"""The study file as typed, validated settings: its sections, their keys, and the kinds of values in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
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


Number = Annotated[float, BeforeValidator(_no_boolean)]
"""Not strict, because YAML 1.1 takes 1e-3 for text."""
Share = Annotated[Number, Field(gt=0, lt=1)]
NonNegativeNumber = Annotated[Number, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
NonNegative = Annotated[int, Field(ge=0, strict=True)]
BatchSize = Annotated[int, Field(ge=2, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**31, strict=True)]


OLD_KEYS = {"tuned": "tuning", "choose": "select_on_validation"}
"""Earlier spellings of keys, which files and stores may have."""


class Section(BaseModel):
    """A section of the study file; it refuses keys that it does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    test_seed: Seed = 42
    validation: Share = 0.125
    validation_seed: Seed = 41


class PretrainingSettings(Section):
    """Fitting the encoder on a pretext task, before fine-tuning."""

    learning_rate: Positive = 1e-3
    batch_size: BatchSize = 64
    max_epochs: Count = 20
    patience: Count = 5
    data: Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(min_length=1)] | None = None
    """Directories of unlabelled shards or of data sets, whose labels only the task ``activities`` looks at; None for
    the training participants of the study's own data."""
    sampling: Literal["uniform", "motion"] = "motion"
    """Windows are drawn with a probability proportional to their motion, or all are equally likely."""
    windows_per_participant: Count = 1500
    """Windows that an epoch draws of each participant of `data`."""
    participants_at_a_time: Count = 8
    """Participants whose windows a batch mixes, where windows are drawn."""


class TrainingSettings(Section):
    """Fitting on activity labels; what `search` names is replaced in each trial."""

    tuning: str = "all"
    learning_rate: Positive = 1e-4
    schedule: Literal["constant", "cosine"] = "constant"
    """Whether rates stay, or fall from epoch to epoch along half a cosine that ends after `max_epochs`."""
    batch_size: BatchSize = 64
    augment: bool = False
    augment_degrees: Annotated[Number, Field(gt=0, le=180)] | None = None
    """Augmented windows are turned by at most so much; None for any orientation, with axes switched too."""
    augmented_views: Count = 8
    """Where the first block is frozen, epochs take turns with so many augmented views, whose outputs are kept."""
    pretext: str = NO_PRETEXT
    head: Literal["published", "linear"] = "published"
    """The two layers of the published models, or one."""
    class_weights: bool = True
    max_epochs: Count = 50
    patience: Count = 5


class LogRange(Section):
    """A range that is searched on a logarithmic scale."""

    low: Positive
    high: Positive

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be less than high, but they are {self.low:g} and {self.high:g}")
        return self


class SearchSettings(Section):
    """What a study searches over; a key that is left out stays as `training` has it."""

    tuning: Literal["any"] | tuple[str, ...] | None = None
    learning_rate: LogRange | None = None
    batch_size: tuple[BatchSize, ...] | None = None
    augment: tuple[bool, ...] | None = None
    pretext: tuple[str, ...] | None = None

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
    """Trials drawn at random, all at once, and run in the order of their cost: cheap results first."""


class PrunerSettings(Section):
    """Ends trials early that fall behind the others at the same epoch."""

    name: Literal["median", "halving", "hyperband", "none"] = "median"
    """Ends what is worse than the median; or what is not among the best of its rung (asynchronous successive halving);
    or halving that begins at several epochs (Hyperband)."""
    warmup_epochs: NonNegative = 2
    """After so many epochs no trial has ended yet."""
    startup_trials: NonNegative = 5
    """Of median: the first trials, which are not ended."""
    reduction_factor: Annotated[int, Field(ge=2, strict=True)] = 3
    """Of halving and hyperband: one in so many goes on, for so many times as many epochs."""

    @model_validator(mode="after")
    def _applies(self) -> Self:
        for key, names in {"startup_trials": ("median",), "reduction_factor": ("halving", "hyperband")}.items():
            if self.name not in names and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} is for {' and '.join(names)} only; leave it out with {self.name}")
        return self


class CacheSettings(Section):
    """Outputs of frozen blocks are kept, so that they are computed once."""

    memory_gb: NonNegativeNumber = 0.5
    disk_gb: NonNegativeNumber = 10
    """Of the folder ``cache/features`` in the store; 0 keeps nothing."""


class MethodSettings(TrainingSettings):
    """One of the methods that an evaluation compares: what differs from `training`, or what is made of other methods,
    or a baseline.

    Only the keys that are given count (`model_fields_set`); the others stay as `training` has them.
    """

    weights: str | None = None
    """Where the encoder starts; the study's `weights` when it is left out."""
    select_on_validation: tuple[str, ...] | None = None
    """Methods of which the best on the validation participants is taken, anew in each fold and with each seed."""
    ensemble: tuple[str, ...] | None = None
    """Methods whose probabilities are averaged, in each fold and with each seed."""
    baseline: str | None = None
    """A method without a network."""

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
                raise ValueError(f"{key} stands alone, and there is {others[0]} beside it; leave one of them out")
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
    """Who is tested: the participants that `split` locks away; everybody once, in so many groups; everybody alone."""
    folds: Annotated[int, Field(ge=2, strict=True)] = 5
    """Groups of k_fold."""
    seeds: tuple[Seed, ...] = (42,)
    """Each method is trained with each seed in each fold; folds are the same for all."""
    methods: Annotated[dict[MethodName, MethodSettings], Field(min_length=1)]
    smoothing: Literal["none", "hmm"] = "none"
    """Whether predictions are smoothed over time by a hidden Markov model."""
    refit: bool = False
    """Whether a network, once the validation participants have said how many epochs are best, is fitted anew for as
    many on them and the training participants together; that one is tested."""
    transductive: bool = False
    """Whether pre-training may see test participants' windows, without labels, which every result then says."""
    keep_checkpoints: bool = False

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
            raise ValueError("keep_checkpoints keeps networks before they are fitted anew; leave it or refit out")
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
    data: str
    encoder: str = "harnet10"
    weights: str = "none"
    trials: Count = 20
    objective: Literal["kappa", "f1"] = "kappa"
    seed: Seed = 42
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    threads: Literal["auto"] | Count = "auto"
    """Cores to compute on; auto for all that this process may use. Several studies at a time share the cores out."""
    include_nonwear: bool = False
    split: SplitSettings = SplitSettings()
    training: TrainingSettings = TrainingSettings()
    pretraining: PretrainingSettings = PretrainingSettings()
    search: SearchSettings = SearchSettings()
    sampler: SamplerSettings = SamplerSettings()
    pruner: PrunerSettings = PrunerSettings()
    cache: CacheSettings = CacheSettings()
    evaluation: EvaluationSettings | None = None
    """What `sslwear evaluate` compares."""

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
