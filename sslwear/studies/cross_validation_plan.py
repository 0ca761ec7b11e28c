"""Cross-validation plan: jobs for each method, fold and seed, checked before the first one starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from sslwear.config import NO_PRETEXT, EvaluationSettings, MethodSettings, Settings, TrainingSettings
from sslwear.data.dataset import Dataset
from sslwear.data.folds import folds, inner_folds
from sslwear.data.splits import Split, check_several_classes, missing_classes
from sslwear.errors import SettingsError
from sslwear.evaluation.baselines.base import get as get_baseline
from sslwear.evaluation.smoothing import check_consecutive
from sslwear.studies.context import StudyContext, open_labelled
from sslwear.studies.initial_weights import initial_weights
from sslwear.studies.keys import digest, key_of, plugin_identities
from sslwear.studies.leakage import check_evaluation_weights, supervised_datasets
from sslwear.studies.names import augmentation_of, check_augmentation, check_pretext_name, check_search_names
from sslwear.studies.pretraining import check_pretraining, pretraining_windows
from sslwear.studies.probe import foreign_content, foreign_network, rate_warning
from sslwear.tracking import Store, participant_params
from sslwear.tuning.base import parse as parse_tuning
from sslwear.utils import plugins

EVALUATION_VERSION = 3
"""Raise it when the arithmetic of an evaluation changes: jobs that finished under another version are run again."""


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
        return (searched or (self.training.pretext,)) if self.uses_encoder else ()

    @property
    def uses_encoder(self) -> bool:
        """Whether it starts from the study's encoder, and is not made of other methods, a baseline or another
        encoder.
        """
        return self.given.uses_encoder


@dataclass(frozen=True)
class Job:
    """One method in one fold with one seed.

    Attributes:
        method: the method.
        fold: number of the fold, from 1.
        seed: seed of the training.
        split: participants of the fold.
        key: key of everything that its result depends on.
        members: keys of the jobs that it combines, by method; empty for a method that combines none.
    """

    method: Method
    fold: int
    seed: int
    split: Split
    key: str
    members: Mapping[str, str]


@dataclass(frozen=True)
class CrossValidationPlan:
    """All jobs of an evaluation.

    Attributes:
        context: what all jobs share.
        settings: section `evaluation` of the study file.
        jobs: in running order; jobs that combine others come after them.
    """

    context: StudyContext
    settings: EvaluationSettings
    jobs: tuple[Job, ...]

    @classmethod
    def build(cls, settings: Settings, store: Store) -> CrossValidationPlan:
        """Check everything that an evaluation needs, and make its jobs.

        Raises:
            SslwearError: when the study file has no section `evaluation`, a name does not exist, data or weights cannot
                be used, or something would be trained on its test participants.
        """
        evaluation = settings.evaluation
        if evaluation is None:
            raise SettingsError(
                f"the study file of {settings.study!r} has no section evaluation. Add one with the methods to compare, "
                "such as evaluation: {methods: {all: {tuning: all}, first block: {tuning: layer1}}}"
            )
        dataset = open_labelled(settings, store)
        check_several_classes(dataset)
        splits = _splits(dataset, settings, evaluation)
        hold_out = evaluation.protocol == "hold_out"
        context = StudyContext.open(settings, store, dataset, None if hold_out else splits[0])
        methods = _inherit_supervision([_method(name, given, context) for name, given in evaluation.methods.items()])
        tested = {participant for split in splits for participant in split.test}
        origins = {method.weights for method in methods if method.uses_encoder}
        seen = [check_evaluation_weights(context, evaluation, origin, tested) for origin in sorted(origins)]
        if evaluation.smoothing == "hmm":
            check_consecutive(dataset)
        pretexts = {pretext for method in methods for pretext in method.pretexts} - {NO_PRETEXT}
        _check_transductive(context, evaluation, splits, bool(pretexts), any(seen))
        for split in splits:  # every fold must be able to run every job
            fold = replace(context, split=split, transductive=evaluation.transductive)
            if any(method.given.select_on_validation for method in methods):
                fold.check_objective()
            check_pretraining(fold, pretexts)
            for inner in inner_folds(dataset, split, settings.split) if any(m.given.search for m in methods) else ():
                check_pretraining(fold.in_fold(inner), pretexts)
        return cls(context, evaluation, _jobs(context, evaluation, splits, methods))

    def of(self, job: Job) -> StudyContext:
        """Study context of a job: with its fold's participants, its seed and its method's initial weights."""
        method = job.method
        return self.context.variant(job.split, job.seed, method.weights, method.initial, self.settings.transductive)

    def warnings(self) -> list[str]:
        """Warnings about folds and data, one sentence each."""
        found = [*self.context.data_warnings(), self._excluded_from_pretraining()]
        foreign = dict.fromkeys(job.method.given.encoder for job in self.jobs)
        found += [rate_warning(name, self.context) for name in foreign if name is not None]
        for job in {job.fold: job for job in self.jobs}.values():
            for name in missing_classes(self.context.dataset, job.split):
                found.append(
                    f"fold {job.fold}: only the test participants ({', '.join(map(str, job.split.test))}) have the "
                    f"class {name!r}, so it cannot be learnt and all its windows count as wrong"
                )
        return [text for text in found if text is not None]

    def _excluded_from_pretraining(self) -> str | None:
        context, tested = self.context, {str(pid) for job in self.jobs for pid in job.split.test}
        pretrains = any(job.method.uses_encoder and job.method.training.pretext != NO_PRETEXT for job in self.jobs)
        if context.pretraining_data is None or self.settings.transductive or not pretrains:
            return None
        shared = context.pretraining_data.shared(context.dataset, tested)
        if not shared:
            return None
        return (
            f"pretraining.data has windows of {len(shared)} test participants ({', '.join(shared[:3])}"
            f"{', ...' if len(shared) > 3 else ''}). Each fold excludes its test and validation participants"
        )

    def tags(self) -> dict[str, str]:
        """Tags of all runs of the evaluation, by name without the prefix ``sslwear.``."""
        mark = {"protocol": self.settings.protocol, "transductive": str(self.settings.transductive).lower()}
        how = {"smoothing": self.settings.smoothing, "refit": str(self.settings.refit).lower()}
        return {**self.context.tags(), **mark, **how}

    @property
    def key(self) -> str:
        """Key of the whole evaluation."""
        return key_of({"parts": [job.key for job in self.jobs]})

    def table(self) -> pd.DataFrame:
        """Jobs, one a row: ``method``, ``seed``, ``fold``, ``key``; methods in the order of the study file."""
        order = list(self.settings.methods)
        rows = [(job.method.name, job.seed, job.fold, job.key) for job in self.jobs]
        rows.sort(key=lambda row: order.index(row[0]))
        return pd.DataFrame(rows, columns=["method", "seed", "fold", "key"])


def _splits(dataset: Dataset, settings: Settings, evaluation: EvaluationSettings) -> list[Split]:
    names = np.array(dataset.class_names)[dataset.labels[dataset.worn]]
    return folds(
        dataset.pid[dataset.worn],
        names,
        evaluation.protocol,
        evaluation.folds,
        settings.split.test,
        settings.split.test_seed,
        settings.split.validation_share,
        settings.split.validation_seed,
    )


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
    origin, initial = settings.weights, context.initial
    if given.weights is not None and given.weights != origin:
        origin = given.weights
        initial = initial_weights(origin, context.encoder, store)
    labels = supervised_datasets(context, origin, training.pretext) if given.uses_encoder else ()
    return Method(name, given, training, origin, initial, digest(initial), labels)


def _inherit_supervision(methods: Sequence[Method]) -> list[Method]:
    """The methods; those that combine others inherit their data sets of supervised pre-training."""
    supervised = {method.name: method.supervised for method in methods}
    found = []
    for method in methods:
        inherited = {name for member in method.given.members for name in supervised[member]}
        found.append(replace(method, supervised=tuple(sorted({*method.supervised, *inherited}))))
    return found


def _check_transductive(
    context: StudyContext, evaluation: EvaluationSettings, splits: Sequence[Split], pretrains: bool, seen: bool
) -> None:
    """Check that `transductive` has an effect.

    Args:
        context: has the pre-training data.
        evaluation: has the setting.
        splits: the folds.
        pretrains: whether a method is pre-trained.
        seen: whether initial weights were trained on windows of test participants.

    Raises:
        SettingsError: when the study file sets `transductive` and no method uses windows of test participants.
    """
    if not evaluation.transductive or seen:
        return
    tested = {str(participant) for split in splits for participant in split.test}
    if (
        not pretrains
        or context.pretraining_data is None
        or not context.pretraining_data.shared(context.dataset, tested)
    ):
        raise SettingsError(
            "evaluation.transductive is true, but no method is pre-trained on windows of test participants. Remove the "
            "key"
        )


def _jobs(
    context: StudyContext, evaluation: EvaluationSettings, splits: Sequence[Split], methods: Sequence[Method]
) -> tuple[Job, ...]:
    jobs = []
    for fold, split in enumerate(splits, start=1):
        for seed in evaluation.seeds:
            keys: dict[str, str] = {}
            for method in sorted(methods, key=lambda method: bool(method.given.members)):
                members = {name: keys[name] for name in method.given.members}
                how = "select_on_validation" if method.given.select_on_validation else "ensemble"
                what = {how: members} if members else _content(context, method)
                sides = [sorted(map(str, side)) for side in (split.train, split.validation, split.test)]
                of = context.variant(split, seed, method.weights, method.initial, evaluation.transductive)
                what |= {"supervised": method.supervised, "pre-trained on": _pretrained_on(of, method)}
                content = {
                    **what,
                    **_common(context, evaluation),
                    "split": sides,
                    "seed": seed,
                    "version": EVALUATION_VERSION,
                }
                keys[method.name] = key_of({"method": method.name, **content})
                jobs.append(Job(method, fold, seed, split, keys[method.name], members))
    return tuple(jobs)


def _pretrained_on(context: StudyContext, method: Method) -> dict[str, str]:
    """Training and held-out participants of a method's pre-training."""
    if not method.uses_encoder or method.training.pretext == NO_PRETEXT:
        return {}
    data = pretraining_windows(context, method.training.pretext)
    return participant_params(train=data.train.participants(), held_out=data.validation.participants())


