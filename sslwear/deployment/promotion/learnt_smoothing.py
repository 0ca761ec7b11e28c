"""Smoothing that is learnt with a model: fitted at its promotion, and carried in its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from sslwear.data.splits import Split
from sslwear.deployment.card_smoothing import tables_of
from sslwear.encoders.base import Network
from sslwear.errors import DataError, StudyError
from sslwear.evaluation.smoothing import check_adjacent, fit_adjacent
from sslwear.studies.database.trials import is_by_participant
from sslwear.studies.search.final_test import score_network
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.trial.judging import CONFUSION
from sslwear.tracking.provenance import PREFIX
from sslwear.training.metrics import confusion

NOT_CONSECUTIVE = "the windows of its training data do not follow each other as in a recording"
REPEATED = f"{PREFIX}duplicate_of"
"""Tag of a repeated trial's run with the id of the first trial's run."""


def learnt_smoothing(
    context: StudyContext, study: optuna.Study, trial: FrozenTrial, network: Network
) -> tuple[Mapping[str, Any] | None, str | None]:
    """Fit the hidden Markov model of a promoted trial.

    Transitions are those of the labels of the training participants. Emissions are the trial's predictions for the
    participants that judged it, each by a network that was not trained on them.

    Args:
        context: context of the study.
        study: the study.
        trial: the promoted trial.
        network: its network, which in studies of version 0.1 was not trained on the validation participants.

    Returns:
        The tables of the model as lists for `Card.smoothing`, or None; and why there is none, or None.
    """
    if not _is_adjacent(context):
        return None, NOT_CONSECUTIVE
    if is_by_participant(study):
        found = _judged(context, trial)
        if found is None:
            return None, "its trial was judged by an earlier version of sslwear, which kept no confusions"
    else:
        found = _on_validation(context, network)
    return _fitted(context, found), None


def smoothing_of_method(
    context: StudyContext, confusions: NDArray[np.int64]
) -> tuple[Mapping[str, Any] | None, str | None]:
    """Fit the hidden Markov model of a method of an evaluation, see `learnt_smoothing`.

    Args:
        context: context whose training participants give the transitions.
        confusions: of the folds' test participants (C, C), which give the emissions.
    """
    return (_fitted(context, confusions), None) if _is_adjacent(context) else (None, NOT_CONSECUTIVE)


def _is_adjacent(context: StudyContext) -> bool:
    try:
        check_adjacent(context.dataset)
    except DataError:
        return False
    return True


def _fitted(context: StudyContext, confusions: NDArray[np.int64]) -> Mapping[str, Any]:
    model = fit_adjacent(context.dataset, context.windows(context.split.train).rows, confusions)
    return tables_of(model)


def _judged(context: StudyContext, trial: FrozenTrial) -> NDArray[np.int64] | None:
    """Confusions of a trial's judged windows (C, C); None if they were not kept."""
    run = context.store.find_run(str(trial.user_attrs["run_id"]))
    for _ in range(2):  # a repeated trial names the run of the first one
        if run is None:
            return None
        try:
            table = pd.read_csv(StringIO(context.store.read_text(run, CONFUSION)))
            return table.iloc[:, 1:].to_numpy(np.int64)
        except StudyError:
            first = run.data.tags.get(REPEATED)
            run = context.store.find_run(first) if first else None
    return None


def _on_validation(context: StudyContext, network: Network) -> NDArray[np.int64]:
    """Confusions of a network on the validation participants (C, C)."""
    split = context.split
    judged = replace(context, split=Split(train=split.train, validation=(), test=split.validation))
    names = context.dataset.class_names
    found = score_network(judged, network, context.encoder.window_samples, names)
    return confusion(found.truth, found.predicted, len(names))
