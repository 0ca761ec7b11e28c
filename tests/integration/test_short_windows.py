"""Windows of another length than 5, 10 or 30 s, with the encoder that takes any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sslwear.config import Settings
from sslwear.data.arrays import Description, write_dataset
from sslwear.data.dataset import open_dataset
from sslwear.deployment import registry
from sslwear.deployment.promotion.promotion import promote
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.context import StudyContext
from sslwear.tracking import Store

SECONDS, SAMPLES = 2, 60


@pytest.fixture
def short_folder(small_folder: Path, tmp_path: Path) -> Path:
    """The first two seconds of each window of the small data set."""
    whole, folder = open_dataset(small_folder), tmp_path / "short"
    names = np.array(whole.class_names)[whole.labels]
    description = Description(name="short", rate_hz=30, window_s=SECONDS, class_names=whole.class_names)
    write_dataset(folder, np.array(whole.windows[:, :SAMPLES]), names, whole.pid, whole.start, description)
    return folder


def test_short_windows_are_not_stretched_from_training_to_prediction(
    make: Callable[..., Settings], store: Store, short_folder: Path
) -> None:
    settings = make(encoder="multiscale", data=str(short_folder), trials=1, search={"tuning": ["layer4-5"]})
    context = StudyContext.open(settings, store)
    assert context.encoder.window_samples == SAMPLES
    assert context.data_warnings() == []
    run_study(settings, store)
    promote(settings.study, store)
    model = registry.load_model(store, f"models:/{settings.study}@champion")
    assert (model.card.window_s, model.card.rate_hz) == (SECONDS, 30)
    windows = np.load(short_folder / "X.npy")[:5]
    assert len(model.predict(windows)) == 5
    assert np.array_equal(model.check(windows), windows)


def test_another_encoder_warns_that_it_stretches_them(
    make: Callable[..., Settings], store: Store, short_folder: Path
) -> None:
    context = StudyContext.open(make(encoder="cnn5", data=str(short_folder)), store)
    (warning,) = context.data_warnings()
    assert "has windows of 2 s and cnn5 expects 5 s" in warning
