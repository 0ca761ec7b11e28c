"""The study file as typed, validated settings: all sections together."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler

from sslwear.config.evaluation import EvaluationSettings, MethodSettings
from sslwear.config.kinds import NO_BOOLEAN, Count, Paths, Positive, Section, Seed
from sslwear.config.messages import sentence
from sslwear.config.search import Range, SearchSettings
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
from sslwear.config.values import plain
from sslwear.config.yaml import to_yaml
from sslwear.errors import SettingsError

MOST_COMBINATIONS = 10_000
"""Largest number of combinations of a grid."""
ORIGIN = "origin"
"""Key of the validation context with the origin of settings, for messages."""


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
    """Minutes between two checkpoints of a training, from which the same command goes on."""
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
        warmup, limits = self.pruner.warmup_epochs, {"training.max_epochs": self.most_epochs}
        for name, method, search in self._searching:
            own = method.max_epochs if "max_epochs" in method.model_fields_set else self.training.max_epochs
            limits[f"max_epochs of the method {name!r}"] = search.most_epochs(own)
        for what, most in limits.items():
            if self.pruner.name in ("halving", "hyperband") and warmup >= most:
                raise ValueError(
                    f"pruner.warmup_epochs is {warmup} and {what} {most}, which leaves {self.pruner.name} nothing to "
                    "end; lower the first"
                )
        return self

    @model_validator(mode="after")
    def _warm_up_ends(self) -> Self:
        for section in ("training", "pretraining"):
            _check_warm_up(f"{section}.", section, getattr(self, section), self.search)
        for name, method in self.evaluation.methods.items() if self.evaluation is not None else ():
            if method.trains:
                given = method.model_dump(include={"warmup_epochs", "max_epochs", "schedule"})
                training = self.training.model_copy(update=given)
                _check_warm_up(f"evaluation.methods: {name!r}: ", "training", training, method.search)
        return self

    @model_validator(mode="after")
    def _trials_of_grid(self) -> Self:
        if self.sampler.name != "grid":
            return self
        size = _grid_size(self.search)
        most = self.trials if "trials" in self.model_fields_set else size
        object.__setattr__(self, "trials", min(most, size))  # settings are frozen once they are read
        for _, method, search in self._searching:
            assert method.trials is not None
            object.__setattr__(method, "trials", min(method.trials, _grid_size(search)))
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
        return self.search.most_epochs(self.training.max_epochs)

    @property
    def _searching(self) -> list[tuple[str, MethodSettings, SearchSettings]]:
        """Methods of the evaluation that search, with their names and searches."""
        methods = self.evaluation.methods if self.evaluation is not None else {}
        return [(name, one, one.search) for name, one in methods.items() if one.search is not None]

    def to_yaml(self) -> str:
        """The settings with every default filled in, as YAML that `parse` and `load` read back."""
        return to_yaml(self.model_dump(mode="json"))


def _check_warm_up(place: str, section: str, own: OptimizationSettings, search: SearchSettings | None) -> None:
    """Check that the warm-up ends in the longest training.

    Args:
        place: where the settings are, for messages.
        section: ``training`` or ``pretraining``.
        own: the settings where they are not searched.
        search: what is searched of them.

    Raises:
        ValueError: when it does not.
    """
    most = []
    for key in ("warmup_epochs", "max_epochs"):
        searched = search.space.get(f"{section}.{key}", ()) if search is not None else ()
        most.append(int(searched.high if isinstance(searched, Range) else max(searched or [getattr(own, key)])))
    schedules = (search.choices(f"{section}.schedule") if search is not None else ()) or (own.schedule,)
    if most[0] >= most[1] and set(schedules) != {"one_cycle"}:  # which has a rise of its own
        raise ValueError(
            f"{place}warmup_epochs is {most[0]} and max_epochs {most[1]}, so the learning rate would never reach its "
            "value; lower the first"
        )


def _grid_size(search: SearchSettings) -> int:
    """Number of combinations of a grid.

    Raises:
        ValueError: when there are too many, or a range has no step.
    """
    size = search.grid_size()
    if size > MOST_COMBINATIONS:
        raise ValueError(
            f"sampler.name is grid, and search has {size:,} combinations, more than {MOST_COMBINATIONS:,}; leave "
            "values out, or choose another sampler"
        )
    return size
