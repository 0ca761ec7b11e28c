"""Output folders of ``sslwear predict`` with known classes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.clock import Clock
from sslwear.data.files.quality import Quality
from sslwear.deployment.prediction import record as prediction_record
from sslwear.deployment.prediction.files import Options, write_outputs
from sslwear.deployment.prediction.recording_prediction import Labelled
from sslwear.evaluation.daily import LabelledRecording

WINDOW = np.timedelta64(10, "s")
QUALITY = Quality("CSV", 30.0, 1000, True, None, None, 0.0, 0, 0.0, 0, 0)


def write_prediction(
    out: Path,
    name: str,
    classes: tuple[str, ...],
    codes: NDArray[np.int64],
    start: str,
    format_: str = "csv",
    clock: Clock | None = None,
    participant: str | None = None,
    step_s: int = 10,
) -> None:
    """Write the files of a recording with windows of 10 s every `step_s`, one class a window; -1 is non-wear.

    Without a clock, there is no record, as in folders of earlier versions.
    """
    place = out / ".place"
    place.mkdir(parents=True, exist_ok=True)
    times = np.datetime64(start, "ns") + np.arange(len(codes)) * np.timedelta64(step_s, "s")
    times = (clock or Clock()).instants(times.view(np.int64)).view("datetime64[ns]")
    zone = None if clock is None else clock.zone
    enmo = np.zeros(len(codes), np.float32)
    found = LabelledRecording(name, classes, times, 10.0, codes, enmo, times[0], times[-1] + WINDOW, zone)
    time = pd.DatetimeIndex(times.astype("datetime64[ms]"))
    time = time if zone is None else time.tz_localize("UTC").tz_convert(zone)
    columns = {"time": time, "worn": codes >= 0, "label": np.array([*classes, ""])[codes]}
    shares = {f"p_{one}": np.where(codes < 0, np.nan, codes == i) for i, one in enumerate(classes)}
    labelled = Labelled(found, pd.DataFrame({**columns, **shares}), QUALITY, "", None, clock or Clock())
    options = Options(out, format_)
    write_outputs(labelled, place, options, ())
    if clock is not None:
        known = {"clock": asdict(clock), "span": list(found.limits), "participant": participant}
        prediction_record.write(options.record(name), place, {}, known)
    place.rmdir()
