"""A trained classifier as others use it: a folder with weights and a card; windows in, class probabilities out.

A promoted model carries this module along (`CODE`), so that it loads without this package.
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

from sslwear.data.checks import GRAVITY_G, MOST_G, check_finite, check_large, check_unit, first_large
from sslwear.encoders.base import Network
from sslwear.encoders.base import get as get_encoder
from sslwear.encoders.heads import PUBLISHED, classifier
from sslwear.errors import DataError, WeightsError

CHECKPOINT = "model.safetensors"
CARD = "model.json"
MODEL_ARTIFACTS = "artifacts/model"
"""Where the two are in an MLflow model."""
CODE = (
    "__init__.py",
    "data/__init__.py",
    "data/checks.py",
    "encoders",
    "errors.py",
    "utils/__init__.py",
    "utils/plugins.py",
)
"""Files and folders of this package that a model needs to be loaded."""
BATCH = 256
OLD_CARD_KEYS = {"tuned": "tuning", "usual": "reference_ranges"}
"""Keys of cards that version 0.1 wrote, and what they are called now."""
_NUMBERS = (float, int, np.floating, np.integer, type(None))
"""Of an array of objects; None, a JSON null, is a missing sample."""
STATISTICS = ("mean x", "mean y", "mean z", "length", "motion")
"""What is compared between a recording and the windows that a model learnt from, see `statistics`."""
REFERENCE_PERCENTILES = (1, 99)
"""Percentiles of a statistic between which a window is like those that the model learnt from."""
SHIFT_SHARE = 0.2
"""A recording of which more is outside of what is usual, in any statistic, is unlike what the model learnt from."""


@dataclass(frozen=True)
class Card:
    """What is needed to build a classifier again and to feed it, beside its weights.

    Attributes:
        encoder: name of the encoder.
        window_samples: length of the windows that it takes.
        rate_hz: their samples per second.
        unit: of acceleration, ``g``.
        class_names: labels, in the order of the outputs.
        dataset: name of the data set that it learnt from.
        fingerprint: SHA-256 of that data set's arrays.
        licence: of that data set, where it is known.
        tuning: tuning strategy.
        pretext: pretext task, or ``none``.
        precision: in which it was trained and validated, ``float32`` or ``bf16``.
        head: kind of head, ``published`` or ``linear``.
        reference_ranges: by statistic, the range that holds nearly all training windows; empty where it was not
            computed.
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

    @property
    def window_s(self) -> float:
        """Length of the windows in seconds."""
        return self.window_samples / self.rate_hz

    def to_json(self) -> str:
        """The card as text that `read` takes."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card; what a later version of this package added is passed over.

        Raises:
            WeightsError: when there is none, or it lacks something.
        """
        try:
            content = json.loads(path.read_text())
            content = {OLD_CARD_KEYS.get(key, key): value for key, value in content.items()}
            known = {key: value for key, value in content.items() if key in cls.__dataclass_fields__}
            ranges = known.get("reference_ranges") or {}
            ranges = {name: (float(low), float(high)) for name, (low, high) in ranges.items()}
            return cls(**{**known, "class_names": tuple(known["class_names"]), "reference_ranges": ranges})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise WeightsError(f"{path} is not the card of a model of sslwear; promote the trial again") from error


def network(card: Card) -> Network:
    """A network as a card describes it, with random weights.

    Raises:
        SettingsError: when there is no such encoder or head.
    """
    encoder = get_encoder(card.encoder)()
    return Network(encoder, classifier(card.head, encoder.features, len(card.class_names)))


