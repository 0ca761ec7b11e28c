"""Recorded numbers of each stage whose results are kept: when the arithmetic changes, its version must be raised.

When a test here fails because the change is meant, raise the stage's version constant and record the new numbers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sslwear.augmentations import base as augmentations
from sslwear.augmentations.rotation import Rotation
from sslwear.data.arrays import Description
from sslwear.data.dataset import Dataset
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.cnn import Cnn5
from sslwear.encoders.harnet import Harnet5
from sslwear.encoders.heads import LINEAR
from sslwear.encoders.multiscale import Multiscale
from sslwear.encoders.window_features import features
from sslwear.evaluation.baselines import extra_trees, minirocket, random_forest
from sslwear.evaluation.baselines.base import ProbabilityBaseline, missing
from sslwear.evaluation.baselines.extra_trees import ExtraTrees
from sslwear.evaluation.baselines.minirocket import MiniRocket
from sslwear.evaluation.baselines.random_forest import RandomForest
from sslwear.evaluation.participants import per_participant
from sslwear.pretext import base as pretext
from sslwear.pretext.base import get as get_pretext
from sslwear.studies.setup.keys import EVALUATION_VERSION, PRETRAINING_VERSION
from sslwear.training import AugmentedViews, FitData, FitSettings, FrozenBlocks, Windows, fit
from sslwear.training.cache import FEATURES_VERSION
from sslwear.training.device import seeded
from sslwear.training.task import Classification, inverse_frequency
from sslwear.tuning.base import parse

CLASSES = ("still", "walk", "shake")
RECORDED: dict[tuple[str, int], list[float]] = {
    ("features", 4): [0.0694047, 0.107096, 78.2493, 0.0710836, 0.112034, 68.7487],
    ("pretraining", 6): [0.653181, 0.644593, 8387.44, 2.572, 3.06702, 8392.35],
    ("evaluation", 6): [
        *(1.10408, 1.12023, 1.10339, 1.07624, 1.10816, 1.11764, 1.11685, 1.11106, 26.6554, 29.9816, 0.0, 0.0, 0.0),
        *(0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0),
    ],
    ("evaluation of extra_trees", 6): [
        *(0.3, 0.45, 0.25, 0.3, 0.45, 0.25, 0.4, 0.25, 0.35, 0.2, 0.35, 0.45, 0.2, 0.35, 0.45, 0.35, 0.35, 0.3),
    ],
    ("evaluation of minirocket", 6): [
        *(0.246228, 0.37856, 0.375212, 0.485481, 0.359885, 0.154634, 0.543742, 0.171519, 0.284739, 0.231957),
        *(0.297933, 0.47011, 0.0913935, 0.243283, 0.665323, 0.290376, 0.360277, 0.349347),
    ],
    ("pretraining on contrastive", 6): [2.572, 3.06702],
    ("pretraining on hidden_half", 6): [0.832918, 0.850851],
    ("pretraining on jitter", 6): [1.37467, 1.2945],
    ("pretraining on multi", 6): [0.706287, 0.686673],
    ("pretraining on permutation", 6): [0.653181, 0.644593],
    ("pretraining on reverse", 6): [0.692905, 0.710062],
    ("pretraining on rotation", 6): [2.08277, 2.1701],
    ("pretraining on scale", 6): [1.34115, 1.15892],
    ("pretraining on time_warp", 6): [0.668355, 0.892262],
    ("evaluation with flip", 6): [159.519, 209.906, 214.268, 159.519, 209.906, 214.268],
    ("evaluation with jitter", 6): [168.162, 210.127, 214.624, 162.657, 209.725, 214.023],
    ("evaluation with mask", 6): [157.764, 208.512, 212.764, 159.161, 209.278, 213.806],
    ("evaluation with rotation", 6): [254.298, 218.75, 208.724, 223.077, 200.892, 223.354, 173.003, 227.295, 225.521],
    ("evaluation with scale", 6): [160.633, 197.262, 221.091, 161.748, 184.617, 227.914],
    ("evaluation with scale_motion", 6): [159.649, 208.782, 214.878, 159.845, 207.096, 215.794],
    ("evaluation with tempo", 6): [159.525, 209.909, 214.161, 159.585, 210.252, 214.286],
    ("evaluation with time_warp", 6): [159.602, 209.874, 214.475, 159.534, 209.892, 214.299],
    ("evaluation with adamw and one_cycle", 6): [0.882232, 0.81705],
    ("evaluation with dropout", 6): [0.844821, 0.721792],
    ("evaluation with ema", 6): [0.82944, 0.914564],
    ("evaluation with harnet5", 6): [1.09801, 1.09115],
    ("evaluation with multiscale", 6): [0.895776, 0.515355],
    ("evaluation with swa", 6): [0.667149, 0.539851],
    ("evaluation with warm-up and clipping", 6): [0.858156, 0.698305],
}
RECIPES: dict[str, tuple[type[Encoder], dict[str, Any]]] = {
    "harnet5": (Harnet5, {"max_epochs": 1, "patience": 1, "learning_rate": 1e-5}),
    "multiscale": (Multiscale, {"max_epochs": 1, "patience": 1}),
    "adamw and one_cycle": (Cnn5, {"optimizer": "adamw", "weight_decay": 0.05, "schedule": "one_cycle"}),
    "dropout": (Cnn5, {"dropout": 0.3}),
    "ema": (Cnn5, {"weight_average": "ema"}),
    "swa": (Cnn5, {"weight_average": "swa", "max_epochs": 4, "patience": 4}),
    "warm-up and clipping": (Cnn5, {"warmup_epochs": 1, "clip_norm": 0.5}),
}
"""Encoders and settings of training beside those of `test_evaluation`."""
ROUNDING = 2e-3
"""Relative difference that another processor or number of threads may make."""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Artificial windows of four participants, the same everywhere: no random numbers of a library are in them."""
    time, windows, labels, pid = np.arange(150) / 30, [], [], []
    for participant in range(4):
        for code, frequency in enumerate((0.0, 2.0, 5.0)):
            for number in range(4):
                phase = number + 0.7 * participant
                x = 0.4 * np.sin(2 * np.pi * (frequency + 0.1 * participant) * time + phase)
                y = 0.1 * np.cos(3 * time + phase)
                windows.append(np.stack([x, y, 1 + 0.05 * np.sin(11 * time + phase)], axis=1))
                labels.append(code)
                pid.append(participant)
    return Dataset(
        folder=Path("artificial"),
        windows=np.array(windows, np.float32),
        labels=np.array(labels),
        pid=np.array(pid),
        start=np.arange(len(pid), dtype=float),
        worn=np.ones(len(pid), bool),
        class_names=CLASSES,
        description=Description(name="artificial", rate_hz=30, window_s=5),
        fingerprint="artificial",
    )


