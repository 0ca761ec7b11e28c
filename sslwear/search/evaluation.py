"""An evaluation: each method trained in each fold with each seed, and scored once on the fold's test participants."""

from __future__ import annotations

import math
import platform
import re

import pandas as pd
from mlflow.entities import Run as MlflowRun

from sslwear.errors import StudyError
from sslwear.evaluation.comparison import Summary, as_frame
from sslwear.evaluation.report import COMPARED, grouped
from sslwear.evaluation.report_figures import DIFFERENCES, differences_figure
from sslwear.provenance import PREFIX
from sslwear.search.listener import Listener
from sslwear.search.page import evaluation_name, evaluation_note, introduce
from sslwear.search.part import TRANSDUCTIVE, part_name, run_part
from sslwear.search.protocol import Part, Plan
from sslwear.search.results import PLAN, evaluated, finished, results
from sslwear.search.storage import answering
from sslwear.search.study import alone
from sslwear.settings import Settings
from sslwear.tracking import MAX_PARAM, Run, Store

__all__ = ["evaluate_study", "results"]

UNSPEAKABLE = re.compile(r"[^\w.: -]")
"""What names of methods may have and names of MLflow's metrics may not."""
LONGEST = 250
"""Characters of a metric's name that MLflow takes; a method's mark may name many data sets."""


def evaluate_study(settings: Settings, store: Store | None = None, listener: Listener | None = None) -> pd.DataFrame:
    """Run an evaluation, or what is missing of it.

    What has finished with the same settings, data, weights and version of this package is not run again, whether the
    evaluation was interrupted or has got more methods or seeds since.

    Args:
        settings: the study file's, with a section `evaluation`.
        store: where runs go; what the environment names by default.
        listener: hears of the progress; nobody by default.

    Returns:
        Scores of the test participants, see `results`.

    Raises:
        SslwearError: when settings, data or weights cannot be used, something would learn from those that it is tested
            on, another process runs the study, or a training failed; what did not fail is kept.
        KeyboardInterrupt: when the user interrupts; nothing is left running then.
    """
    store, listener = store or Store.from_environment(), listener or Listener()
    with answering(store), alone(store, settings.study):
        plan = Plan.build(settings, store)
        for warning in plan.warnings():
            listener.warn(warning)
        experiment_id = introduce(plan.experiment, evaluation_note(plan.experiment))
        done = finished(store, experiment_id)
        missing = [part for part in plan.parts if part.key not in done]
        listener.study(settings.study, len(plan.parts) - len(missing), len(plan.parts))
        newest = evaluated(store, experiment_id)
        same = newest is not None and newest.data.tags.get(f"{PREFIX}evaluation_key") == plan.key
        if not missing and same and newest is not None and newest.info.status == "FINISHED":
            return results(settings.study, store)
        with store.accounted_for(lambda: _opened(plan, experiment_id), _clear) as parent:
            failed = [part for part in missing if not _finishes(plan, part, parent, done, listener)]
            if failed:
                raise StudyError(
                    f"{len(failed)} of {len(plan.parts)} parts failed, the first of them {part_name(failed[0])}; "
                    "tracebacks are with their runs in the UI, and the same command tries them again"
                )
            table = results(settings.study, store)
            _conclude(plan, parent, table)
        return table


