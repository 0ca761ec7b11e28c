"""Models by reference."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from sslwear.errors import WeightsError
from sslwear.model import Model
from sslwear.tracking import RUN_URI, Store


def load_model(store: Store, reference: str, device: torch.device | None = None, precision: str = "float32") -> Model:
    """Load the model of a finished trial, ``runs:/ID``.

    Raises:
        WeightsError: when there is none.
    """
    if not reference.startswith(RUN_URI):
        raise WeightsError(f"{reference} is no model; give runs:/ID")
    try:
        location = store._checkpoint_location(reference)
        with tempfile.TemporaryDirectory() as folder:
            local = download_artifacts(
                artifact_uri=location,
                tracking_uri=store.tracking_uri,
                dst_path=None if location.startswith("file:") else folder,
            )
            return Model.load(Path(local), device, precision)
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(f"{reference} has no model in {store.tracking_uri} ({reason}); copy a run's id") from error
