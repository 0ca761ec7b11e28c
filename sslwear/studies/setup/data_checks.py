"""Checks of a study's data sets against its encoder and its objective, and warnings about data, folds and search."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from sslwear.config import Settings
from sslwear.data.checks import DESCRIPTION
from sslwear.data.dataset import Dataset
from sslwear.data.shards import Shards
from sslwear.data.splits import Split, check_several_classes, missing_classes, rows
from sslwear.encoders.base import Encoder
from sslwear.errors import DataError
from sslwear.utils.words import count


def check_window_lengths(parts: Iterable[Dataset | Shards], encoder: type[Encoder]) -> None:
    """Check that the length of windows is known in seconds, or is that of the encoder in samples.

    Raises:
        DataError: when neither is so, because the windows would be stretched in time by an unknown factor.
    """
    for part in parts:
        if part.window_s is None and part.samples != encoder.window_samples:
            raise DataError(
                f"{part.folder} has windows of {part.samples} samples, and their length in seconds is not known. Write "
                f'it into {part.folder / DESCRIPTION}, such as {{"name": "{part.folder.name}", "window_s": 10}}'
            )


def data_warnings(parts: Iterable[Dataset | Shards], encoder: type[Encoder]) -> list[str]:
    """Warnings about names of participants, and about windows whose length is not known or not the encoder's.

    Args:
        parts: the data sets of a study.
        encoder: its encoder.
    """
    wanted_s = encoder.window_samples / encoder.rate_hz
    found: list[str] = []
    for part in parts:
        found += part.warnings
        if part.window_s is None:
            found.append(
                f"{part.folder} does not say how long its windows are. They are taken as {wanted_s:g} s at "
                f"{encoder.rate_hz:g} Hz, as {encoder.name} expects. If that is wrong, write window_s into "
                f"{DESCRIPTION}"
            )
        elif abs(part.window_s - wanted_s) >= 0.5 / encoder.rate_hz:
            found.append(
                f"{part.folder} has windows of {part.window_s:g} s and {encoder.name} expects {wanted_s:g} s. They are "
                "resampled to its length, which changes the apparent speed of movement"
            )
    return list(dict.fromkeys(found))


def check_objective(dataset: Dataset, judged: tuple[Any, ...], objective: str) -> None:
    """Check that the objective tells models apart on the participants who judge a trial.

    Args:
        dataset: the labelled windows.
        judged: these participants.
        objective: ``kappa`` or ``f1``.

    Raises:
        DataError: when they, or all participants, have one class only.
    """
    check_several_classes(dataset)
    present = np.unique(dataset.labels[rows(dataset, judged)])
    if len(present) > 1:
        check_defined(dataset, judged, objective, "participants who judge a trial")
        return
    people = np.unique(dataset.pid[dataset.worn]).tolist()
    several = any(_has_several_classes(dataset, one) for one in people)
    seed = "another split.validation_seed or " if several or len(judged) > 1 else ""
    raise DataError(
        f"{dataset.folder}: the validation participants {', '.join(map(str, judged))} have only the class "
        f"{dataset.class_names[present[0]]!r}, on which {objective} cannot tell models apart. "
        f"Choose {seed}a larger split.validation"
    )


def check_defined(dataset: Dataset, people: Collection[Any], objective: str, who: str) -> None:
    """Check that the objective is defined for some participants, whatever a model predicts.

    Args:
        dataset: the labelled windows.
        people: the participants.
        objective: ``kappa`` or ``f1``.
        who: what they are, in the plural.

    Raises:
        DataError: when it is kappa and each of them has one class only. It is undefined if all windows are right, and 0
            otherwise.
    """
    if objective == "kappa" and not any(_has_several_classes(dataset, one) for one in people):
        raise DataError(
            f"{dataset.folder}: each of the {len(people)} {who} has one class only, on which kappa is undefined. Set "
            "objective to f1"
        )


def _has_several_classes(dataset: Dataset, participant: Any) -> bool:
    return len(np.unique(dataset.labels[rows(dataset, (participant,))])) > 1


def fold_warnings(dataset: Dataset, folds: Sequence[Split]) -> list[str]:
    """Warnings about classes that a fold cannot learn."""
    return [
        f"fold {number}: no training participant has the class {name!r}, so it cannot be learnt and all its windows "
        "count as wrong"
        for number, fold in enumerate(folds, start=1)
        for name in missing_classes(dataset, fold)
    ]


def search_warnings(settings: Settings) -> list[str]:
    """Warnings about trials that must repeat others, because the search has fewer combinations."""
    try:
        size = settings.search.grid_size()
    except ValueError:  # a range without a step, which has no end of values
        return []
    if size >= settings.trials:
        return []
    if not settings.search.space:
        return [
            f"{settings.study} has nothing to search, so all {settings.trials} trials are the same. Add search, or set "
            "trials: 1"
        ]
    return [
        f"search has {count(size, 'combination')}, so some of the {settings.trials} trials repeat others. Set "
        f"trials: {size} and sampler: {{name: grid}} to try each once"
    ]
