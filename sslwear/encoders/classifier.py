"""Trained classifier for prediction: a folder with weights and a card.

A promoted model includes a copy of this module (`CODE`), so that it can be loaded without this package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from sslwear.data.checks import (
    check_finite,
    check_large,
    first_large,
)
from sslwear.data.gravity import check_gravity, check_idle, first_idle, rest_statistics
from sslwear.encoders import checksums, weights
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.base import get as get_encoder
from sslwear.encoders.heads import PUBLISHED, classifier
from sslwear.errors import DataError, WeightsError
from sslwear.utils import plugins

CHECKPOINT = "model.safetensors"
CARD = "model.json"
ENCODER = "encoder.py"
"""Code of an encoder that is a file plug-in."""
MODEL_ARTIFACTS = "artifacts/model"
"""Folder of the weights and the card in an MLflow model."""
CODE = (
    "__init__.py",
    "data/__init__.py",
    "data/checks.py",
    "data/gravity.py",
    "data/start_times.py",
    "encoders",
    "errors.py",
    "utils/__init__.py",
    "utils/plugins.py",
)
"""Files and folders of this package that loading a model needs."""
BATCH = 256
OLD_CARD_KEYS = {"tuned": "tuning", "usual": "reference_ranges"}
"""Keys in cards of version 0.1, and their current names."""
_NUMBER_TYPES = (float, int, np.floating, np.integer, type(None))
"""Accepted types in an array of objects; None, a JSON null, is a missing sample."""
STATISTICS = ("mean x", "mean y", "mean z", "length", "motion")
"""Statistics of a window by which distribution shift is detected, see `statistics`."""
REFERENCE_PERCENTILES = (1, 99)
"""Percentiles of a statistic over the training windows that bound its reference range."""
SHIFT_SHARE = 0.2
"""Share of windows outside of a reference range above which a recording gets a warning."""


@dataclass(frozen=True)
class Card:
    """Description of a classifier: how to build it, and its input and output.

    Attributes:
        encoder: name of the encoder.
        window_samples: window length in samples.
        rate_hz: sampling rate of the windows.
        unit: unit of acceleration, ``g``.
        class_names: names of the classes, in the order of the outputs.
        dataset: name of the training data set.
        fingerprint: SHA-256 of the arrays of the training data set.
        licence: licence of the training data set, if known.
        tuning: tuning strategy.
        pretext: pretext task, or ``none``.
        precision: precision of training and validation, ``float32`` or ``bf16``.
        head: kind of head, ``published`` or ``linear``.
        reference_ranges: range of nearly all training windows for each statistic; empty if it was not computed.
        training_samples: length in samples of the training windows before they were resampled; None if unknown.
    """

    encoder: str
    window_samples: int
    rate_hz: float
    unit: str
    class_names: tuple[str, ...]
    dataset: str
    fingerprint: str
    licence: str | None
    tuning: str = "all"
    pretext: str = "none"
    precision: str = "float32"
    head: str = PUBLISHED
    reference_ranges: Mapping[str, tuple[float, float]] | None = None
    training_samples: int | None = None

    @property
    def window_s(self) -> float:
        """Window length in seconds."""
        return self.window_samples / self.rate_hz

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths in samples of the windows that the model takes: its own, and that of the training windows."""
        return tuple(dict.fromkeys((self.window_samples, self.training_samples or self.window_samples)))

    @property
    def recorded_hz(self) -> float:
        """Sampling rate of the training windows before they were resampled, at most the model's rate."""
        return min(self.lengths) / self.window_s

    @property
    def inputs(self) -> str:
        """Shapes, length and rate of the windows that the model takes."""
        return ", or ".join(
            f"(N, {n}, 3) or (N, 3, {n}): {self.window_s:g} s at {n / self.window_s:g} Hz" for n in self.lengths
        )

    def to_json(self) -> str:
        """The card as JSON text, the input of `read`."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Card from a JSON file; keys of later versions of this package are ignored.

        Raises:
            WeightsError: when the file cannot be read, or a key is missing.
        """
        try:
            content = json.loads(path.read_text())
            content = {OLD_CARD_KEYS.get(key, key): value for key, value in content.items()}
            known = {key: value for key, value in content.items() if key in cls.__dataclass_fields__}
            ranges = known.get("reference_ranges") or {}
            ranges = {name: (float(low), float(high)) for name, (low, high) in ranges.items()}
            return cls(**{**known, "class_names": tuple(known["class_names"]), "reference_ranges": ranges})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise WeightsError(f"{path} is not the card of a model of sslwear. Promote the trial again") from error


