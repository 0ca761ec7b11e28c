"""Checks before a study starts that its pre-trainings have a task, participants and labels."""

from __future__ import annotations

from collections.abc import Iterable

from sslwear.config import NO_PRETEXT, SUPERVISED
from sslwear.errors import DataError, LeakageError, SettingsError
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.trial.pretraining import pretraining_source, pretraining_windows


def check_pretraining(context: StudyContext, names: Iterable[str]) -> None:
    """Check before a study starts that its pretext tasks have participants to train on.

    Args:
        context: encoder, data and split.
        names: pretext tasks that trials may ask for.

    Raises:
        DataError: when there are too few participants, or no labels for supervised pre-training.
        LeakageError: when these labels may be of test participants.
    """
    for name in sorted(set(names) - {NO_PRETEXT}):
        if name == SUPERVISED:
            _check_labels(context)
        pretraining_windows(context, name)


def _check_labels(context: StudyContext) -> None:
    """Check that supervised pre-training uses labels of other sources only."""
    dataset = context.dataset
    parts = pretraining_source(context, SUPERVISED).parts if context.pretraining_data is not None else ()
    if not parts:
        raise DataError(
            f"the pretext task {SUPERVISED} needs the labels of other participants, and pretraining.data names no data "
            "set with labels. Add one, such as pretraining.data: datasets/wisdm"
        )
    for part in parts:
        if part.fingerprint == dataset.fingerprint or part.description.source in (None, dataset.description.source):
            raise LeakageError(
                f"the pretext task {SUPERVISED} would learn the labels of {part.folder}, whose participants may be "
                f"those of {dataset.folder}. Use data sets of other sources (key source of their dataset.json)"
            )


def check_pretext(pretext: str) -> None:
    """Check that there is a pretext task.

    Raises:
        SettingsError: when the pretext task is ``none``.
    """
    if pretext == NO_PRETEXT:
        raise SettingsError(
            "training.pretext is none, so there is nothing to pre-train on. Choose a task, for example with --set "
            "training.pretext=reverse"
        )