def _common(context: StudyContext, evaluation: EvaluationSettings) -> dict[str, Any]:
    settings = context.settings
    return {
        "data": context.dataset.fingerprint,
        "include_nonwear": settings.include_nonwear,
        "objective": settings.objective,
        **evaluation.model_dump(include={"protocol", "smoothing", "refit", "transductive", "keep_checkpoints"}),
    }


def _content(context: StudyContext, method: Method) -> dict[str, Any]:
    if method.given.baseline is not None:
        code = plugins.identity(get_baseline(method.given.baseline))
        rate = {"window_s": context.dataset.window_s}  # features depend on it, and it may come from dataset.json
        return {"baseline": method.given.baseline, **rate, **({"plugins": code} if code else {})}
    if method.given.encoder is not None:
        return foreign_content(method.given.encoder, method.digest, context)
    settings = context.settings
    fitted = {"pretext": method.training.pretext} if method.given.probe else method.training.model_dump()
    content = {
        "encoder": settings.encoder,
        "weights": method.digest,
        "training": fitted,
        "device": context.device.type,
        "precision": context.precision,
    }
    if method.given.probe is not None:
        content["probe"] = method.given.probe
    if method.training.pretext != NO_PRETEXT:
        others = context.pretraining_data.fingerprint if context.pretraining_data else ""
        content["pretraining"] = {**settings.pretraining.model_dump(exclude={"data"}), "others": others}
    if method.given.search is not None:
        sections = {"sampler", "pruner", "constraint", "select"}
        content["search"] = {
            "space": method.given.search.model_dump(exclude_none=True),
            "trials": method.given.trials,
            "split": settings.split.model_dump(include={"folds", "repeats", "validation", "validation_seed"}),
            **settings.model_dump(include=sections),
        }
    training = method.training
    trained = None if method.given.probe else training
    tuning = None if trained is None else type(context.tuning(trained))
    augmentation = None if trained is None else augmentation_of(trained)
    identities = plugin_identities(context.encoder, training.pretext, tuning, augmentation)
    if identities:
        content["plugins"] = identities
    return content
