"""Output folders of ``sslwear predict`` with known classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.quality import Quality
from sslwear.deployment.prediction.files import Options, write_outputs
from sslwear.deployment.prediction.recording_prediction import Labelled
from sslwear.evaluation.daily import LabelledRecording

WINDOW = np.timedelta64(10, "s")
QUALITY = Quality("CSV", 30.0, 1000, True, None, None, 0.0, 0, 0.0, 0, 0)


def write_prediction(
    out: Path, name: str, classes: tuple[str, ...], codes: NDArray[np.int64], start: str, format_: str = "csv"
) -> None:
    """Write the files of a recording with windows of 10 s, one class a window; -1 is non-wear."""
    place = out / ".place"
    place.mkdir(parents=True, exist_ok=True)
    times = np.datetime64(start, "ns") + np.arange(len(codes)) * WINDOW
    enmo = np.zeros(len(codes), np.float32)
    found = LabelledRecording(name, classes, times, 10.0, codes, enmo, times[0], times[-1] + WINDOW)
    columns = {"time": times.astype("datetime64[ms]"), "worn": codes >= 0, "label": np.array([*classes, ""])[codes]}
    shares = {f"p_{one}": np.where(codes < 0, np.nan, codes == i) for i, one in enumerate(classes)}
    labelled = Labelled(found, pd.DataFrame({**columns, **shares}), QUALITY, "", None)
    write_outputs(labelled, place, Options(out, format_), ())
    place.rmdir()
