"""Evaluation by cross-validation: each method in each fold with each seed, scored on the fold's test participants."""

from __future__ import annotations

import math
import platform
import re
from collections.abc import Sequence
from contextlib import nullcontext

import pandas as pd
from mlflow.entities import Run as MlflowRun

from sslwear.config import Settings
from sslwear.evaluation.comparison import Summary, as_frame, interval_note, protocol_title
from sslwear.reports.report import COMPARED, grouped
from sslwear.reports.report_figures import DIFFERENCES, differences_figure
from sslwear.studies.database.failures import FailedJobs, describe
from sslwear.studies.database.optuna_storage import store_errors
from sslwear.studies.evaluations.added_baselines import with_baselines
from sslwear.studies.evaluations.job import TRANSDUCTIVE, job_name, run_job
from sslwear.studies.evaluations.plan import CrossValidationPlan, Job
from sslwear.studies.evaluations.results import PLAN, SUMMARY, finished_jobs, newest_evaluation, results
from sslwear.studies.results.mlflow_page import JOB, describe_experiment, evaluation_name, evaluation_note
from sslwear.studies.search.optimise import alone
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.pretraining import pretraining_rights
from sslwear.studies.workers.team import Team
from sslwear.tracking import MAX_PARAM, Run, Store
from sslwear.tracking.client import unless_away
from sslwear.tracking.outages import is_memory, is_outage
from sslwear.tracking.provenance import PREFIX
from sslwear.utils.interrupts import signals_deferred
from sslwear.utils.words import count

__all__ = ["evaluate_study", "results"]

NOT_IN_METRIC_NAMES = re.compile(r"[^\w.: -]")
"""Characters that methods' names may have and MLflow's metric names may not."""
LONGEST_NAME = 240
"""Characters of a method's name in that of a metric, which may have 250 in MLflow, with the score before it."""


def evaluate_study(
    settings: Settings, store: Store | None = None, progress: ProgressCallback | None = None, joint: bool = False
) -> pd.DataFrame:
    """Run an evaluation, or resume it.

    Jobs that finished with the same settings, data, weights and `EVALUATION_VERSION` are not run again, also when
    methods or seeds were added.

    Args:
        settings: the study file's, with a section `evaluation`, to whose methods its baselines are added.
        store: receives the runs; by default the store that the environment or the settings name.
        progress: receives progress; silent by default.
        joint: whether other processes may do jobs of the evaluation on this machine too. On other machines they always
            may.

    Returns:
        Scores of the test participants, see `results`.

    Raises:
        SslwearError: when settings, data or weights cannot be used, something would be trained on its test
            participants, another process runs the study, or a job failed; jobs that finished are kept.
        KeyboardInterrupt: when the user interrupts; no run is left open.
    """
    store, progress = store or Store.from_environment(settings=settings), progress or ProgressCallback()
    settings, left_out = with_baselines(settings)
    for text in left_out:
        progress.note(text)
    with store_errors(store), nullcontext() if joint else alone(store, settings.study):
        plan = CrossValidationPlan.build(settings, store)
        for warning in plan.warnings():
            progress.warn(warning)
        experiment_id = describe_experiment(plan.context, evaluation_note(plan.context), JOB)
        done = finished_jobs(store, experiment_id)
        missing = [job for job in plan.jobs if job.key not in done]
        progress.study(settings.study, len(plan.jobs) - len(missing), len(plan.jobs))
        newest = newest_evaluation(store, experiment_id)
        same = newest is not None and newest.data.tags.get(f"{PREFIX}evaluation_key") == plan.key
        if not missing and same and newest is not None and newest.info.status == "FINISHED":
            return results(settings.study, store)
        return _run(plan, experiment_id, missing, done, progress)


