"""A finished evaluation: its best method, and the cross-validated scores of the average of a method's networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from statistics import fmean, median_high

import numpy as np
import pandas as pd
from mlflow.entities import Run as MlflowRun
from numpy.typing import NDArray

from sslwear.errors import StudyError
from sslwear.evaluation.baselines.base import get as get_baseline
from sslwear.evaluation.best_trials import candidates, comparable_means
from sslwear.evaluation.comparison import Summary, summaries
from sslwear.evaluation.intervals import Interval
from sslwear.evaluation.participants import per_participant
from sslwear.evaluation.selection import corrected_estimate
from sslwear.studies.evaluations.job import PROBABILITIES
from sslwear.studies.evaluations.methods import Method
from sslwear.studies.evaluations.plan import CrossValidationPlan, Job
from sslwear.studies.evaluations.results import (
    PLAN,
    evaluation_run,
    finished_jobs,
    not_evaluated,
    results,
    validation_means,
)
from sslwear.studies.setup.keys import key_of
from sslwear.tracking import Store, reading
from sslwear.training.metrics import confusion


@dataclass(frozen=True)
class Evaluated:
    """The newest evaluation of a study, whose data, settings and code are those of its results.

    Attributes:
        plan: the evaluation.
        run: its run.
        jobs: finished jobs by key.
        methods: results of each method.
    """

    plan: CrossValidationPlan
    run: MlflowRun
    jobs: Mapping[str, MlflowRun]
    methods: Sequence[Summary]

    @classmethod
    def open(cls, name: str, store: Store, folder: Path) -> Evaluated:
        """Open the newest evaluation of a study.

        Args:
            name: name of the study.
            store: the store.
            folder: receives copies of plug-in files that have changed since.

        Raises:
            StudyError: when the study was not evaluated, jobs did not finish, or the data, the initial weights or the
                code changed.
        """
        run = evaluation_run(name, store)
        if run is None:
            raise not_evaluated(name, store)
        settings = reading.settings(store, run.info.run_id)
        if settings is None:
            raise StudyError(f"the store has no settings of the evaluation of {name!r}. Run sslwear evaluate again")
        precision = run.data.params.get("precision", settings.precision)  # auto may mean another one on this machine
        settings = settings.model_copy(update={"precision": precision})
        plan = CrossValidationPlan.build(reading.with_plugins(settings, store, [run.info.run_id], folder), store)
        logged = pd.read_csv(StringIO(store.read_text(run, PLAN)), dtype=str, keep_default_na=False)
        jobs = finished_jobs(store, run.info.experiment_id)
        if set(logged["key"]) != {job.key for job in plan.jobs}:
            raise StudyError(
                f"the evaluation of {name!r} would have other results now, because its data, its weights, the code or "
                "the device are not those of its run. Restore them, or run sslwear evaluate again"
            )
        if missing := [key for key in logged["key"] if key not in jobs]:
            raise StudyError(
                f"{len(missing)} of {len(logged)} jobs of the evaluation of {name!r} did not finish. Run sslwear "
                "evaluate again, which goes on with them"
            )
        return cls(plan, run, jobs, summaries(results(name, store)))

    @property
    def objective(self) -> str:
        """Score by which methods are ranked."""
        return self.plan.context.settings.objective

    @cached_property
    def ranked(self) -> list[Summary]:
        """Methods, the best first, by their means over the participants whose score is defined for all of them."""
        means = comparable_means(self._table).sort_values(ascending=False, kind="stable")
        return [self.methods[place] for place in means.index]

    @cached_property
    def _table(self) -> pd.DataFrame:
        """Score of each method (rows, by place) and participant, for `sslwear.evaluation.selection`."""
        return pd.DataFrame([one.participants[self.objective] for one in self.methods], index=range(len(self.methods)))

    @property
    def alike(self) -> list[str]:
        """Names of the methods that cannot be told from the best one, which is the first."""
        return [self.methods[place].method for place in candidates(self._table)]

    @property
    def corrected(self) -> Interval:
        """Estimate of the best method's score, corrected for choosing the best."""
        return corrected_estimate(self._table)

    def method(self, name: str) -> Method:
        """Method by name.

        Raises:
            StudyError: when there is none; the message lists the names.
        """
        found = {job.method.name: job.method for job in self.plan.jobs}
        if name not in found:
            study, known = self.plan.context.settings.study, ", ".join(map(repr, found))
            raise StudyError(f"the evaluation of {study!r} has no method {name!r}. It has {known}")
        return found[name]

    def networks(self, name: str) -> list[Method]:
        """Methods whose classifiers make up a method: itself, the members of an ensemble, or the selected member.

        A method that selects on validation participants has the member with the best mean on them over all folds and
        seeds, which is the same rule for all participants.

        Raises:
            StudyError: when a part of it is a baseline that cannot be kept, or is searched.
        """
        method = self.method(name)
        if method.given.select_on_validation:
            return [self.method(self.selected(name))]
        found = [self.method(member) for member in method.given.members or (name,)]
        for one in found:
            if (why := _not_kept(one)) is not None:
                part = f"its member {one.name!r} {why}" if method.given.members else f"it {why}"
                raise StudyError(f"the method {name!r} cannot be promoted, because {part}. {self._advice(name)}")
        return found

    def selected(self, name: str) -> str:
        """Member of a selecting method with the best mean objective on validation participants."""
        values: dict[str, list[float]] = {}
        for job in self._jobs(name):
            members = {member: self.jobs[key] for (member, _), key in job.members.items()}
            for member, value in validation_means(self.plan.context.store, members, self.objective).items():
                values.setdefault(member, []).append(value)
        return max(values, key=lambda member: fmean(values[member]))

    def _advice(self, name: str) -> str:
        """The best method that can be promoted, as a sentence."""
        for one in self.ranked:
            method = self.method(one.method)
            parts = method.given.members or (method.name,)
            if one.method != name and all(_not_kept(self.method(part)) is None for part in parts):
                score = f"{self.objective} {one.scores[self.objective].mean:.3f}"
                return f"Promote the best one that can be, with --method {one.method!r} ({score})"
        return "None of the methods can be promoted"

    def epochs(self, method: Method) -> int:
        """Number of epochs for all participants: the median of the best epochs over folds and seeds.

        Of an even number of epochs it is the higher one in the middle.
        """
        return median_high(int(self.jobs[job.key].data.metrics["best_epoch"]) for job in self._jobs(method.name))

    def averaged(self, name: str) -> pd.DataFrame:
        """Scores of the folds' test participants for the mean probabilities over seeds and members, unsmoothed.

        Returns:
            One row a participant, see `per_participant`.
        """
        dataset = self.plan.context.dataset
        classes = len(dataset.class_names)
        tables = [
            per_participant(dataset.labels[rows], predicted, dataset.pid[rows], classes)
            for rows, predicted in self._predictions(name)
        ]
        return pd.concat(tables, ignore_index=True)

    def confusions(self, name: str) -> NDArray[np.int64]:
        """Confusions (C, C) of the folds' test participants for the mean probabilities, see `averaged`."""
        dataset = self.plan.context.dataset
        classes = len(dataset.class_names)
        found = np.zeros((classes, classes), np.int64)
        for rows, predicted in self._predictions(name):
            found += confusion(dataset.labels[rows], predicted, classes)
        return found

    def _predictions(self, name: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Windows of each fold's test participants, as indices in the data set, and their predicted classes."""
        folds: dict[int, list[MlflowRun]] = {}
        for job in self._jobs(name):
            folds.setdefault(job.fold, []).extend(self._told(job))
        columns = [f"p_{one}" for one in self.plan.context.dataset.class_names]
        for runs in folds.values():
            told = [pd.read_csv(StringIO(self.plan.context.store.read_text(run, PROBABILITIES))) for run in runs]
            mean = np.mean([table[columns].to_numpy() for table in told], axis=0)
            yield told[0]["row"].to_numpy(), mean.argmax(axis=1)

    def _told(self, job: Job) -> list[MlflowRun]:
        """Runs whose probabilities make up the predictions of a job."""
        run = self.jobs[job.key]
        if (chosen := reading.tag(run, "chosen_run")) is not None:
            return [self.plan.context.store.client.get_run(chosen)]
        return [self.jobs[key] for key in job.members.values()] or [run]

    def _jobs(self, name: str) -> list[Job]:
        return [job for job in self.plan.jobs if job.method.name == name]

    @property
    def tested_on(self) -> str:
        """Key of how participants are tested; scores with the same key can be compared."""
        settings, evaluation = self.plan.context.settings, self.plan.settings
        folds = {job.fold: sorted(map(str, job.split.test)) for job in self.plan.jobs}
        return key_of(
            {
                "data": self.plan.context.dataset.fingerprint,
                "include_nonwear": settings.include_nonwear,
                "protocol": evaluation.protocol,
                "test": sorted(folds.values()),
            }
        )


def _not_kept(method: Method) -> str | None:
    """Why a method gives no classifier that can be kept; None if it does."""
    if method.given.baseline is not None and not get_baseline(method.given.baseline).can_be_kept():
        return f"is the baseline {method.given.baseline!r}, whose plug-in does not define `fitted`"
    if method.given.search is not None:
        return "searches anew in each fold, so that no single training was tested"
    if method.given.probe is not None:
        return "is a probe, and only networks and baselines are kept"
    return None