def encoder() -> Cnn5:
    with seeded(1):
        return Cnn5()


def settings() -> FitSettings:
    return FitSettings(learning_rate=1e-3, batch_size=8, max_epochs=2, patience=2, seed=3, schedule="cosine")


def check_recorded(stage: str, version: int, found: list[float], rounding: float = ROUNDING) -> None:
    constant = f"{stage.partition(' ')[0].upper()}_VERSION"
    assert (stage, version) in RECORDED, f"{constant} was raised: record {[float(f'{x:.6g}') for x in found]}"
    message = f"the arithmetic of this stage changed: raise {constant} and record {[float(f'{x:.6g}') for x in found]}"
    assert found == pytest.approx(RECORDED[stage, version], rel=rounding, abs=1e-6), message


def test_features(dataset: Dataset) -> None:
    network = Network(encoder(), torch.nn.Identity()).eval()
    windows = Windows.of(dataset, (0, 1), AugmentedViews(Rotation(most_degrees=20), seed=5))
    blocks = FrozenBlocks(network, 150, "float32")
    found = []
    for view in (0, 1):
        values = np.concatenate(list(blocks.outputs(windows, view, 2)))
        found += [float(values.mean()), float(values.std()), float(np.abs(values[3]).sum())]
    check_recorded("features", FEATURES_VERSION, found)


