"""Fine-tuning as public tutorials on these models do it: the side that `surgical.py` compares sslwear with.

Everything is written out here and nothing of sslwear is used: the published network in PyTorch's modules for signals; a
map-style data set that augments and transforms one window after another in NumPy; a `DataLoader`; float32; freezing by
`requires_grad`; the whole network run at every step; Optuna with one trial after another, each of which pre-trains for
itself, and `MLflowCallback`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
import torch
from numpy.typing import NDArray
from optuna_integration.mlflow import MLflowCallback
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation
from sklearn.metrics import cohen_kappa_score
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

LAYOUTS = {
    "harnet10": ((64, 2, 2, 2), (128, 2, 2, 2), (256, 2, 5, 1), (512, 2, 5, 1), (1024, 0, 3, 1)),
    "harnet30": ((64, 2, 3, 1), (128, 2, 3, 1), (256, 2, 5, 1), (512, 2, 5, 1), (1024, 0, 4, 0)),
}
"""Channels, residual units, downsampling factor and order of each block."""
BLOCKS = ("layer1", "layer2", "layer3", "layer4", "layer5")


def convolution(channels_in: int, channels_out: int) -> nn.Conv1d:
    """Five samples wide, in a circle, without bias."""
    return nn.Conv1d(channels_in, channels_out, 5, padding=2, padding_mode="circular", bias=False)


class Residual(nn.Module):
    """Batch norm, ReLU, convolution, twice, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm1d(channels), nn.BatchNorm1d(channels)
        self.conv1, self.conv2 = convolution(channels, channels), convolution(channels, channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, L) to (B, C, L)."""
        return x + self.conv2(self.relu(self.bn2(self.conv1(self.relu(self.bn1(x))))))


class Downsample(nn.Module):
    """Depth-wise convolution with a fixed box filter and a stride."""

    kernel: Tensor

    def __init__(self, channels: int, factor: int, order: int) -> None:
        super().__init__()
        self.factor, self.padding = factor, order * (factor - 1) // 2
        taps = np.ones(factor)
        for _ in range(order):
            taps = np.convolve(taps, np.ones(factor))
        self.register_buffer("kernel", torch.tensor(taps / taps.sum(), dtype=torch.float32).repeat(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, L) to (B, C, about L / factor)."""
        return functional.conv1d(x, self.kernel, stride=self.factor, padding=self.padding, groups=x.shape[1])


class Harnet(nn.Module):
    """Body and head, with the tensor names of the published checkpoints."""

    def __init__(self, outputs: int, hidden: bool = True, encoder: str = "harnet10") -> None:
        super().__init__()
        self.feature_extractor = nn.Sequential()
        channels_in = 3
        for name, (channels, units, factor, order) in zip(BLOCKS, LAYOUTS[encoder], strict=True):
            parts = [convolution(channels_in, channels), *(Residual(channels) for _ in range(units))]
            parts += [nn.BatchNorm1d(channels), nn.ReLU(True), Downsample(channels, factor, order)]
            self.feature_extractor.add_module(name, nn.Sequential(*parts))
            channels_in = channels
        head = [nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, outputs)] if hidden else [nn.Linear(1024, outputs)]
        self.classifier = nn.Sequential(*head)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, samples) to (B, outputs)."""
        return self.classifier(self.feature_extractor(x).flatten(1))


def flip(x: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Turn the time of one window (samples, 3) round."""
    return x[::-1].copy()


def permute(x: NDArray[np.float32], draws: np.random.Generator) -> NDArray[np.float32]:
    """Put four segments of one window into another order."""
    slack = len(x) - 40
    cuts = np.sort(draws.integers(0, slack + 1, 3)) + 10 * np.arange(1, 4)
    order = np.arange(4)
    while (order == np.arange(4)).all():
        order = draws.permutation(4)
    parts = np.split(x, cuts)
    return np.concatenate([parts[i] for i in order])


def warp(x: NDArray[np.float32], draws: np.random.Generator) -> NDArray[np.float32]:
    """Stretch and squeeze the time of one window along a smooth curve."""
    time_ = np.arange(len(x))
    speed = CubicSpline(np.linspace(0, len(x) - 1, 6), draws.normal(1, 0.2, 6))(time_).clip(0.05)
    clock = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2)])
    clock = clock / clock[-1] * (len(x) - 1)
    return np.stack([np.interp(clock, time_, x[:, axis]) for axis in range(3)], axis=1).astype(np.float32)


