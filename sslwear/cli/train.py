"""The ``sslwear train`` and ``sslwear pretrain`` commands: one training without a search."""

from __future__ import annotations

from sslwear.cli.study import Overrides, StudyFile
from sslwear.cli.terminal import first_process, print_line, standard_output, user_errors
from sslwear.cli.ui import ui_command

GOES_ON = "the same command goes on from the last checkpoint"


def train(file: StudyFile, set_: Overrides = None) -> None:
    """Train once with the settings under training; nothing is searched.

    The same command goes on with a training that was interrupted.
    """
    with user_errors(GOES_ON):
        from sslwear.config import load
        from sslwear.studies.setup.progress import ConsoleProgress
        from sslwear.studies.trial.single_run import train_once
        from sslwear.studies.trial.torchrun import take_part
        from sslwear.tracking import Store

        settings = load(file, set_ or [], "train")
        store = Store.from_environment(settings=settings)
        if not first_process():
            take_part(settings, store)
            return
        console = standard_output()
        with ConsoleProgress(console, epochs=True) as progress:
            run, result = train_once(settings, store, progress)
        scores = ", ".join(f"{name} {value:.3f}" for name, value in result.validation.scores.items())
        epochs = f"epoch {result.best_epoch} of {len(result.history)}"
        print_line(console, f"Means over the validation participants, {epochs}: {scores}.")
        print_line(console, f"Run {run.id}. To start from its weights, set weights: runs:/{run.id}")
        print_line(console, f"Browse it with: {ui_command(store)}")


def pretrain(file: StudyFile, set_: Overrides = None) -> None:
    """Pre-train the encoder on the pretext task under training; a run with the same settings is reused.

    The same command goes on with a pre-training that was interrupted.
    """
    with user_errors(GOES_ON):
        from sslwear.config import load
        from sslwear.studies.setup.progress import ConsoleProgress
        from sslwear.studies.trial.single_run import pretrain_once
        from sslwear.studies.trial.torchrun import take_part
        from sslwear.tracking import Store

        settings = load(file, set_ or [], "pretrain")
        store = Store.from_environment(settings=settings)
        if not first_process():
            take_part(settings, store)
            return
        console = standard_output()
        with ConsoleProgress(console, epochs=True) as progress:
            run_id, scores = pretrain_once(settings, store, progress)
        text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        print_line(console, f"Pretext task {settings.training.pretext}, held-out participants: {text}.")
        print_line(console, f"Run {run_id}. To start from its weights, set weights: runs:/{run_id}")
        print_line(console, f"Browse it with: {ui_command(store)}")
