"""How a study ends: the winner's one look at the test participants, and the results logged."""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial

from sslwear.checkpoints import load_weights
from sslwear.encoders import weights
from sslwear.encoders.base import Network
from sslwear.errors import StudyError, WeightsError
from sslwear.evaluation.figures import confusion_figure
from sslwear.interruption import undisturbed
from sslwear.scores import confusion
from sslwear.search import report
from sslwear.search.experiment import Experiment
from sslwear.search.listener import Listener
from sslwear.search.page import SCORES
from sslwear.search.report import winner
from sslwear.search.testing import count_look, score, training_of
from sslwear.tracking import RUN_URI, Run
from sslwear.training import leading

CONFUSION = "test_confusion.png"


def is_tested(study: optuna.Study) -> bool:
    """Whether the test participants were scored with the winner as it is now."""
    best = winner(study)
    return best is not None and str(best.number) in study.user_attrs.get("tested", {})


def conclude(experiment: Experiment, study: optuna.Study, trials: int, parent: Run, listener: Listener) -> None:
    """Score the winner, and nothing else, on the test participants, and log the study's results.

    Args:
        experiment: the study's.
        study: all its trials have ended.
        trials: how many of them count.
        parent: the study's run.
        listener: hears of it.

    Raises:
        StudyError: when no trial finished.
    """
    best = winner(study)
    if best is None:
        raise StudyError(
            f"none of the {trials} trials of {study.study_name!r} finished; "
            "read traceback.txt of a failed run in the UI"
        )
    parent.text(experiment.settings.to_yaml(), "settings.yaml")
    objective = experiment.settings.objective
    parent.metrics({f"best_{objective}": best.value or 0.0, "best_trial": best.number, "trials": trials})
    run = experiment.store.run(best.user_attrs["run_id"])
    if run is not None:  # the winner's scores, so that the study has its place in the table of its trials
        parent.metrics({score: run.data.metrics[score] for score in SCORES if score in run.data.metrics})
    parent.tags(best_trial=str(best.number), best_run=best.user_attrs["run_id"])
    if not is_tested(study):
        listener.note(f"scoring trial {best.number}, the winner, on the test participants")
        scores = _test(experiment, best, parent)
        with undisturbed():
            count_look(study, f"trial {best.number}, the winner")
            study.set_user_attr("tested", {**study.user_attrs.get("tested", {}), str(best.number): scores})
    report.log(study, objective, parent)


def _test(experiment: Experiment, best: FrozenTrial, parent: Run) -> dict[str, float]:
    training = training_of(best)
    network = trained(experiment, best)
    depth = leading(experiment.tuning(training).frozen, network)
    names = experiment.dataset.class_names
    result = score(experiment, network, experiment.encoder.window_samples, names, depth)
    parent.metrics({f"test_{name}": value for name, value in result.scores.items()})
    title = f"test participants, trial {best.number}"
    parent.figure(confusion_figure(confusion(result.truth, result.predicted, len(names)), names, title), CONFUSION)
    parent.text(result.table.to_csv(index=False), "test_participants.csv")
    return result.scores


def trained(experiment: Experiment, trial: FrozenTrial) -> Network:
    """The network that a finished trial left.

    Raises:
        StudyError: when its checkpoint is gone.
    """
    origin = f"{RUN_URI}{trial.user_attrs['run_id']}"
    encoder = experiment.encoder()
    network = Network(encoder, experiment.classification(training_of(trial)).head(encoder.features))
    try:
        state = load_weights(experiment.store, origin)
    except WeightsError as error:
        raise StudyError(
            f"the checkpoint of trial {trial.number} is gone ({error}); put it back, or give the study another name "
            "with --set study=NAME"
        ) from error
    weights.load_network(network, state, origin)
    return network