def _opened(plan: Plan, experiment_id: str) -> Run:
    """The evaluation's run: the newest one, opened again, when it is of the same parts, or else a new one."""
    store, settings = plan.experiment.store, plan.experiment.settings
    for earlier in store.find(experiment_id, kind="evaluated"):  # what a dead process left running
        if earlier.info.status == "RUNNING" and earlier.data.tags.get(f"{PREFIX}host") == platform.node():
            store.close_leftovers(experiment_id, earlier.info.run_id)
            Run(store, earlier.info.run_id, experiment_id).end("KILLED", "interrupted")
    newest = evaluated(store, experiment_id)
    if newest is not None and newest.data.tags.get(f"{PREFIX}evaluation_key") == plan.key:
        run = Run(store, newest.info.run_id, experiment_id)
        run.reopen()
    else:
        tags = {**plan.tags(), "evaluation_key": plan.key}
        run = store.start(experiment_id, evaluation_name(settings.study), "evaluated", None, _note(plan), **tags)
    if not run.has_params():
        run.text(settings.to_yaml(), "settings.yaml")
        run.text(plan.table().to_csv(index=False), PLAN)
        run.dataset(plan.experiment.dataset, {"all": len(plan.experiment.dataset)})
        run.params({"methods": "; ".join(plan.settings.methods)[:MAX_PARAM], **plan.experiment.circumstances()})
    return run


def _clear(run: Run) -> None:
    """End the parts that were left open."""
    run.store.close_leftovers(run.experiment, run.id)


def _note(plan: Plan) -> str:
    folds, seeds = len({part.fold for part in plan.parts}), len(plan.settings.seeds)
    return (
        f"Compares {len(plan.settings.methods)} methods by {plan.settings.protocol.replace('_', ' ')} "
        f"({folds} {'fold' if folds == 1 else 'folds'}), with {seeds} {'seed' if seeds == 1 else 'seeds'} each"
        f"{f' (**{TRANSDUCTIVE}**)' if plan.settings.transductive else ''}."
    )


def _finishes(plan: Plan, part: Part, parent: Run, done: dict[str, MlflowRun], listener: Listener) -> bool:
    """Run a part, and account for how it ends: whether it finished."""
    store, name = plan.experiment.store, part_name(part)
    method = part.method
    tags = {"evaluation_key": part.key, "method": method.name, "fold": str(part.fold), "seed": str(part.seed)}
    tags["supervised"] = ", ".join(method.supervised)
    try:
        with store.running(parent.experiment, name, "evaluation", parent.id, None, **plan.tags(), **tags) as run:
            value = run_part(plan, part, parent, run, done, listener)
    except Exception as error:  # noqa: BLE001 - whatever a part dies of, the evaluation goes on
        listener.ended(name, "failed", None)
        listener.warn(f"{name} failed ({type(error).__name__}: {error}); its traceback is with its run in the UI")
        return False
    done[part.key] = store.client.get_run(run.id)
    listener.ended(name, "finished", None if math.isnan(value) else value)
    return True


def _conclude(plan: Plan, parent: Run, table: pd.DataFrame) -> None:
    """Log the results and their summary."""
    (group,) = grouped(table, plan.experiment.settings.objective)
    methods, comparisons = group.summaries, group.comparisons
    parent.text(table.to_csv(index=False), "results.csv")
    mark = {"protocol": plan.settings.protocol, "transductive": plan.settings.transductive}
    parent.text(as_frame(methods, comparisons["kappa"]).assign(**mark).to_csv(index=False), "summary.csv")
    means = {_metric(score, one): one.scores[score].mean for score in COMPARED for one in methods}
    parent.metrics({name: mean for name, mean in means.items() if not math.isnan(mean)})
    if found := comparisons[group.score]:
        parent.figure(differences_figure({group.title: found}, group.score), DIFFERENCES)
    rows = [
        f"| {one.label} | {one.scores['kappa']} | {one.scores['f1']} | {one.scores['kappa'].participants} |"
        for one in methods
    ]
    head = ["| method | kappa | f1 | participants |", "|---|---|---|---|"]
    text = "Means over test participants with 95 % bootstrap intervals:"
    parent.describe("\n".join([_note(plan), "", text, "", *head, *rows]))


def _metric(score: str, method: Summary) -> str:
    """A name under which MLflow takes a method's mean: ``kappa/all blocks``."""
    return f"{score}/{' '.join(UNSPEAKABLE.sub(' ', method.label).split())}"[:LONGEST]
