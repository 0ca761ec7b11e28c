"""Where a run belongs that is to be repeated: the evaluation above it, its job, or a fold of its study."""

from __future__ import annotations

from dataclasses import replace

from mlflow.entities import Run as MlflowRun

from sslwear.config import Settings
from sslwear.errors import StudyError
from sslwear.studies.evaluations.method_networks import KIND as NETWORK
from sslwear.studies.evaluations.method_networks import METHOD, all_participants
from sslwear.studies.evaluations.plan import CrossValidationPlan, Job
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.trial.pretraining import pretraining_windows
from sslwear.tracking import Store, participant_params, reading

PARENT = "mlflow.parentRunId"


def check_not_nested(original: MlflowRun, store: Store) -> None:
    """Refuse runs of a search inside of a fold, whose settings and participants are those of its job.

    Raises:
        StudyError: when it is one.
    """
    for above in runs_above(original, store):
        if reading.kind_of(above) == "cross_validation_job":
            raise StudyError(
                f"the run {original.info.run_id} belongs to a search inside of a fold, and cannot be repeated alone. "
                f"Repeat the whole search, the run {above.info.run_id}"
            )


def find_job(
    settings: Settings, original: MlflowRun, kind: str, store: Store
) -> tuple[CrossValidationPlan, Job] | None:
    """The evaluation that a run belongs to, and its job or the job that it pre-trained for; None if there is none.

    Raises:
        StudyError: when its settings have no such job.
    """
    kinds = [reading.kind_of(run) for run in runs_above(original, store)]
    if kinds[-1:] != ["cross_validation"]:
        if kind in ("cross_validation_job", NETWORK):
            raise StudyError(
                f"the evaluation of the run {original.info.run_id} was deleted, and its settings with it. Restore it "
                "in the UI, or run sslwear evaluate again"
            )
        return None
    plan = CrossValidationPlan.build(settings, store)
    if kinds[0] == METHOD:  # a promotion, whose networks are trained on all participants
        everybody = all_participants(plan.context.dataset)
        jobs = tuple(replace(job, fold=0, split=everybody) for job in plan.jobs)
        plan = replace(plan, settings=plan.settings.model_copy(update={"transductive": False}), jobs=jobs)
    for job in plan.jobs:
        if kind in ("cross_validation_job", NETWORK):
            names = ("method", "seed", "fold") if kind == "cross_validation_job" else ("method", "seed")
            own = {"method": job.method.name, "fold": str(job.fold), "seed": str(job.seed)}
            found = all(own[name] == reading.tag(original, name) for name in names)
        else:
            found = job.method.given.uses_encoder and pretrained_alike(plan.of(job), original)
        if found:
            return plan, job
    raise StudyError(
        f"by its settings, the evaluation of the run {original.info.run_id} has no such job, so the run cannot be "
        "repeated"
    )


def runs_above(run: MlflowRun, store: Store) -> list[MlflowRun]:
    """The parent of a run, and of a promoted method's run the evaluation above it; without those that were deleted."""
    parents = [_parent(run, store)]
    if parents[0] is not None and reading.kind_of(parents[0]) == METHOD:
        parents.append(_parent(parents[0], store))
    return [parent for parent in parents if parent is not None]


def _parent(run: MlflowRun, store: Store) -> MlflowRun | None:
    above = run.data.tags.get(PARENT)
    return None if above is None else store.find_run(above)


def pretraining_context(context: StudyContext, original: MlflowRun) -> StudyContext:
    """The context of a study's fold that a pre-training was for, or that of all participants."""
    found = (context, *map(context.in_fold, context.folds), context.on_all())
    return next((one for one in found if pretrained_alike(one, original)), context)


def pretrained_alike(context: StudyContext, original: MlflowRun) -> bool:
    """Whether a pre-training had these participants, this seed and these initial weights."""
    params = original.data.params
    data = pretraining_windows(context, params["pretext"])
    whose = participant_params(train=data.train.participants(), held_out=data.validation.participants())
    now = {**whose, "seed": str(context.settings.seed), "weights": context.origin}
    return all(params[name] == value for name, value in now.items())
