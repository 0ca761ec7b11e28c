"""Features of the windows of recordings, as one Parquet file a recording."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

import sslwear
from sslwear.data.devices import recordings_by_name
from sslwear.data.files.device_reader import DeviceRecording, open_recording
from sslwear.data.files.recording_format import Reading
from sslwear.data.windowing import Windows, concatenate
from sslwear.deployment.prediction.embedder import Embedder
from sslwear.deployment.prediction.files import Outcome
from sslwear.deployment.prediction.recording_prediction import READING, PredictionProgress
from sslwear.errors import DataError
from sslwear.utils.digests import sha256

ENDING = ".features.parquet"
METADATA = b"sslwear"
"""Key of the Parquet file's metadata with what the features are of."""
ROWS = 2048
"""Windows that are computed and written at a time."""


def embed(
    files: Sequence[Path],
    embedder: Embedder,
    out: Path,
    overwrite: bool = False,
    progress: PredictionProgress | None = None,
    reading: Reading | None = None,
) -> Iterator[Outcome]:
    """Write the features of the adjacent windows of recordings, one file each.

    A file is complete or does not exist. A recording with an error is reported, and the others are done. A recording
    that was finished before with the same encoder is not done again.

    Args:
        files: device files and tables.
        embedder: the encoder.
        out: output folder.
        overwrite: whether existing files that were made otherwise may be replaced.
        progress: callback with the share of each recording that is done.
        reading: how they are read.

    Yields:
        Outcomes of the recordings, in the natural order of their names.

    Raises:
        DataError: when two recordings have the same name, a file exists that was made otherwise, or the folder is not
            writable.
    """
    recordings = recordings_by_name(files)
    digest = embedder.digest
    if reading is not None:
        digest += f" {json.dumps(reading.identity(), sort_keys=True)}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        earlier = {name: _earlier(out / f"{name}{ENDING}", file, digest) for name, file in recordings.items()}
        for name in recordings:
            if earlier[name] is None and not overwrite and (path := out / f"{name}{ENDING}").exists():
                raise DataError(
                    f"{path} exists already. Leave that recording out, give another --out, or replace it with "
                    "--overwrite"
                )
        with tempfile.TemporaryDirectory(prefix=".sslwear-embed-", dir=out) as folder:
            for name, file in recordings.items():
                yield earlier[name] or _one(name, file, out, Path(folder), embedder, digest, progress, reading)
                if progress is not None:
                    progress(name, 1.0)
    except OSError as error:
        raise DataError(f"cannot write to {out} ({error.strerror or error}). Give another --out") from error


def _one(
    name: str,
    file: Path,
    out: Path,
    folder: Path,
    embedder: Embedder,
    digest: str,
    progress: PredictionProgress | None,
    reading: Reading | None,
) -> Outcome:
    """Write the features of a recording; errors become its outcome."""
    unfinished = folder / f"{name}{ENDING}"
    try:
        outcome = _write(name, file, unfinished, embedder, digest, progress, reading)
        unfinished.replace(out / unfinished.name)
        return outcome
    except DataError as error:
        return Outcome(name, error=str(error))
    except MemoryError:
        return Outcome(name, error=f"{file} needs more memory than is available. End other programs")
    except OSError as error:
        return Outcome(name, error=f"{file}: cannot write samples or features ({error.strerror or error})")
    except Exception as error:  # noqa: BLE001 - one file must not stop the others
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return Outcome(name, error=f"{file} has no features ({reason}). Please report this if a new copy does not help")
    finally:
        unfinished.unlink(missing_ok=True)


def _write(
    name: str,
    file: Path,
    path: Path,
    embedder: Embedder,
    digest: str,
    progress: PredictionProgress | None,
    reading: Reading | None,
) -> Outcome:
    """Read a recording piece by piece, and write the features of its windows.

    Raises:
        DataError: when the file cannot be read, its rate is too low, or it is shorter than a window.
    """
    made_from = sha256(file) if file.is_file() else ""  # a missing file is refused below
    with open_recording(file, path.parent, reading) as recording:
        note = "; ".join([recording.note, *map(str, recording.axis.cuts)])
        pieces = recording.windows(
            embedder.rate_hz, embedder.window_s, embedder.window_s, needed_hz=embedder.recorded_hz
        )
        writer: pq.ParquetWriter | None = None
        count, nonwear = 0, 0
        try:
            for windows in _grouped(pieces, ROWS):
                table = _table(recording, windows, embedder)
                writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
                writer.write_table(table)
                count, nonwear = count + len(windows), nonwear + int((~windows.worn).sum())
                if progress is not None:
                    share = windows.start[-1] / max(recording.seconds, windows.start[-1] + 1)
                    progress(name, READING + (1 - READING) * float(share))
            if writer is None:
                raise DataError(
                    f"{file} has no stretch without a gap that is as long as a window, {embedder.window_s:g} s"
                )
            about = {"recording": made_from, "encoder": digest, "model": embedder.name, **_windows_of(embedder)}
            about |= {"sslwear": sslwear.__version__, "result": {"windows": count, "nonwear": nonwear, "note": note}}
            writer.add_key_value_metadata({METADATA: json.dumps(about).encode()})
        finally:
            if writer is not None:
                writer.close()
    return Outcome(name, count, nonwear, note)


def _windows_of(embedder: Embedder) -> dict[str, Any]:
    return {"rate_hz": embedder.rate_hz, "window_s": embedder.window_s, "precision": embedder.precision}


def _grouped(pieces: Iterator[Windows], size: int) -> Iterator[Windows]:
    """Windows in groups of about a size, because small groups of rows make Parquet files large and slow."""
    held: list[Windows] = []
    for piece in pieces:
        if len(piece):
            held.append(piece)
        if sum(map(len, held)) >= size:
            yield concatenate(held)
            held = []
    if held:
        yield concatenate(held)


def _table(recording: DeviceRecording, windows: Windows, embedder: Embedder) -> pa.Table:
    """Start, wear and features of windows; the features of windows that were not worn are null.

    Starts are times of the device, or have the time zone if one is given.
    """
    worn = windows.worn
    found = embedder.features(windows.samples[worn] if worn.any() else windows.samples[:1])
    values: NDArray[np.float32] = np.zeros((len(windows), found.shape[1]), np.float32)
    values[worn] = found if worn.any() else 0
    time = recording.start.astype("datetime64[ns]").astype(np.int64) + np.rint(windows.start * 1e9).astype(np.int64)
    start = recording.clock.instants(time).view("datetime64[ns]").astype("datetime64[ms]")
    kind = pa.timestamp("ms", recording.clock.zone)
    columns: dict[str, pa.Array] = {"time": pa.array(start, kind), "worn": pa.array(worn)}
    for i in range(values.shape[1]):
        columns[f"f{i}"] = pa.array(np.ascontiguousarray(values[:, i]), mask=~worn)
    return pa.table(columns)


def _earlier(path: Path, file: Path, digest: str) -> Outcome | None:
    """Outcome of a recording whose file has the features of the same content, encoder and version; None otherwise."""
    try:
        about: Mapping[str, Any] = json.loads(pq.read_metadata(path).metadata[METADATA])
        same = (about["encoder"], about["sslwear"]) == (digest, sslwear.__version__)
        if not same or about["recording"] != sha256(file):
            return None
        result = about["result"]
        return Outcome(
            path.name.removesuffix(ENDING), result["windows"], result["nonwear"], f"{result['note']}; finished earlier"
        )
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException):
        return None
