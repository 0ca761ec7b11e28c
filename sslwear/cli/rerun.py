"""The ``sslwear rerun`` command: repeat a training and compare the metrics."""

from __future__ import annotations

from typing import Annotated

import typer

from sslwear.cli.terminal import print_line, standard_output, user_errors


def rerun(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run or its first letters; a study with --trial.")],
    trial: Annotated[int | None, typer.Option(metavar="N", help="Number of a trial of the study.", min=0)] = None,
) -> None:
    """Repeat a training, trial, pre-training or evaluation job from its logged settings; metrics must be identical."""
    with user_errors("the original run was not changed"):
        from sslwear.studies.database.optuna_storage import store_errors
        from sslwear.studies.reruns.rerun import rerun as repeat
        from sslwear.studies.results.compare import find_run, find_trial_run
        from sslwear.studies.setup.progress import ConsoleProgress
        from sslwear.tracking import Store

        store, console = Store.from_environment(), standard_output()
        with store_errors(store):
            original = find_run(run, store) if trial is None else find_trial_run(run, trial, store)
            with ConsoleProgress(console, epochs=True) as progress:
                found = repeat(original, store, progress)
        print_line(console, f"Run {found.run_id} repeats {original.info.run_id} ({original.info.run_name}).")
        if found.differing is not None:
            print_line(console, f"The runs differ, first in {found.differing}.")
            raise typer.Exit(1)
        print_line(
            console, f"All {found.metrics} metrics are identical in every bit ({found.values} values over all steps)."
        )