class Model:
    """A classifier ready for use; its results for a window do not depend on the other windows.

    Args:
        body: the network, which is put into evaluation mode.
        card: its description.
        device: where to compute.
        precision: ``float32`` or ``bf16``.
    """

    def __init__(
        self, body: Network, card: Card, device: torch.device | None = None, precision: str = "float32"
    ) -> None:
        self.card = card
        self._device = device or torch.device("cpu")
        self._precision = precision
        self.network = body.to(self._device).eval()

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None, precision: str = "float32") -> Self:
        """Read a model from a folder with ``model.safetensors`` and ``model.json``; nothing is unpickled.

        Raises:
            WeightsError: when one of them is missing, damaged, or does not fit the other.
        """
        card = Card.read(folder / CARD)
        body = network(card)
        try:
            body.load_state_dict(load_file(folder / CHECKPOINT))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{folder / CHECKPOINT} cannot be used ({reason}); promote the trial again") from error
        return cls(body, card, device, precision)

    def check(self, values: Any) -> NDArray[np.float32]:
        """Refuse what are not windows in g at the model's rate.

        Args:
            values: (N, samples, 3), or (N, 3, samples).

        Returns:
            (N, samples, 3).

        Raises:
            DataError: when shape or unit are others, or a sample is not a number.
        """
        length, wanted = self.card.window_samples, f"{self.card.window_s:g} s at {self.card.rate_hz:g} Hz"
        try:
            windows = _numbers(values)
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError(
                f"the windows are not an array of numbers; give (N, {length}, 3) or (N, 3, {length}), {wanted}, in g"
            ) from error
        if windows.ndim == 3 and windows.shape[1:] == (3, length):
            windows = windows.transpose(0, 2, 1)
        if windows.ndim != 3 or windows.shape[1:] != (length, 3):
            raise DataError(
                f"the windows have shape {windows.shape}; this model takes (N, {length}, 3) or (N, 3, {length}): "
                f"{wanted}, in g"
            )
        if len(windows) == 0:
            return windows
        where = Path("the input")
        check_finite(where, 0, windows)
        check_large(where, first_large(0, windows))
        median = float(np.median(np.linalg.norm(windows, axis=2)))
        if not GRAVITY_G[0] <= median <= MOST_G:  # a few windows may be of running
            check_unit(where, median)
        return windows

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
        """Label and class probabilities of windows, one row a window, see `check` and `table`.

        Raises:
            DataError: when they are not windows as the model takes them.
        """
        return table(self.probabilities(self.check(values)), self.card.class_names)


def _numbers(values: Any) -> NDArray[np.float32]:
    """An array of numbers as float32; what only could be read as numbers, such as text, is none.

    Raises:
        TypeError: when something else is in it.
        ValueError: when rows are of different lengths.
    """
    array = np.asarray(values)
    kinds = {type(value) for value in array.flat} if array.dtype == object else set()
    if array.dtype.kind not in "fiuO" or not all(issubclass(kind, _NUMBERS) and kind is not bool for kind in kinds):
        raise TypeError("not numbers")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is told as that
        return array.astype(np.float32)


def table(probabilities: NDArray[np.floating], class_names: tuple[str, ...]) -> pd.DataFrame:
    """Columns ``label`` and, for each class, ``p_CLASS``, of probabilities (N, classes)."""
    labels = np.array(class_names, dtype=object)[probabilities.argmax(axis=1)]
    return pd.DataFrame({"label": labels, **{f"p_{name}": probabilities[:, i] for i, name in enumerate(class_names)}})


def statistics(windows: NDArray[np.floating]) -> NDArray[np.float64]:
    """What is simple about windows (N, samples, 3) in g, (N, len(STATISTICS)): the mean of each axis, which tells how
    the device is worn; the mean length of acceleration, about 1 g; its standard deviation, how much the wrist moves.
    """
    length = np.linalg.norm(windows, axis=2)
    columns = [windows.mean(axis=1), length.mean(axis=1)[:, None], length.std(axis=1)[:, None]]
    return np.concatenate(columns, axis=1).astype(np.float64)


def reference_ranges(found: NDArray[np.float64]) -> dict[str, tuple[float, float]]:
    """Ranges that hold nearly all of some windows' `statistics` (N, len(STATISTICS)), by statistic."""
    low, high = np.percentile(found, REFERENCE_PERCENTILES, axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(STATISTICS)}


def distribution_shift_warning(card: Card, found: NDArray[np.float64]) -> str | None:
    """A warning when windows are unlike those that a model learnt from; None when they are like them.

    Args:
        card: the model's.
        found: their `statistics` (N, len(STATISTICS)).
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
        f"{outside[worst]:.0%} of the windows are unlike those that the model learnt from: {STATISTICS[worst]} is "
        f"usually {low:.2f} to {high:.2f} g there, and {np.median(found[:, worst]):.2f} g here (median); look at the "
        "labels with care"
    )