def test_pretraining(dataset: Dataset) -> None:
    found = []
    for name in ("permutation", "contrastive"):
        data = FitData(Windows.of(dataset, (0, 1, 2)), Windows.of(dataset, (3,)))
        result = fit(encoder(), get_pretext(name)(), data, parse("all", Cnn5), settings())
        found += [result.history[-1].train_loss, result.history[-1].validation_loss]
        found.append(float(sum(value.detach().abs().sum() for value in result.network.feature_extractor.parameters())))
    check_recorded("pretraining", PRETRAINING_VERSION, found)


def test_evaluation(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    views = AugmentedViews(Rotation(), seed=5)
    train, validation = Windows.of(dataset, (0, 1, 2), views), Windows.of(dataset, (3,))
    found = []
    for strategy in ("all", "layer4-5", "layerwise_decay(0.7)", "auto_rgn"):
        task = Classification(3, inverse_frequency(train.labels, 3), LINEAR)
        result = fit(encoder(), task, FitData(train, validation), parse(strategy, Cnn5), settings())
        found += [result.history[-1].train_loss, result.history[-1].validation_loss]
    monkeypatch.setattr(random_forest, "TREES", 20)
    predicted = RandomForest().predict(train, train, validation, 3, 1)
    table = per_participant(validation.labels, predicted, validation.pid, 3)
    found += np.abs(features(dataset.windows[:2], 30.0)).sum(axis=1).tolist()
    found += [*predicted.tolist(), float(table["f1"].iloc[0]), float(table["accuracy"].iloc[0])]
    check_recorded("evaluation", EVALUATION_VERSION, found)


@pytest.mark.parametrize("name", sorted(pretext.find()))
def test_pretraining_on_each_task(dataset: Dataset, name: str) -> None:
    data = FitData(Windows.of(dataset, (0, 1, 2)), Windows.of(dataset, (3,)))
    result = fit(encoder(), get_pretext(name)(), data, parse("all", Cnn5), settings())
    found = [result.history[-1].train_loss, result.history[-1].validation_loss]
    check_recorded(f"pretraining on {name}", PRETRAINING_VERSION, found, 5 * ROUNDING)


@pytest.mark.parametrize("name", sorted(augmentations.find()))
def test_evaluation_with_each_augmentation(dataset: Dataset, name: str) -> None:
    kind = augmentations.find()[name]
    windows = torch.from_numpy(dataset.windows[:8]).transpose(1, 2)
    found = []
    for text in kind.examples or (name,):
        (one,) = augmentations.in_turn(augmentations.parse(text))
        drawn = one.draw(len(windows), torch.Generator().manual_seed(7))
        found += one.apply(windows, drawn).abs().sum(dim=(1, 2))[:3].tolist()
    check_recorded(f"evaluation with {name}", EVALUATION_VERSION, found)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_evaluation_with_each_recipe(dataset: Dataset, name: str) -> None:
    kind, changes = RECIPES[name]
    with seeded(1):
        network = kind()
    train, validation = Windows.of(dataset, (0, 1, 2)), Windows.of(dataset, (3,))
    task = Classification(3, None, LINEAR, label_smoothing=0.1)
    how = replace(settings(), **changes)
    result = fit(network, task, FitData(train, validation), parse("all", kind), how)
    found = [result.history[-1].train_loss, result.history[-1].validation_loss]
    check_recorded(f"evaluation with {name}", EVALUATION_VERSION, found, 5 * ROUNDING)


@pytest.mark.parametrize("baseline", [ExtraTrees, MiniRocket], ids=lambda baseline: baseline.name)
def test_evaluation_of_baselines(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, baseline: type[ProbabilityBaseline]
) -> None:
    if (package := missing(baseline)) is not None:
        pytest.skip(f"{baseline.name} needs {package}")
    monkeypatch.setattr(extra_trees, "TREES", 20)
    monkeypatch.setattr(minirocket, "KERNELS", 840)
    noise = np.sin(np.arange(dataset.windows.size) ** 2).reshape(dataset.windows.shape).astype(np.float32)
    noisy = replace(dataset, windows=dataset.windows + noise)
    sides = [Windows.of(noisy, people) for people in ((0, 1), (2,), (3,))]
    found = baseline().probabilities(*sides, 3, 1)
    check_recorded(f"evaluation of {baseline.name}", EVALUATION_VERSION, found[::2].ravel().tolist())
