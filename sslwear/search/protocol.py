"""What an evaluation is made of: each method in each fold with each seed, all checked before the first one starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from sslwear.checkpoints import model_folder
from sslwear.data.dataset import Dataset
from sslwear.data.shards import Shards
from sslwear.data.splits import Split, folds, missing_classes
from sslwear.errors import LeakageError, SettingsError
from sslwear.evaluation.sequences import check_consecutive
from sslwear.model import CARD, Card
from sslwear.plugins import source_digest
from sslwear.pretext.base import get as get_pretext
from sslwear.provenance import PREFIX
from sslwear.search.baselines import find_baseline
from sslwear.search.experiment import NO_PRETEXT, Experiment, digest, initial_weights, key_of, labelled
from sslwear.search.pretraining import CODE as PRETRAINING_CODE
from sslwear.search.pretraining import check_pretraining
from sslwear.settings import EvaluationSettings, MethodSettings, Settings, TrainingSettings
from sslwear.tracking import MODEL_URI, RUN_URI, Store
from sslwear.tuning.base import parse as parse_tuning

CODE = (*PRETRAINING_CODE, "evaluation", "model.py", "scores.py", "tuning")
"""Parts of this package that decide what an evaluation gives."""


@dataclass(frozen=True)
class Method:
    """One of the methods compared.

    Attributes:
        name: the study file's.
        given: what the study file says of it.
        training: the study's `training` with what differs.
        weights: where its encoder starts.
        initial: the weights there by tensor name, or None for random ones.
        digest: names them by content.
    """

    name: str
    given: MethodSettings
    training: TrainingSettings
    weights: str
    initial: Mapping[str, Tensor] | None
    digest: str

    @property
    def trains(self) -> bool:
        """Whether it trains a network of its own."""
        return not (self.given.choose or self.given.baseline)


@dataclass(frozen=True)
class Part:
    """One method in one fold with one seed.

    Attributes:
        method: which.
        fold: from 1.
        seed: of the training.
        split: the fold's participants.
        key: names everything on which its result depends.
        candidates: keys of the parts that it chooses from, by method; none where it does not choose.
    """

    method: Method
    fold: int
    seed: int
    split: Split
    key: str
    candidates: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """An evaluation, all parts of it.

    Attributes:
        experiment: what the parts share.
        settings: the study file's section.
        parts: in the order in which they are run; those that choose come after what they choose from.
        all_shards: whether pre-training draws from all unlabelled participants.
    """

    experiment: Experiment
    settings: EvaluationSettings
    parts: tuple[Part, ...]
    all_shards: bool

    @classmethod
    def build(cls, settings: Settings, store: Store) -> Plan:
        """Check everything that an evaluation needs.

        Raises:
            SslwearError: when the study file has no section `evaluation`, a name does not exist, data or weights cannot
                be used, or something would learn from the participants that it is tested on.
        """
        evaluation = settings.evaluation
        if evaluation is None:
            raise SettingsError(
                f"the study file of {settings.study!r} has no section evaluation; add one with the methods to compare, "
                "such as evaluation: {methods: {all: {tuned: all}, first block: {tuned: layer1}}}"
            )
        dataset = labelled(settings, store)
        splits = _splits(dataset, settings, evaluation)
        hold_out = evaluation.protocol == "hold_out"
        experiment = Experiment.build(settings, store, dataset, None if hold_out else splits[0])
        methods = [_method(name, given, experiment) for name, given in evaluation.methods.items()]
        for method in methods:
            if not hold_out:
                _check_weights(method.weights, dataset, evaluation.protocol, store)
        if evaluation.smoothing == "hmm":
            check_consecutive(dataset)
        pretexts = {method.training.pretext for method in methods if method.trains} - {NO_PRETEXT}
        all_shards = _sees_all_shards(experiment, evaluation, splits, pretexts)
        plan = cls(experiment, evaluation, _parts(experiment, evaluation, splits, methods), all_shards)
        plan._check_folds(pretexts)
        return plan

    def _check_folds(self, pretexts: set[str]) -> None:
        """Refuse folds in which a part could not be run."""
        chooses = any(part.candidates for part in self.parts)
        for part in {part.fold: part for part in self.parts}.values():
            experiment = self.of(part)
            if chooses:
                experiment.check_objective()
            check_pretraining(experiment, pretexts)

    def of(self, part: Part) -> Experiment:
        """The experiment of a part: its fold's participants, its seed and its method's first weights."""
        method = part.method
        return self.experiment.variant(part.split, part.seed, method.weights, method.initial, self.all_shards)

    def warnings(self) -> list[str]:
        """What a user should know of the folds, a sentence each."""
        found = [self.experiment.stretched()]
        for part in {part.fold: part for part in self.parts}.values():
            for name in missing_classes(self.experiment.dataset, part.split):
                found.append(
                    f"fold {part.fold}: only the participants tested there ({', '.join(map(str, part.split.test))}) "
                    f"show {name!r}, so nothing can learn it and all its windows count as missed"
                )
        return [text for text in found if text is not None]

    def tags(self) -> dict[str, str]:
        """Tags of all runs of the evaluation, by name without the prefix ``sslwear.``."""
        mark = {"protocol": self.settings.protocol, "transductive": str(self.settings.transductive).lower()}
        return {**self.experiment.tags(), **mark, "smoothing": self.settings.smoothing}

    @property
    def key(self) -> str:
        """Names the whole evaluation."""
        return key_of({"parts": [part.key for part in self.parts]})

    def table(self) -> pd.DataFrame:
        """The parts: ``method``, ``seed``, ``fold``, ``key``, one row each, methods in the order of the study file."""
        order = list(self.settings.methods)
        rows = [(part.method.name, part.seed, part.fold, part.key) for part in self.parts]
        rows.sort(key=lambda row: order.index(row[0]))
        return pd.DataFrame(rows, columns=["method", "seed", "fold", "key"])


def _splits(dataset: Dataset, settings: Settings, evaluation: EvaluationSettings) -> list[Split]:
    names = np.array(dataset.class_names)[dataset.labels[dataset.worn]]
    return folds(dataset.pid[dataset.worn], names, evaluation.protocol, evaluation.folds, **settings.split.model_dump())


def _method(name: str, given: MethodSettings, experiment: Experiment) -> Method:
    """What a method is in full.

    Raises:
        SslwearError: when its tuning strategy, pretext task, weights or baseline do not exist.
    """
    settings, store, key = experiment.settings, experiment.store, f"evaluation.methods.{name}"
    changes = {k: v for k, v in given.model_dump().items() if k in TrainingSettings.model_fields}
    training = settings.training.model_copy(update=changes)
    if given.baseline is not None:
        find_baseline(given.baseline)
    parse_tuning(training.tuned, experiment.encoder, f"{key}.tuned")
    if training.pretext != NO_PRETEXT:
        get_pretext(training.pretext, f"{key}.pretext")
    origin, initial = settings.weights, experiment.initial
    if given.weights is not None and given.weights != origin:
        origin = given.weights
        initial = initial_weights(settings.model_copy(update={"weights": origin}), experiment.encoder, store)
    return Method(name, given, training, origin, initial, digest(initial))


def _check_weights(origin: str, dataset: Dataset, protocol: str, store: Store) -> None:
    """Refuse own weights that were learnt from the windows that are tested.

    Raises:
        LeakageError: when they were.
    """
    fingerprint = None
    if origin.startswith(RUN_URI):
        run = store.run(origin.removeprefix(RUN_URI).strip("/"))
        fingerprint = run.data.tags.get(f"{PREFIX}fingerprint") if run is not None else None
    elif origin.startswith(MODEL_URI):
        with model_folder(store, origin, (CARD,)) as folder:
            fingerprint = Card.read(folder / CARD).fingerprint
    if fingerprint == dataset.fingerprint:
        raise LeakageError(
            f"weights: {origin} were learnt from {dataset.folder}, and {protocol} tests everybody in it; give weights "
            "of other data, or a pretext task, which is then learnt in each fold without those who are tested"
        )


def seen(dataset: Dataset, unlabelled: Shards, splits: Sequence[Split]) -> set[str]:
    """Names of the participants who are tested in a fold and whose windows are among the unlabelled ones.

    The same name is the same person, unless both data sets say what source they are from and it is not the same one.
    """
    sources = dataset.description.source, unlabelled.description.source
    if None not in sources and sources[0] != sources[1]:
        return set()
    tested = {str(participant) for split in splits for participant in split.test}
    return tested & {str(participant) for participant in unlabelled.participants}


def _sees_all_shards(
    experiment: Experiment, evaluation: EvaluationSettings, splits: Sequence[Split], pretexts: set[str]
) -> bool:
    """Whether pre-training may draw from all unlabelled participants.

    Raises:
        LeakageError: when test participants are among them, and the study file does not say so.
        SettingsError: when it says so and they are not.
    """
    unlabelled = experiment.unlabelled
    shared = seen(experiment.dataset, unlabelled, splits) if unlabelled is not None and pretexts else set()
    if shared and not evaluation.transductive:
        raise LeakageError(
            f"pretraining.data holds windows of participant {sorted(shared)[0]}, who is tested; leave those who are "
            f"tested out of it ({len(shared)} in all), or set evaluation.transductive to true, which every result says"
        )
    if evaluation.transductive and not shared:
        raise SettingsError(
            "evaluation.transductive is true, and no method is pre-trained on windows of those who are tested; leave "
            "it out"
        )
    if unlabelled is None:
        return False
    sources = experiment.dataset.description.source, unlabelled.description.source
    return evaluation.transductive or (None not in sources and sources[0] != sources[1])


def _parts(
    experiment: Experiment, evaluation: EvaluationSettings, splits: Sequence[Split], methods: Sequence[Method]
) -> tuple[Part, ...]:
    parts, code = [], source_digest(*CODE)
    for fold, split in enumerate(splits, start=1):
        for seed in evaluation.seeds:
            keys: dict[str, str] = {}
            for method in sorted(methods, key=lambda method: method.given.choose is not None):
                candidates = {name: keys[name] for name in method.given.choose or ()}
                what = {"candidates": candidates} if candidates else _content(experiment, method)
                sides = [sorted(map(str, side)) for side in (split.train, split.validation, split.test)]
                content = {**what, **_common(experiment, evaluation), "split": sides, "seed": seed, "code": code}
                keys[method.name] = key_of({"method": method.name, **content})
                parts.append(Part(method, fold, seed, split, keys[method.name], candidates))
    return tuple(parts)


def _common(experiment: Experiment, evaluation: EvaluationSettings) -> dict[str, Any]:
    settings = experiment.settings
    return {
        "data": experiment.dataset.fingerprint,
        "include_nonwear": settings.include_nonwear,
        "objective": settings.objective,
        **evaluation.model_dump(include={"protocol", "smoothing", "transductive", "keep_checkpoints"}),
    }


def _content(experiment: Experiment, method: Method) -> dict[str, Any]:
    if method.given.baseline is not None:
        return {"baseline": method.given.baseline}
    settings = experiment.settings
    content = {
        "encoder": settings.encoder,
        "weights": method.digest,
        "training": method.training.model_dump(),
        "device": experiment.device.type,
        "precision": experiment.precision,
    }
    if method.training.pretext != NO_PRETEXT:
        unlabelled = experiment.unlabelled.fingerprint if experiment.unlabelled else ""
        content["pretraining"] = {**settings.pretraining.model_dump(exclude={"data"}), "unlabelled": unlabelled}
    return content