def _run(
    plan: CrossValidationPlan,
    experiment_id: str,
    missing: Sequence[Job],
    done: dict[str, MlflowRun],
    progress: ProgressCallback,
) -> pd.DataFrame:
    """Do jobs of an evaluation together with workers on other machines or this one; the last one logs the results."""
    store, name = plan.context.store, plan.context.settings.study
    team = Team(store, f"evaluation:{name}")
    parent: Run | None = None
    with team.joined():
        try:
            with team.asking(), signals_deferred():
                parent = _opened(plan, experiment_id)
            _run_jobs(plan, list(missing), parent, done, team, progress)
            with team.asking():
                team.look_after()
                table = results(name, store)
                found = store.find_run(parent.id)
                if found is None or found.info.status != "FINISHED":
                    _finalise(plan, parent, table)
                    parent.end("FINISHED", "finished")
        except BaseException as error:
            with signals_deferred():
                team.leave(error, parent)
                if parent is not None:
                    with unless_away(store, error):
                        _clear(parent)
            raise
    return table


def _run_jobs(
    plan: CrossValidationPlan,
    pending: list[Job],
    parent: Run,
    done: dict[str, MlflowRun],
    team: Team,
    progress: ProgressCallback,
) -> None:
    """Run those of the pending jobs that nobody else runs, until none is left.

    Jobs that need a pre-training which another worker is doing come last.

    Raises:
        StudyError: when jobs failed; at once when several in a row failed in the same way.
    """
    failures, worked = FailedJobs(len(plan.jobs)), True
    while pending:
        postpones, worked = worked, False
        for job in tuple(pending):
            open_ = {one.key for one in pending}
            if job.key not in done and open_.isdisjoint(job.members.values()):
                if postpones and _waits_for_pretraining(plan, job, team):
                    continue
                with team.heartbeat.trying(f"job:{job.key}") as mine:
                    if not mine:
                        continue
                    done.update(finished_jobs(plan.context.store, parent.experiment))  # it may have ended meanwhile
                    if job.key not in done:
                        worked = True
                        failures.note(job_name(job), _run_job(plan, job, parent, done, progress))
                pending.remove(job)
            elif job.key in done:
                pending.remove(job)
        if pending and not worked:
            team.look_after()
            team.wait()
            done.update(finished_jobs(plan.context.store, parent.experiment))
    failures.check()


def _waits_for_pretraining(plan: CrossValidationPlan, job: Job, team: Team) -> bool:
    """Whether another worker does a pre-training that a job needs; False for a search, which needs several."""
    if not job.method.pretrains or job.method.given.search is not None:
        return False
    return team.is_busy(pretraining_rights(plan.of(job), job.method.training))


def _opened(plan: CrossValidationPlan, experiment_id: str) -> Run:
    """The evaluation's run: the newest one, reopened if it has the same jobs, else a new one."""
    store, settings = plan.context.store, plan.context.settings
    for earlier in store.find_runs(experiment_id, kind="cross_validation"):  # left open by a dead process
        writer = earlier.data.tags.get(f"{PREFIX}process")
        of_other = writer not in (None, store.process()) and store.is_dead(str(writer)) is False
        of_host = earlier.data.tags.get(f"{PREFIX}host") == platform.node()
        if earlier.info.status == "RUNNING" and of_host and not of_other:
            store.close_leftovers(experiment_id, earlier.info.run_id)
            Run(store, earlier.info.run_id, experiment_id).end("KILLED", "interrupted")
    newest = newest_evaluation(store, experiment_id)
    if newest is not None and newest.data.tags.get(f"{PREFIX}evaluation_key") == plan.key:
        run = Run(store, newest.info.run_id, experiment_id)
        run.reopen()
    else:
        tags = {**plan.tags(), "evaluation_key": plan.key}
        run = store.create_run(
            experiment_id, evaluation_name(settings.study), "cross_validation", None, _note(plan), **tags
        )
    if not run.has_params():
        run.text(settings.to_yaml(), "settings.yaml")
        run.plugins(settings.plugins)
        run.text(plan.table().to_csv(index=False), PLAN)
        run.dataset(plan.context.dataset, {"all": len(plan.context.dataset)})
        run.params({"methods": "; ".join(plan.settings.methods)[:MAX_PARAM], **plan.context.runtime_params()})
    return run


