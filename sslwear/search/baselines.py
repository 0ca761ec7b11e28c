"""Methods without a network, to compare networks with."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sslwear.errors import StudyError
from sslwear.training import Windows

MODULE = "sslwear.evaluation.baseline"
Baseline = Callable[[Windows, Windows, Windows, int, int], NDArray[np.int64]]
"""Windows to train on, to validate on and to predict, number of classes, seed: classes of the last windows (N,)."""


def find_baseline(name: str) -> Baseline:
    """A baseline by its name, imported only where it is asked for.

    Raises:
        StudyError: when this installation has none.
    """
    try:
        found: Baseline = getattr(importlib.import_module(MODULE), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise StudyError(
            f"the baseline {name} cannot be used ({error}); leave it out of evaluation.methods, or install sslwear anew"
        ) from error
    return found