QUESTIONS: dict[str, tuple[Callable[..., NDArray[np.float32]], ...]] = {
    "reverse": (flip,),
    "permutation": (permute,),
    "time_warp": (warp,),
    "multi": (flip, permute, warp),
}


def switch_axes(x: NDArray[np.float32], draws: np.random.Generator) -> NDArray[np.float32]:
    """Put the axes of one window into a random order."""
    return x[:, draws.permutation(3)]


def rotate(x: NDArray[np.float32], draws: np.random.Generator) -> NDArray[np.float32]:
    """Turn one window about a random axis by a random angle."""
    axis = draws.normal(size=3)
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * draws.uniform(-np.pi, np.pi))
    return (x @ turn.as_matrix()).astype(np.float32)


class Labelled(Dataset[tuple[Tensor, Tensor]]):
    """Windows with labels; with a seed they are augmented, one window after another."""

    def __init__(self, x: NDArray[np.float32], y: NDArray[np.int64], augment_seed: int | None = None) -> None:
        self.x, self.y = x, y
        self.draws = None if augment_seed is None else np.random.default_rng(augment_seed)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        x = self.x[i]
        if self.draws is not None:
            x = rotate(switch_axes(x, self.draws), self.draws)
        return torch.from_numpy(x.T.copy()), torch.tensor(self.y[i])


class Pretext(Dataset[tuple[Tensor, Tensor]]):
    """Windows that a pretext task's transforms were applied to or not, one window after another."""

    def __init__(self, x: NDArray[np.float32], pretext: str, seed: int) -> None:
        self.x, self.transforms, self.draws = x, QUESTIONS[pretext], np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        x, target = self.x[i], self.draws.integers(0, 2, len(self.transforms))
        for applied, transform in zip(target, self.transforms, strict=True):
            if applied:
                x = transform(x, self.draws)
        return torch.from_numpy(x.T.copy()), torch.from_numpy(target)


def binary_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy over a pretext task's questions."""
    return functional.cross_entropy(output.view(len(output), -1, 2).transpose(1, 2), target)


