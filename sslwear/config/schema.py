"""The study file as typed, validated settings: its evaluation, and all sections together."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler

from sslwear.config.kinds import NO_BOOLEAN, Count, OneOrMore, Paths, Positive, Section, Seed
from sslwear.config.messages import sentence
from sslwear.config.search import Range, SearchSettings
from sslwear.config.sections import (
    CacheSettings,
    ConstraintSettings,
    PretrainingSettings,
    PrunerSettings,
    SamplerSettings,
    SplitSettings,
    TrainingSettings,
)
from sslwear.config.values import plain, shown
from sslwear.config.yaml import to_yaml
from sslwear.errors import SettingsError

MOST_COMBINATIONS = 10_000
"""Largest number of combinations of a grid."""
ORIGIN = "origin"
"""Key of the validation context with the origin of settings, for messages."""


class MethodSettings(TrainingSettings):
    """One of the methods that an evaluation compares: what differs from `training`, or what is made of other methods,
    a baseline, or a probe.

    Only the keys that are given count (`model_fields_set`); the others stay as `training` has them.
    """

    weights: str | None = None
    """Initial weights of the encoder; the study's weights where it is left out."""
    select_on_validation: tuple[str, ...] | None = None
    """Methods of which the best one on the validation participants is taken, in each fold and with each seed."""
    ensemble: tuple[str, ...] | None = None
    """Methods, also baselines and probes, whose class probabilities are averaged, in each fold and with each seed."""
    over_seeds: bool = False
    """Whether an ensemble also averages over the seeds of the evaluation; a single member is enough then."""
    search: SearchSettings | None = None
    """A search of its own in each fold, over the fold's other participants: `trials` trials are judged as those of a
    study, and the selected one is trained anew and tested."""
    trials: Count | None = None
    """Number of trials of the search."""
    baseline: str | None = None
    """A baseline, which is a method without a network, such as random_forest or minirocket."""
    probe: Literal["logistic"] | None = None
    """A linear probe: a logistic regression on the features of the frozen encoder, as its weights or the pretext task
    give it. Of the keys of training, only pretext is used."""
    encoder: str | None = None
    """For a probe: an encoder from elsewhere in place of the study's, by its name in a plug-in."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.search is None) != (self.trials is None):
            raise ValueError("search and trials go together; give both or none")
        if self.search is not None and not self.search.space:
            raise ValueError("search is empty; give it keys, or leave it out")
        for key in ("select_on_validation", "ensemble"):
            names = getattr(self, key)
            if names is not None and len(set(names)) == 1 == len(names) and self.over_seeds:
                continue
            if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
                raise ValueError(f"{key} wants the names of two or more different methods")
        for key in ("select_on_validation", "ensemble", "baseline", "probe", "encoder"):
            if key in self.model_fields_set and getattr(self, key) is None:
                raise ValueError(f"{key} is empty; give it a value, or leave it out")
        if self.encoder is not None and self.probe is None:
            raise ValueError("encoder is for probes only; add probe: logistic, or leave it out")
        own = {"encoder"} if self.encoder is not None else {"weights", "pretext"}
        for key in ("select_on_validation", "ensemble", "baseline", "probe"):
            allowed = {key, *(own if key == "probe" else {"over_seeds"} if key == "ensemble" else ())}
            if key in self.model_fields_set and (others := sorted(self.model_fields_set - allowed)):
                with_ = f"{key} with encoder" if key == "probe" and self.encoder is not None else key
                raise ValueError(f"{with_} cannot be combined with {others[0]}; leave one of them out")
        if "over_seeds" in self.model_fields_set and not self.ensemble:
            raise ValueError("over_seeds is for ensembles; add ensemble, or leave it out")
        return self

    @property
    def members(self) -> tuple[str, ...]:
        """Other methods that it is made of."""
        return self.select_on_validation or self.ensemble or ()

    @property
    def trains(self) -> bool:
        """Whether it trains a network of its own."""
        return not (self.members or self.baseline or self.probe)

    @property
    def uses_encoder(self) -> bool:
        """Whether it starts from the study's encoder, with initial weights and perhaps a pre-training."""
        return self.trains or (self.probe is not None and self.encoder is None)

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what was given, because what is left out is as `training` has it and not the default."""
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


MethodName = Annotated[str, Field(pattern=r"^\w[\w .,:()+-]*$", max_length=60)]


class EvaluationSettings(Section):
    """Methods compared on test participants, with how sure one can be: `sslwear evaluate`."""

    protocol: Literal["hold_out", "k_fold", "leave_one_out"] = "k_fold"
    """Test participants: those of split (hold_out); each participant once, in groups (k_fold); each participant once,
    alone (leave_one_out)."""
    folds: Annotated[int, Field(ge=2, lt=2**31, strict=True)] = 5
    """Number of groups of k_fold."""
    seeds: tuple[Seed, ...] = (42,)
    """Seeds; each method is trained with each seed in each fold. Folds are the same for all seeds."""
    methods: Annotated[dict[MethodName, MethodSettings], Field(min_length=1)]
    """Methods by name, each with the keys of training that differ."""
    baselines: Annotated[Literal["all", "none"] | OneOrMore, Field(union_mode="left_to_right")] = "all"
    """Baselines that are added to the methods under their own names: all that come with sslwear and are installed, the
    names of some, or none. One that a method already asks for is not added again."""
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

    @field_validator("baselines")
    @classmethod
    def _names(cls, baselines: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not baselines:
            raise ValueError("give names of baselines, all or none")
        if len(set(baselines)) < len(baselines) and not isinstance(baselines, str):
            raise ValueError("a baseline is given twice")
        return baselines

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.protocol != "k_fold" and self.folds != type(self).model_fields["folds"].default:
            raise ValueError(f"folds is for k_fold only; leave it out with {self.protocol}")
        if self.refit and self.keep_checkpoints:
            raise ValueError("keep_checkpoints keeps networks before the refit; leave it or refit out")
        if self.smoothing != "none" and any(method.ensemble for method in self.methods.values()):
            raise ValueError("smoothing is not for methods with ensemble; leave one of them out")
        for name, method in self.methods.items():
            self._check_members(name, method)
            if method.over_seeds and len(self.seeds) < 2:
                raise ValueError(f"methods: {name!r} averages over seeds, and there is one seed only; add seeds")
        return self

    def _check_members(self, name: str, method: MethodSettings) -> None:
        """Check that a method is made of methods that give what it combines.

        Raises:
            ValueError: when one of them does not exist, or does not give it.
        """
        fitted = [key for key, other in self.methods.items() if other.baseline or other.probe]
        trained = [key for key, other in self.methods.items() if other.trains]
        possible = [key for key in self.methods if key in trained or (method.ensemble and key in fitted)]
        what = "train a network, or are baselines or probes" if method.ensemble else "train a network"
        for member in method.members:
            if member not in possible:
                raise ValueError(
                    f"methods: {name!r} names {shown(member)}, which is none of the methods that {what}: "
                    f"{', '.join(possible) or 'there are none'}"
                )


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
    """Number of trials of the study in all. A grid has no more than its combinations, and all of them by default."""
    hours: Positive | None = None
    """Hours after which the study starts no further trial, over all sessions. The study ends by what is spent first."""
    target_score: Annotated[float, Field(ge=-1, le=1), NO_BOOLEAN] | None = None
    """Score that ends the study: it starts no further trial when the objective of a finished one reaches it."""
    objective: Literal["kappa", "f1"] = "kappa"
    """Score that the search maximises, as a mean over participants: Cohen's kappa or macro F1."""
    second_objective: Literal["trainable_parameters", "windows_per_second"] | None = None
    """A second objective: few tuned parameters, or many windows a second in prediction. The study then looks for
    trials that no other trial exceeds in both, and no trial ends early."""
    constraint: ConstraintSettings = ConstraintSettings()
    """Limits that the best trial must keep."""
    select: Literal["best", "simplest"] = "best"
    """The trial that the study selects: the one with the best mean, or the one with the fewest tuned parameters, then
    the cheapest, among those that cannot be told from the best."""
    baseline: str | None = None
    """A baseline, such as random_forest, that is scored on the same folds and test participants for comparison."""
    keep_checkpoints: bool = False
    """Whether each finished trial is trained again on all participants that are not test participants, and its
    weights are kept. The selected trial always is."""
    seed: Seed = 42
    """Seed of everything random; an evaluation has its own seeds."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """Device that computes; auto for a graphics card where there is one."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Precision of the computation; auto for bf16 where the device is fast with it."""
    threads: Literal["auto"] | Count = "auto"
    """Most cores to compute on; auto for those that are idle when a run starts. Small batches are computed on one."""
    checkpoint_minutes: Positive = 10
    """Minutes between two checkpoints of a pre-training or a single training, from which the same command goes on."""
    include_nonwear: bool = False
    """Whether windows in which the device was not worn are used."""
    storage: Annotated[str | None, Field(exclude=True)] = None
    """Address of Optuna's storage, where neither --storage nor SSLWEAR_STORAGE gives one. It is kept nowhere."""
    tracking: Annotated[str | None, Field(exclude=True)] = None
    """Address of MLflow's store, where neither --tracking nor MLFLOW_TRACKING_URI gives one. It is kept nowhere."""
    plugins: Paths = ()
    """Python files with sources, augmentations, encoders, pretext tasks, tuning strategies or baselines."""
    split: SplitSettings = SplitSettings()
    """Test participants, and folds or a hold-out of the others."""
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
        warmup, most = self.pruner.warmup_epochs, self.most_epochs
        if self.pruner.name in ("halving", "hyperband") and warmup >= most:
            raise ValueError(
                f"pruner.warmup_epochs is {warmup} and training.max_epochs {most}, which leaves "
                f"{self.pruner.name} nothing to end; lower the first"
            )
        return self

    @model_validator(mode="after")
    def _trials_of_grid(self) -> Self:
        if self.sampler.name != "grid":
            return self
        size = self.search.grid_size()
        if size > MOST_COMBINATIONS:
            raise ValueError(
                f"sampler.name is grid, and search has {size:,} combinations, more than {MOST_COMBINATIONS:,}; leave "
                "values out, or choose another sampler"
            )
        most = self.trials if "trials" in self.model_fields_set else size
        object.__setattr__(self, "trials", min(most, size))  # settings are frozen once they are read
        return self

    @model_validator(mode="wrap")  # the last validator, so that it explains what the others say
    @classmethod
    def _read(cls, content: Any, read: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Take values from Python too, and explain what is not valid.

        Raises:
            SettingsError: naming the first key that is wrong, and what is allowed.
        """
        origin = (info.context or {}).get(ORIGIN, "the settings")
        try:
            return read(plain(content) if isinstance(content, dict) else content)
        except ValidationError as error:
            raise SettingsError(f"{origin}: {sentence(error, cls)}") from error

    @property
    def most_epochs(self) -> int:
        """Largest number of epochs that a trial may fine-tune for."""
        searched = self.search.space.get("training.max_epochs", ())
        return int(searched.high) if isinstance(searched, Range) else max([*searched, self.training.max_epochs])

    def to_yaml(self) -> str:
        """The settings with every default filled in, as YAML that `parse` and `load` read back."""
        return to_yaml(self.model_dump(mode="json"))
