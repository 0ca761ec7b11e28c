"""Methods of an evaluation: their settings and initial weights, resolved and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from sslwear.config import NO_PRETEXT, EvaluationSettings, MethodSettings, TrainingSettings
from sslwear.evaluation.baselines.base import get as get_baseline
from sslwear.studies.evaluations.probe import foreign_network
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.keys import digest
from sslwear.studies.setup.leakage import supervised_datasets
from sslwear.studies.setup.names import check_augmentation, check_pretext_name, check_search_names
from sslwear.tracking.checkpoints import initial_weights, resolve_alias
from sslwear.tuning.base import parse as parse_tuning


@dataclass(frozen=True)
class Method:
    """A method that is compared.

    Attributes:
        name: its name in the study file.
        given: its section of the study file.
        training: the study's `training` with the changes of this method.
        weights: source of the initial weights.
        initial: initial weights by tensor name; None for random weights.
        digest: SHA-256 of the initial weights.
        supervised: data sets whose labels the encoder was trained on before fine-tuning.
    """

    name: str
    given: MethodSettings
    training: TrainingSettings
    weights: str
    initial: Mapping[str, Tensor] | None
    digest: str
    supervised: tuple[str, ...]

    @property
    def pretexts(self) -> tuple[str, ...]:
        """Pretext tasks that its trainings may ask for."""
        searched = self.given.search.choices("pretext") if self.given.search is not None else ()
        return (searched or (self.training.pretext,)) if self.given.uses_encoder else ()

    @property
    def pretrains(self) -> tuple[str, ...]:
        """Pretext tasks that its encoder may be pre-trained with."""
        return tuple(pretext for pretext in self.pretexts if pretext != NO_PRETEXT)


def resolve_methods(evaluation: EvaluationSettings, context: StudyContext) -> list[Method]:
    """The methods of an evaluation, in the order of the study file.

    Raises:
        SslwearError: when a tuning strategy, a pretext task, weights or a baseline do not exist.
    """
    return _inherit_supervision([_method(name, given, context) for name, given in evaluation.methods.items()])


def _method(name: str, given: MethodSettings, context: StudyContext) -> Method:
    """Resolve a method of the study file.

    Raises:
        SslwearError: when its tuning strategy, pretext task, weights or baseline do not exist.
    """
    settings, store, key = context.settings, context.store, f"evaluation.methods.{name}"
    changes = {k: v for k, v in given.model_dump().items() if k in TrainingSettings.model_fields}
    if given.search is not None:
        check_search_names(given.search, context.encoder, f"{key}.search")
    training = settings.training.model_copy(update=changes)
    if given.baseline is not None:
        get_baseline(given.baseline, f"{key}.baseline")
    if given.encoder is not None:
        network = foreign_network(given.encoder, context, f"{key}.encoder")
        return Method(name, given, training, given.encoder, None, digest(network.state_dict()), ())
    parse_tuning(training.tuning, context.encoder, f"{key}.tuning")
    check_augmentation(training.augment, f"{key}.augment")
    check_pretext_name(training.pretext, f"{key}.pretext")
    origin, initial = context.origin, context.initial
    if given.weights is not None and given.weights != settings.weights:
        origin = resolve_alias(store, given.weights)
        initial = initial_weights(origin, context.encoder, store)
    method = Method(name, given, training, origin, initial, digest(initial), ())
    labels = {name for pretext in method.pretexts for name in supervised_datasets(context, origin, pretext)}
    return replace(method, supervised=tuple(sorted(labels)))


def _inherit_supervision(methods: Sequence[Method]) -> list[Method]:
    """The methods; those that combine others inherit their data sets of supervised pre-training."""
    supervised = {method.name: method.supervised for method in methods}
    found = []
    for method in methods:
        inherited = {name for member in method.given.members for name in supervised[member]}
        found.append(replace(method, supervised=tuple(sorted({*method.supervised, *inherited}))))
    return found
