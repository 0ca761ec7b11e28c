"""The ``sslwear rerun`` command: repeat a training, and say whether it gives the same."""

from __future__ import annotations

from typing import Annotated

import typer

from sslwear.cli.study import RunId
from sslwear.cli.terminal import friendly, say, standard_output


def rerun(run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help=RunId)]) -> None:
    """Repeat a training, trial, pre-training or part of an evaluation from what was logged; compare to the bit."""
    with friendly("the run that was to be repeated is as it was"):
        from sslwear.cli.console import ConsoleProgress
        from sslwear.studies.compare import find_run
        from sslwear.studies.rerun import rerun as repeat
        from sslwear.studies.storage import store_errors
        from sslwear.tracking import Store

        store, console = Store.from_environment(), standard_output()
        with store_errors(store):
            original = find_run(run_id, store)
            with ConsoleProgress(console, epochs=True) as listener:
                found = repeat(original, store, listener)
        say(console, f"Run {found.run_id} repeats {original.info.run_id} ({original.info.run_name}).")
        if found.differing is not None:
            say(console, f"They differ, first in {found.differing}.")
            raise typer.Exit(1)
        say(console, f"All {found.metrics} metrics are identical to the bit, {found.values} values at all steps.")