def _clear(run: Run) -> None:
    """End runs of jobs that were left open."""
    run.store.close_leftovers(run.experiment, run.id)


def _note(plan: CrossValidationPlan) -> str:
    folds, seeds = count(len({job.fold for job in plan.jobs}), "fold"), count(len(plan.settings.seeds), "seed")
    return (
        f"Compares {count(len(plan.settings.methods), 'method')} by {protocol_title(plan.settings.protocol)} "
        f"({folds}), with {seeds} each"
        f"{f' (**{TRANSDUCTIVE}**)' if plan.settings.transductive else ''}."
    )


def _run_job(
    plan: CrossValidationPlan, job: Job, parent: Run, done: dict[str, MlflowRun], progress: ProgressCallback
) -> str | None:
    """Run a job and record how it ended; returns why it failed, or None.

    Raises:
        Exception: an outage, except that of memory, which may be due to the method's settings.
    """
    store, name = plan.context.store, job_name(job)
    method = job.method
    tags = {"evaluation_key": job.key, "method": method.name, "fold": str(job.fold), "seed": str(job.seed)}
    tags["supervised"] = ", ".join(method.supervised)
    progress.trial(name)
    try:
        with store.start_run(
            parent.experiment, name, "cross_validation_job", parent.id, None, **plan.tags(), **tags
        ) as run:
            value = run_job(plan, job, parent, run, done, progress)
    except Exception as error:  # any other error in a job is recorded, and the evaluation continues
        if is_outage(error) and not is_memory(error):
            raise
        progress.ended(name, "failed", None)
        progress.warn(f"{name} failed ({type(error).__name__}: {error}). Its run in the UI has the traceback")
        return describe(error)
    done.update(finished_jobs(store, parent.experiment))  # those of other workers too
    done[job.key] = store.client.get_run(run.id)
    progress.done(sum(one.key in done for one in plan.jobs) - 1)  # this one is counted when it has ended
    progress.ended(name, "finished", None if math.isnan(value) else value)
    return None


def _finalise(plan: CrossValidationPlan, parent: Run, table: pd.DataFrame) -> None:
    """Log results and their summary on the evaluation's run."""
    (group,) = grouped(table, plan.context.settings.objective)
    methods, comparisons = group.summaries, group.comparisons
    parent.table(table, "results.csv")
    columns = {"protocol": plan.settings.protocol, "transductive": plan.settings.transductive}
    parent.table(as_frame(methods, comparisons[group.score], group.score).assign(**columns), SUMMARY)
    means = {
        f"{score}/{name}": one.scores[score].mean
        for score in COMPARED
        for name, one in zip(_metric_names(methods), methods, strict=True)
    }
    parent.metrics({name: mean for name, mean in means.items() if not math.isnan(mean)})
    if found := comparisons[group.score]:
        parent.figure(differences_figure({group.title: found}, group.score), DIFFERENCES)
    rows = [
        f"| {one.label} | {one.scores['kappa']} | {one.scores['f1']} | {one.scores['kappa'].participants} |"
        for one in methods
    ]
    head = ["| method | kappa | f1 | participants |", "|---|---|---|---|"]
    text = f"Means over test participants. {interval_note(methods)}"
    parent.describe("\n".join([_note(plan), "", text, "", *head, *rows]))


def _metric_names(methods: Sequence[Summary]) -> list[str]:
    """Different names of methods with characters that MLflow allows in names of metrics."""
    names = [" ".join(NOT_IN_METRIC_NAMES.sub(" ", one.label).split())[:LONGEST_NAME] for one in methods]
    found: list[str] = []
    for name in names:
        numbered = (f"{name}: {number}" for number in range(2, len(names) + 2))
        found.append(next(one for one in (name, *numbered) if one not in found))
    return found
