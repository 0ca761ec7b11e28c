"""Cross-validation plan: jobs for each method, fold and seed, checked before the first one starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sslwear.config import EvaluationSettings, Settings
from sslwear.data.dataset import Dataset
from sslwear.data.folds import folds, inner_folds
from sslwear.data.splits import Split, check_classes, check_several_classes
from sslwear.errors import SettingsError
from sslwear.evaluation.smoothing import check_consecutive
from sslwear.studies.evaluations.job_keys import job_key
from sslwear.studies.evaluations.methods import Method, resolve_methods
from sslwear.studies.evaluations.probe import rate_warning
from sslwear.studies.setup.context import StudyContext, open_labelled
from sslwear.studies.setup.data_checks import check_defined, check_objective, fold_warnings
from sslwear.studies.setup.keys import key_of
from sslwear.studies.setup.leakage import check_evaluation_weights, check_judged, seen_in_words
from sslwear.studies.trial.pretraining_checks import check_pretraining
from sslwear.tracking import Store


@dataclass(frozen=True)
class Job:
    """One method in one fold with one seed.

    Attributes:
        method: the method.
        fold: number of the fold, from 1.
        seed: seed of the training.
        split: participants of the fold.
        key: key of everything that its result depends on.
        members: keys of the jobs that it combines, by method and seed; empty for a method that combines none.
    """

    method: Method
    fold: int
    seed: int
    split: Split
    key: str
    members: Mapping[tuple[str, int], str]


@dataclass(frozen=True)
class CrossValidationPlan:
    """All jobs of an evaluation.

    Attributes:
        context: what all jobs share.
        settings: section `evaluation` of the study file.
        jobs: in running order; jobs that combine others come after them.
        unlabelled: participants by whom trials of a search are judged, and whose windows its initial weights were
            trained on without labels.
    """

    context: StudyContext
    settings: EvaluationSettings
    jobs: tuple[Job, ...]
    unlabelled: tuple[str, ...] = ()

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
        if hold_out:
            check_classes(dataset, splits[0])
        context = StudyContext.open(settings, store, dataset, None if hold_out else splits[0])
        methods = resolve_methods(evaluation, context)
        tested = {participant for split in splits for participant in split.test}
        check_defined(dataset, tested, settings.objective, "test participants")
        origins = {method.weights for method in methods if method.given.uses_encoder}
        seen = [check_evaluation_weights(context, evaluation, origin, tested) for origin in sorted(origins)]
        if evaluation.smoothing == "hmm":
            check_consecutive(dataset)
        searching = [method for method in methods if method.given.search is not None]
        unlabelled: set[str] = set()
        if hold_out:  # in which training participants may be those of the weights
            for origin in {method.weights for method in searching}:
                inside = replace(context, folds=inner_folds(dataset, splits[0], context.settings.split))
                unlabelled.update(check_judged(inside, origin))
        pretexts = {pretext for method in methods for pretext in method.pretrains}
        _check_transductive(context, evaluation, splits, bool(pretexts), any(seen))
        for split in splits:  # every fold must be able to run every job
            fold = replace(context.in_fold(split), transductive=evaluation.transductive)
            if any(method.given.select_on_validation for method in methods):
                check_objective(fold.dataset, fold.judged, settings.objective)
            check_pretraining(fold, pretexts)
            for inner in inner_folds(dataset, split, context.settings.split) if searching else ():
                check_pretraining(fold.in_fold(inner), pretexts)
        return cls(context, evaluation, _jobs(context, evaluation, splits, methods), tuple(sorted(unlabelled)))

    def of(self, job: Job) -> StudyContext:
        """Study context of a job: with its fold's participants, its seed and its method's initial weights."""
        method = job.method
        return self.context.variant(job.split, job.seed, method.weights, method.initial, self.settings.transductive)

    def warnings(self) -> list[str]:
        """Warnings about folds and data, one sentence each."""
        found = [*self.context.data_warnings(), self._excluded_from_pretraining()]
        foreign = dict.fromkeys(job.method.given.encoder for job in self.jobs)
        found += [self._unequal_refit(), seen_in_words(self.unlabelled) if self.unlabelled else None]
        found += [rate_warning(name, self.context) for name in foreign if name is not None]
        found += fold_warnings(self.context.dataset, list({job.fold: job.split for job in self.jobs}.values()))
        return [text for text in found if text is not None]

    def _unequal_refit(self) -> str | None:
        """Warning that methods with and without a search are trained on different participants, if they are."""
        methods = {job.method.name: job.method.given for job in self.jobs}.values()
        searching, plain = (
            [one for one in methods if one.trains and (one.search is not None) is searches]
            for searches in (True, False)
        )
        if self.settings.refit or not (searching and plain):
            return None
        return (
            "the networks of methods with search are trained on the validation participants too, and the others are "
            "not. Set evaluation.refit: true to compare them on equal terms"
        )

    def _excluded_from_pretraining(self) -> str | None:
        context, tested = self.context, {str(pid) for job in self.jobs for pid in job.split.test}
        pretrains = any(job.method.pretrains for job in self.jobs)
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
        """Key of the whole evaluation; the first method is the reference of the others, so their order counts."""
        return key_of({"parts": [job.key for job in self.jobs], "methods": list(self.settings.methods)})

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
        keys: dict[tuple[str, int], str] = {}
        for method, seed in _order(methods, evaluation.seeds):
            seeds = evaluation.seeds if method.given.over_seeds else (seed,)
            members = {(name, one): keys[name, one] for one in seeds for name in method.given.members}
            keys[method.name, seed] = job_key(context, evaluation, method, split, seed, members)
            jobs.append(Job(method, fold, seed, split, keys[method.name, seed], members))
    return tuple(jobs)


def _order(methods: Sequence[Method], seeds: Sequence[int]) -> Iterator[tuple[Method, int]]:
    """Methods and seeds of a fold in running order: what combines others comes after them.

    A method that averages over the seeds has a job with the first seed only.
    """
    ordered = sorted(methods, key=lambda method: bool(method.given.members))
    yield from ((method, seed) for seed in seeds for method in ordered if not method.given.over_seeds)
    yield from ((method, seeds[0]) for method in ordered if method.given.over_seeds)
