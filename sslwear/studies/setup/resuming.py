"""Checkpoints from which the same command goes on, and what is said when it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.training import Checkpoints, EpochRecord


def checkpoints_of(context: StudyContext, key: str, progress: ProgressCallback) -> Checkpoints:
    """Checkpoints of the training with a key, which are in the store's folder.

    Args:
        context: of the training.
        key: key of everything that its result depends on.
        progress: receives a warning about a checkpoint that cannot be used or written.
    """
    folder = context.store.home / "checkpoints"
    return Checkpoints(folder, key, context.settings.checkpoint_minutes, progress.warn, context.check_unchanged)


def logged_again(
    log: Callable[[EpochRecord], None], progress: ProgressCallback
) -> Callable[[Sequence[EpochRecord]], None]:
    """Function that logs the epochs before an interruption on the run that goes on."""

    def on_resume(history: Sequence[EpochRecord]) -> None:
        for record in history:
            log(record)
        progress.resumed(len(history))

    return on_resume
