"""A classifier with its card: windows in, labels and probabilities out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sslwear.encoders import weights
from sslwear.encoders.card import CARD, CHECKPOINT, Card, network
from sslwear.encoders.classifier import Model, table
from sslwear.errors import DataError, WeightsError
from sslwear.transforms import resize

CARD_5 = Card("harnet5", 150, 30.0, "g", ("walk", "sit"), "a data set", "f", "CC BY 4.0", "head", "reverse", "float32")


def still(count: int, samples: int = 150, noise: float = 0.05) -> np.ndarray:
    """Windows of a wrist at rest (count, samples, 3)."""
    draws = np.random.default_rng(count)
    return (draws.normal(0, noise, (count, samples, 3)) + np.array([0, 0, 1])).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model."""
    place = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    weights.save(network(CARD_5), place / CHECKPOINT)
    (place / CARD).write_text(CARD_5.to_json())
    return place


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    """Model of the folder."""
    return Model.load(folder)


def test_a_model_has_the_head_that_its_card_names(tmp_path: Path) -> None:
    card = Card(**{**CARD_5.__dict__, "head": "linear"})
    weights.save(network(card), tmp_path / CHECKPOINT)
    (tmp_path / CARD).write_text(card.to_json())
    assert set(Model.load(tmp_path).predict(still(2)).columns) == {"label", "p_walk", "p_sit"}
    (tmp_path / CARD).write_text(CARD_5.to_json())
    with pytest.raises(WeightsError, match="classifier"):
        Model.load(tmp_path)


def test_layout_type_and_batch_size_do_not_change_predictions(model: Model) -> None:
    windows = still(300)
    whole = model.predict(windows)
    assert list(whole.columns) == ["label", "p_walk", "p_sit"]
    np.testing.assert_allclose(whole[["p_walk", "p_sit"]].sum(axis=1), 1, atol=1e-6)
    tensor = torch.from_numpy(windows.copy()).requires_grad_()
    for other in (windows.transpose(0, 2, 1), windows.astype(float), windows.tolist(), tensor):
        np.testing.assert_allclose(model.predict(other)["p_walk"], whole["p_walk"], atol=1e-6)
    for first in (0, 7, 299):
        one = model.predict(windows[first : first + 1])
        assert one["label"][0] == whole["label"][first]
        assert one["p_walk"][0] == pytest.approx(whole["p_walk"][first], abs=1e-6)
    assert len(model.predict(windows[:0])) == 0


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (still(2, 100), r"shape \(2, 100, 3\)\. This model takes \(N, 150, 3\) or \(N, 3, 150\): 5 s at 30 Hz, in g"),
        (still(2)[0], r"shape \(150, 3\)"),
        ([[1, 2], [3]], "not an array of numbers"),
        ("walk", "not an array of numbers"),
        (None, "not an array of numbers|shape"),
        (np.full((3, 150, 3), np.nan), "NaN or infinite samples, first in window 0"),
        (np.ma.masked_greater(still(2), 0.9), "NaN or infinite samples, first in window 0"),
        (still(2) * 9.80665, "looks like m/s"),
        (still(2) * 0.01, "acceleration without gravity"),
        (still(2) + np.eye(3)[0] * 2000 * (np.arange(150) == 3)[:, None], "more than 1000"),
    ],
)
def test_arrays_that_are_not_windows_in_g_are_refused(model: Model, values: object, problem: str) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        model.predict(values)
    assert "\n" not in str(caught.value)


def test_a_damaged_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / CARD).write_text((folder / CARD).read_text())
    with pytest.raises(WeightsError, match=f"{CHECKPOINT} cannot be used"):
        Model.load(tmp_path)
    (tmp_path / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes()[:1000])
    with pytest.raises(WeightsError, match=f"{CHECKPOINT} cannot be used"):
        Model.load(tmp_path)
    three = Card(**{**CARD_5.__dict__, "class_names": ("a", "b", "c")})
    (tmp_path / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes())
    (tmp_path / CARD).write_text(three.to_json())
    with pytest.raises(WeightsError, match="size mismatch"):
        Model.load(tmp_path)


@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), min_size=1, max_size=5))
def test_the_label_is_the_most_likely_class(rows: list[list[float]]) -> None:
    found = table(np.array(rows), ("walk", "sit"))
    assert list(found["label"]) == ["sit" if sit > walk else "walk" for walk, sit in rows]


def test_windows_of_the_training_length_are_resampled(model: Model) -> None:
    card = replace(CARD_5, training_samples=250)
    trained = Model(model.network, card)
    windows = still(4, 250)
    expected = trained.probabilities(
        resize(torch.from_numpy(windows.transpose(0, 2, 1)), 150).numpy().transpose(0, 2, 1)
    )
    for given_windows in (windows, windows.transpose(0, 2, 1)):
        np.testing.assert_allclose(trained.predict(given_windows)[["p_walk", "p_sit"]], expected, atol=1e-6)
    assert len(trained.predict(still(3))) == 3
    with pytest.raises(DataError, match=r"150\): 5 s at 30 Hz, or \(N, 250, 3\) or \(N, 3, 250\): 5 s at 50 Hz, in g"):
        trained.predict(still(2, 200))


def test_windows_of_zeros_and_without_gravity_are_refused(model: Model) -> None:
    windows = still(8)
    windows[5, 20:60] = 0
    with pytest.raises(DataError, match=r"samples of 0, 0, 0 in window 5"):
        model.predict(windows)
    turning = np.stack([np.sin(np.arange(150)), np.cos(np.arange(150)), np.zeros(150)], axis=1)
    with pytest.raises(DataError, match="acceleration without gravity"):
        model.predict(np.stack([turning] * 3))