def network(card: Card, folder: Path | None = None) -> Network:
    """Network of a card, with random weights.

    Args:
        card: the card.
        folder: folder of the model, which has the encoder's code if that is a file plug-in.

    Raises:
        SettingsError: when the encoder or the head does not exist.
    """
    encoder = encoder_class(card.encoder, folder)()
    return Network(encoder, classifier(card.head, encoder.features, len(card.class_names)))


def encoder_class(name: str, folder: Path | None) -> type[Encoder]:
    """Class of an encoder.

    Args:
        name: name of the encoder.
        folder: folder of a checkpoint or a model, which has the encoder's code if that is a file plug-in.

    Raises:
        SettingsError: when the encoder does not exist.
    """
    file = None if folder is None else folder / ENCODER
    return get_encoder(name) if file is None or not file.is_file() else plugins.get_from_file(file, Encoder, name)


def write_encoder(folder: Path, card: Card) -> None:
    """Write the code of the encoder into the folder of a model, if the encoder is a file plug-in.

    Raises:
        SettingsError: when the encoder does not exist.
    """
    content = plugins.source(get_encoder(card.encoder))
    if content is not None:
        (folder / ENCODER).write_bytes(content)


class Model:
    """Classifier of windows; the result for a window does not depend on the other windows.

    Args:
        body: network; it is put into evaluation mode.
        card: description of the classifier.
        device: device of the computation; the CPU by default.
        precision: ``float32`` or ``bf16``.
    """

    def __init__(
        self, body: Network, card: Card, device: torch.device | None = None, precision: str = "float32"
    ) -> None:
        self.card = card
        self._device = device or torch.device("cpu")
        self._precision = precision
        self._encoder_code: bytes | None = None
        self.network = body.to(self._device).eval()

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None, precision: str = "float32") -> Self:
        """Classifier from a folder with ``model.safetensors`` and ``model.json``; nothing is unpickled.

        Raises:
            WeightsError: when a file is missing or damaged, or the weights do not fit the card.
        """
        checksums.verify(folder)
        card = Card.read(folder / CARD)
        body = network(card, folder)
        try:
            body.load_state_dict(load_file(folder / CHECKPOINT))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{folder / CHECKPOINT} cannot be used ({reason}). Promote the trial again") from error
        model = cls(body, card, device, precision)
        if (folder / ENCODER).is_file():
            model._encoder_code = (folder / ENCODER).read_bytes()
        return model

    def save(self, folder: Path) -> None:
        """Write weights, card and, if the encoder is a file plug-in, its code into a folder that `load` reads.

        Raises:
            SettingsError: when the encoder does not exist.
        """
        weights.save(self.network, folder / CHECKPOINT)
        (folder / CARD).write_text(self.card.to_json())
        if self._encoder_code is None:
            write_encoder(folder, self.card)
        else:
            (folder / ENCODER).write_bytes(self._encoder_code)

    def check(self, values: Any, where: Path = Path("the input"), first: int = 0) -> NDArray[np.float32]:
        """Windows as float32 at the model's rate, after checks of type, shape and unit.

        Args:
            values: windows (N, samples, 3) or (N, 3, samples) in g, of the model's length in seconds. The number of
                samples is the model's, or that of the training windows, from which they are resampled.
            where: file of the windows, for messages.
            first: index of the first window, for messages.

        Returns:
            Windows (N, samples, 3).

        Raises:
            DataError: when the shape or the unit is wrong, or a sample is not a number.
        """
        wanted = f"{self.card.inputs}, in g"
        try:
            windows = _as_float32(values)
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError(f"the windows are not an array of numbers. Give {wanted}") from error
        if windows.ndim == 3 and windows.shape[1] == 3 and windows.shape[2] in self.card.lengths:
            windows = windows.transpose(0, 2, 1)
        if windows.ndim != 3 or windows.shape[1] not in self.card.lengths or windows.shape[2] != 3:
            raise DataError(f"the windows have shape {windows.shape}. This model takes {wanted}")
        if len(windows) == 0:
            return np.empty((0, self.card.window_samples, 3), np.float32)
        check_finite(where, first, windows)
        check_large(where, first_large(first, windows))
        check_gravity(where, rest_statistics(windows))
        idle = first_idle(windows)
        check_idle(where, None if idle is None else first + idle)
        return resampled(windows, self.card.window_samples)

    @torch.no_grad()
    def probabilities(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities (N, classes) of windows (N, samples, 3) in g."""
        found = [np.empty((0, len(self.card.class_names)), np.float32)]
        for first in range(0, len(windows), BATCH):
            x = torch.from_numpy(np.ascontiguousarray(windows[first : first + BATCH].transpose(0, 2, 1)))
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
                logits = self.network(x.to(self._device))
            found.append(logits.float().softmax(dim=1).cpu().numpy())
        return np.concatenate(found)

    def predict(self, values: Any) -> pd.DataFrame:
        """Labels and class probabilities of windows, one row for each window, see `table`.

        Args:
            values: windows (N, samples, 3) or (N, 3, samples) in g, see `check`.

        Raises:
            DataError: when the shape or the unit is wrong, or a sample is not a number.
        """
        return table(self.probabilities(self.check(values)), self.card.class_names)


def resampled(windows: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """Windows (N, length, 3) resampled linearly to (N, samples, 3); the first and the last sample are kept."""
    if windows.shape[1] == samples:
        return windows
    x = torch.from_numpy(np.ascontiguousarray(windows.transpose(0, 2, 1)))
    resized = torch.nn.functional.interpolate(x, size=samples, mode="linear", align_corners=True)
    return resized.numpy().transpose(0, 2, 1)


def _as_float32(values: Any) -> NDArray[np.float32]:
    """Array of numbers as float32; text is not converted.

    Raises:
        TypeError: when a value is not a number.
        ValueError: when rows have different lengths.
    """
    array = np.asarray(values)
    kinds = {type(value) for value in array.flat} if array.dtype == object else set()
    if array.dtype.kind not in "fiuO" or not all(
        issubclass(kind, _NUMBER_TYPES) and kind is not bool for kind in kinds
    ):
        raise TypeError("not numbers")
    with np.errstate(over="ignore"):  # values that are too large become infinite, which a later check reports
        return array.astype(np.float32)


def table(probabilities: NDArray[np.floating], class_names: tuple[str, ...]) -> pd.DataFrame:
    """Table with the columns ``label`` and ``p_CLASS`` of each class, from probabilities (N, classes)."""
    labels = np.array(class_names, dtype=object)[probabilities.argmax(axis=1)]
    return pd.DataFrame({"label": labels, **{f"p_{name}": probabilities[:, i] for i, name in enumerate(class_names)}})


def statistics(windows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Statistics of windows by which distribution shift is detected.

    They are the mean of each axis, which depends on the orientation of the device; the mean length of acceleration,
    which is about 1 g; and the standard deviation of the length, which measures motion.

    Args:
        windows: windows (N, samples, 3) in g.

    Returns:
        Statistics (N, len(STATISTICS)) in g.
    """
    length = np.linalg.norm(windows, axis=2)
    columns = [windows.mean(axis=1), length.mean(axis=1)[:, None], length.std(axis=1)[:, None]]
    return np.concatenate(columns, axis=1).astype(np.float64)


def reference_ranges(found: NDArray[np.float64]) -> dict[str, tuple[float, float]]:
    """Range of nearly all windows for each statistic.

    Args:
        found: statistics of the windows (N, len(STATISTICS)).
    """
    low, high = np.percentile(found, REFERENCE_PERCENTILES, axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(STATISTICS)}


def distribution_shift_warning(card: Card, found: NDArray[np.float64]) -> str | None:
    """Warning about windows that differ from the training windows; None if they do not.

    Args:
        card: card of the model.
        found: statistics of the windows (N, len(STATISTICS)).
    """
    if not card.reference_ranges or len(found) == 0:
        return None
    ranges = np.array([card.reference_ranges[name] for name in STATISTICS])
    outside = ((found < ranges[:, 0]) | (found > ranges[:, 1])).mean(axis=0)
    worst = int(outside.argmax())
    if outside[worst] <= SHIFT_SHARE:
        return None
    low, high = ranges[worst]
    return (
        f"{outside[worst]:.0%} of the windows are outside of the range of the training data: {STATISTICS[worst]} was "
        f"{low:.2f} to {high:.2f} g in training, and its median is {np.median(found[:, worst]):.2f} g here. Check the "
        "labels with care"
    )
