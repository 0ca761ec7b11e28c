"""The command `sslwear` with trials that train nothing: each sleeps, and its score follows from its settings.

Everything else is as it is in a study: trials are asked for, told, and logged in both stores. Benchmarks and tests of
many workers start it as processes of their own.

Example:
    STUB_S=2 python benchmarks/stub_worker.py study worker my-study.yaml
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sslwear.cli.app import main
from sslwear.config import NO_PRETEXT, TrainingSettings
from sslwear.errors import DivergenceError
from sslwear.evaluation.participants import per_participant
from sslwear.studies.results import summary
from sslwear.studies.search import final_test, search_trial
from sslwear.studies.search.fold_helper import Helper
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial import pretraining, winner
from sslwear.studies.trial.judgement import Judgement
from sslwear.studies.trial.judging import Watch
from sslwear.studies.trial.pretraining import pretrain
from sslwear.studies.trial.training_run import first_encoder, run_name
from sslwear.tracking import Run
from sslwear.training import Checkpoints, EpochRecord, Helpers
from sslwear.training.trained_fold import TrainedFold

SECONDS, FAILURE = "STUB_S", "STUB_FAILURE"
"""Environment variables with the duration of a trial, and how trials fail: ``memory``, ``nan`` or ``error``."""
FINAL_SECONDS, PRETRAINING_SECONDS = "STUB_FINAL_S", "STUB_PRETRAINING_S"
"""Environment variables with how long finalising and a pre-training wait before they train."""
EPOCH_SECONDS = "STUB_EPOCH_S"
"""Environment variable with how long an epoch of a fold waits before it trains, where trials are no stubs."""
FAILING_RATE = 3e-3
"""Learning rate from which on trials fail."""
STEPS = 4


def judge(
    context: StudyContext,
    training: TrainingSettings,
    run: Run,
    parent: str | None,
    progress: ProgressCallback,
    watch: Watch | None = None,
    helpers: Helpers | None = None,
    checkpoints: Sequence[Checkpoints] = (),
) -> Judgement:
    """Sleep, and score predictions some of which are wrong, depending on the learning rate."""
    windows = context.windows(context.judged)
    wrong = abs(math.log10(training.learning_rate / 2e-3)) / 3
    classes, count = len(context.dataset.class_names), len(windows)
    predicted = np.where(np.arange(count) < wrong * count, (windows.labels + 1) % classes, windows.labels)
    table = per_participant(windows.labels, predicted, windows.pid, classes)
    found = {name: float(value) for name, value in table.mean(numeric_only=True).items()}
    history = []
    run.params({"learning_rate": training.learning_rate})
    progress.started(run_name(training), STEPS)
    if training.pretext != NO_PRETEXT:
        for fold in context.folds:
            first_encoder(context.in_fold(fold), training, run, parent, progress)
    for step in range(1, STEPS + 1):
        time.sleep(float(os.environ.get(SECONDS, "0.1")) / STEPS)
        _fail(training)
        record = EpochRecord(step, 1.0, 1.0, found, 0.1, {})
        history.append(record)
        run.metrics({"val_loss": 1.0}, step)
        progress.epoch(record, context.settings.objective)
        if watch is not None:
            watch.epoch(record)
    measured = {"trainable_parameters": 1.0}
    judgement = Judgement(
        STEPS, len(context.folds), tuple(history), table, windows.labels, predicted, classes, measured
    )
    run.metrics({**judgement.means, "best_epoch": STEPS}, STEPS)
    return judgement


def _fail(training: TrainingSettings) -> None:
    if training.learning_rate < FAILING_RATE:
        return
    match os.environ.get(FAILURE):
        case "memory":
            raise MemoryError
        case "nan":
            raise DivergenceError("the loss is not finite after epoch 1")
        case "error":
            raise ValueError("a bad combination")


def _nothing(*_: Any, **__: Any) -> None:
    """Log and train nothing."""


def _slow_final(*arguments: Any, **named: Any) -> Any:
    time.sleep(float(os.environ.get(FINAL_SECONDS, "0")))
    return winner.trial_network(*arguments, **named)


def _slow_pretraining(*arguments: Any, **named: Any) -> None:
    time.sleep(float(os.environ.get(PRETRAINING_SECONDS, "0")))
    pretrain(*arguments, **named)


def delay() -> None:
    """Let each epoch of a fold take longer."""
    advance = TrainedFold.advance

    def delayed(fold: TrainedFold) -> None:
        time.sleep(float(os.environ.get(EPOCH_SECONDS, "0")))
        advance(fold)

    TrainedFold.advance = delayed  # type: ignore[method-assign]


def replace() -> None:
    """Replace training, figures and the page of a study by stubs."""
    search_trial.judge = judge  # type: ignore[attr-defined]
    search_trial._log_network = _nothing
    summary.log = _nothing
    final_test.trial_network = _slow_final  # type: ignore[attr-defined]
    pretraining.pretrain = _slow_pretraining
    Helper.help = _nothing


if __name__ == "__main__":
    replace()
    main()
