"""Trained classifier for prediction: a folder with weights and a card.

A promoted model includes a copy of this module and of those that it imports, so that it can be loaded without this
package.
"""

from __future__ import annotations

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
from sslwear.encoders.base import Network
from sslwear.encoders.card import CARD, CHECKPOINT, ENCODER, Card, network, write_encoder
from sslwear.errors import DataError, WeightsError

BATCH = 256
_NUMBER_TYPES = (float, int, np.floating, np.integer, type(None))
"""Accepted types in an array of objects; None, a JSON null, is a missing sample."""


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
        (folder / CARD).write_text(self.card.to_json(), encoding="utf-8")
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
    """Array of numbers as float32; text is not converted, and masked samples of a NumPy array are missing.

    Raises:
        TypeError: when a value is not a number.
        ValueError: when rows have different lengths.
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values  # NumPy has no bf16
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
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