def train(
    network: Harnet,
    learning: Dataset[Any],
    validation: Dataset[Any],
    loss_of: Callable[[Tensor, Tensor], Tensor],
    learning_rate: float,
    batch_size: int,
    epochs: int,
) -> float:
    """The tutorial's loop; returns kappa on the validation windows at the epoch with the lowest validation loss."""
    loader = DataLoader(learning, batch_size=batch_size, shuffle=True)
    held_out = DataLoader(validation, batch_size=256)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, amsgrad=True)
    best = (float("inf"), 0.0)
    for _ in range(epochs):
        network.train()
        for x, y in loader:
            loss = loss_of(network(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        losses, truth, predicted = [], [], []
        with torch.no_grad():
            for x, y in held_out:
                output = network(x)
                losses.append(loss_of(output, y).item())
                truth.append(y)
                predicted.append(output.argmax(1))
        labels = torch.cat(truth)
        kappa = float(cohen_kappa_score(labels, torch.cat(predicted))) if labels.ndim == 1 else 0.0
        best = min(best, (float(np.mean(losses)), kappa), key=lambda pair: pair[0])
    return best[1]


def fine_tune(
    data: dict[str, NDArray[Any]],
    body: dict[str, Tensor],
    tuning: Sequence[str],
    learning_rate: float,
    batch_size: int,
    epochs: int,
    seed: int,
    augment: bool = False,
) -> float:
    """Fine-tune some blocks and the head; returns kappa on the validation windows.

    Args:
        data: ``x``, ``y`` to learn from, ``validation_x``, ``validation_y``; windows (N, 300, 3) in g.
        body: tensors of the ``feature_extractor`` to start from.
        tuning: names of the blocks that learn.
        learning_rate: Adam's.
        batch_size: windows a step.
        epochs: all are run.
        seed: of the head's weights and the order of the windows.
        augment: whether the windows to learn from are augmented.
    """
    torch.manual_seed(seed)
    classes = int(data["y"].max()) + 1
    network = Harnet(classes)
    network.feature_extractor.load_state_dict(body)
    for name, block in network.feature_extractor.named_children():
        block.requires_grad_(name in tuning)
    weights = torch.tensor(len(data["y"]) / classes / np.bincount(data["y"]), dtype=torch.float32)
    loss = nn.CrossEntropyLoss(weight=weights)
    return train(
        network,
        Labelled(data["x"], data["y"], seed if augment else None),
        Labelled(data["validation_x"], data["validation_y"]),
        loss,
        learning_rate,
        batch_size,
        epochs,
    )


def pre_train(
    learning: NDArray[np.float32],
    held_out: NDArray[np.float32],
    body: dict[str, Tensor],
    pretext: str,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    seed: int,
) -> dict[str, Tensor]:
    """Pre-train on a pretext task; returns the tensors of the ``feature_extractor``."""
    torch.manual_seed(seed)
    network = Harnet(2 * len(QUESTIONS[pretext]), hidden=False)
    network.feature_extractor.load_state_dict(body)
    sides = Pretext(learning, pretext, seed), Pretext(held_out, pretext, seed)
    train(network, *sides, binary_loss, learning_rate, batch_size, epochs)
    return network.feature_extractor.state_dict()


def train_on_what_is_larger_than_memory(folder: Path, batch_size: int, seconds: float) -> None:
    """Load all windows of a folder of harnet30's windows, split them by participant, and train for a while."""
    x, y, pid = (np.load(folder / f"{name}.npy") for name in ("X", "Y", "pid"))
    people = np.unique(pid)
    mine = np.isin(pid, people[: max(1, int(0.7 * len(people)))])
    classes, labels = np.unique(y, return_inverse=True)
    learning, _ = Labelled(x[mine], labels[mine]), Labelled(x[~mine], labels[~mine])
    network = Harnet(len(classes), encoder="harnet30")
    optimizer = torch.optim.Adam(network.parameters(), amsgrad=True)
    ends = time.perf_counter() + seconds
    for windows, target in DataLoader(learning, batch_size=batch_size, shuffle=True):
        optimizer.zero_grad()
        functional.cross_entropy(network(windows), target).backward()
        optimizer.step()
        if time.perf_counter() > ends:
            return


def study(
    trials: Sequence[dict[str, Any]],
    data: dict[str, NDArray[Any]],
    body: dict[str, Tensor],
    batch_size: int,
    epochs: int,
    seed: int,
    store: Path,
) -> tuple[float, float]:
    """Run trials one after another in Optuna, logged by `MLflowCallback`.

    Args:
        trials: ``tune_layerN`` (bool) of each block, ``learning_rate``, and ``pretext`` where it is searched.
        data: as for `fine_tune`, and ``pretext_x``, ``held_out_x`` to pre-train on.
        body: where every trial starts from.
        batch_size: windows a step.
        epochs: of pre-training and of fine-tuning.
        seed: of everything.
        store: a folder for both databases, which are there already.

    Returns:
        The best validation kappa, and the seconds that it took.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        tuning = [block for block in BLOCKS if trial.suggest_categorical(f"tune_{block}", [True, False])]
        learning_rate = trial.suggest_float("learning_rate", 1e-6, 1.0, log=True)
        start = body
        if "pretext" in trials[0]:
            pretext = trial.suggest_categorical("pretext", ["none", *QUESTIONS])
            if pretext != "none":
                sides = data["pretext_x"], data["held_out_x"]
                start = pre_train(*sides, body, pretext, 1e-3, batch_size, epochs, seed)
        return fine_tune(data, start, tuning, learning_rate, batch_size, epochs, seed)

    callback = MLflowCallback(f"sqlite:///{store / 'mlflow.db'}", "kappa")
    began = time.perf_counter()
    found = optuna.create_study(
        study_name="reference", storage=f"sqlite:///{store / 'optuna.db'}", direction="maximize"
    )
    for params in trials:
        found.enqueue_trial(params)
    found.optimize(objective, n_trials=len(trials), callbacks=[callback])
    seconds = time.perf_counter() - began
    assert mlflow.active_run() is None
    return found.best_value, seconds
