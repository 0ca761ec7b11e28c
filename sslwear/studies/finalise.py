"""End of a study: the winner is scored once on the test participants, and the results are logged."""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial

from sslwear.encoders import weights
from sslwear.encoders.base import Network
from sslwear.errors import StudyError, WeightsError
from sslwear.reports.training_figures import confusion_figure
from sslwear.studies import summary
from sslwear.studies.context import StudyContext
from sslwear.studies.final_test import count_test_evaluation, score_network, training_of
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.trials import winner
from sslwear.tracking import RUN_URI, Run
from sslwear.tracking.checkpoints import load_weights
from sslwear.training import frozen_prefix_length
from sslwear.training.metrics import HEADLINE_SCORES, confusion
from sslwear.utils.interrupts import signals_deferred

CONFUSION = "test_confusion.png"


def is_tested(study: optuna.Study) -> bool:
    """Whether the current winner was scored on the test participants."""
    best = winner(study)
    return best is not None and str(best.number) in study.user_attrs.get("tested", {})


def finalise(context: StudyContext, study: optuna.Study, trials: int, parent: Run, progress: ProgressCallback) -> None:
    """Score the winner on the test participants and log the study's results.

    Args:
        context: the study's.
        study: a study whose trials have all ended.
        trials: number of trials that count.
        parent: the study's run.
        progress: receives notes.

    Raises:
        StudyError: when no trial finished.
    """
    best = winner(study)
    if best is None:
        raise StudyError(
            f"none of the {trials} trials of {study.study_name!r} finished. Read traceback.txt of a failed run in the "
            "UI"
        )
    parent.text(context.settings.to_yaml(), "settings.yaml")
    objective = context.settings.objective
    parent.metrics({f"best_{objective}": best.value or 0.0, "best_trial": best.number, "trials": trials})
    run = context.store.find_run(best.user_attrs["run_id"])
    if run is not None:  # the winner's scores, so that the study's row in the table has scores too
        parent.metrics({score: run.data.metrics[score] for score in HEADLINE_SCORES if score in run.data.metrics})
    parent.tags(best_trial=str(best.number), best_run=best.user_attrs["run_id"])
    if not is_tested(study):
        progress.note(f"scoring trial {best.number}, the winner, on the test participants")
        scores = _test(context, best, parent)
        with signals_deferred():
            count_test_evaluation(study, f"trial {best.number}, the winner")
            study.set_user_attr("tested", {**study.user_attrs.get("tested", {}), str(best.number): scores})
    summary.log(study, objective, parent)


def _test(context: StudyContext, best: FrozenTrial, parent: Run) -> dict[str, float]:
    training = training_of(best)
    network = trained(context, best)
    depth = frozen_prefix_length(context.tuning(training).frozen, network)
    names = context.dataset.class_names
    result = score_network(context, network, context.encoder.window_samples, names, depth)
    parent.metrics({f"test_{name}": value for name, value in result.scores.items()})
    title = f"test participants, trial {best.number}"
    parent.figure(confusion_figure(confusion(result.truth, result.predicted, len(names)), names, title), CONFUSION)
    parent.text(result.table.to_csv(index=False), "test_participants.csv")
    return result.scores


def trained(context: StudyContext, trial: FrozenTrial) -> Network:
    """The network of a finished trial.

    Raises:
        StudyError: when its checkpoint is missing.
    """
    origin = f"{RUN_URI}{trial.user_attrs['run_id']}"
    encoder = context.encoder()
    network = Network(encoder, context.classification(training_of(trial)).head(encoder.features))
    try:
        state = load_weights(context.store, origin)
    except WeightsError as error:
        raise StudyError(
            f"the checkpoint of trial {trial.number} is missing ({error}). Restore it, or start a new study with "
            "--set study=NAME"
        ) from error
    weights.load_network(network, state, origin)
    return network
