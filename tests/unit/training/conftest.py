"""Windows for the tests of training."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslwear.data.dataset import Dataset
from sslwear.training import FitData, Windows


@pytest.fixture(scope="session")
def data(small: Dataset) -> FitData:
    """Every third window of three participants: 20 windows to train on, in batches of 8, 8 and 4."""
    train, validation = Windows.of(small, (1, 2)), Windows.of(small, (5,))
    return FitData(replace(train, rows=train.rows[::3]), replace(validation, rows=validation.rows[::3]))
