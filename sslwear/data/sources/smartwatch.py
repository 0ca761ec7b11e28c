"""Smart-watch recordings of shoulder exercises, which are part of the Python package seglearn."""

from __future__ import annotations

import hashlib
import importlib.resources
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sslwear.data.sources.base import Recording, Source
from sslwear.errors import DataError

SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
"""SHA-256 of ``seglearn/data/watch_dataset.npy`` in seglearn 1.2.5."""
EXERCISES = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward elevation",
    "IR": "internal rotation",
    "ER": "external rotation",
    "TRAP": "trapezius extension",
    "ROW": "upright row",
}
RATE_HZ = 50.0


class Smartwatch(Source):
    """10 participants, 7 exercises, 140 recordings, 81 minutes at 50 Hz in g; the accelerometer's three axes."""

    name = "smartwatch"
    title = "Shoulder physiotherapy exercises with a smart watch"
    licence = "BSD-3-Clause, as the package seglearn that ships it"
    citation = (
        "Burns DM, Leung N, Hardisty M, Whyne CM, Henry P, McLachlin S. Shoulder physiotherapy exercise recognition: "
        "machine learning the inertial signals from a smartwatch. Physiol. Meas. 2018, arXiv 1802.01489"
    )
    homepage = "https://github.com/dmbee/seglearn"
    embedded = True

    @property
    def class_names(self) -> tuple[str, ...]:
        """The exercises."""
        return tuple(sorted(EXERCISES.values()))

    def participants(self) -> Sequence[int]:
        """The integers 1 to 10."""
        return range(1, 11)

    def files(self, participant: int | str) -> Sequence[str]:
        """No files, because the only file is checked against its SHA-256 when it is read."""
        return ()

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read a participant's recordings in the order of the file."""
        data = _unpickle(self._bytes())
        axes = [list(data["X_labels"]).index(axis) for axis in ("ax", "ay", "az")]
        for samples, code, subject in zip(data["X"], data["y"], data["subject"], strict=True):
            if int(subject) == participant:
                yield Recording(int(subject), samples[:, axes], RATE_HZ, EXERCISES[data["y_labels"][int(code)]])

    @staticmethod
    def _bytes() -> bytes:
        try:
            return (importlib.resources.files("seglearn") / "data" / "watch_dataset.npy").read_bytes()
        except (ImportError, FileNotFoundError) as error:
            raise DataError(
                "smartwatch: the package seglearn or its file data/watch_dataset.npy is missing; "
                "install it with: pip install 'seglearn>=1.2.5'"
            ) from error


def _unpickle(content: bytes) -> dict[str, Any]:
    """Unpickle the known file; other bytes are refused, because a pickle can run any code."""
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise DataError(
            f"smartwatch: seglearn's watch_dataset.npy has SHA-256 {found[:12]}... where {SHA256[:12]}... is known to "
            "be safe to unpickle; install the known file with: pip install --force-reinstall seglearn==1.2.5"
        )
    data: dict[str, Any] = np.load(io.BytesIO(content), allow_pickle=True).item()
    return data
