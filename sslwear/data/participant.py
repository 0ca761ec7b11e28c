"""Preparation of one participant: recordings to a folder of windows."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.data.arrays import ArrayFile, complete, fingerprint_of, motion
from sslwear.data.cuts import Cut, add_up
from sslwear.data.gravity import check_gravity, rest_statistics
from sslwear.data.recording import NO_LABEL, RecordingInfo
from sslwear.data.sources.base import Source
from sslwear.data.windowing import Windows
from sslwear.errors import DataError

RATE_HZ = 30.0
JUDGED_WINDOWS = 1000
"""Approximate number of windows of a participant by which the unit is judged."""


@dataclass(frozen=True)
class WindowPlan:
    """Lengths and rate of the windows to cut.

    Attributes:
        window_s: length of a window, in seconds.
        step_s: distance between the starts of windows, in seconds.
        rate_hz: samples per second of the windows, as the encoder takes them.
        unlabelled: whether to keep all windows, also those without a label, as a directory of shards for pre-training.
    """

    window_s: float
    step_s: float
    rate_hz: float = RATE_HZ
    unlabelled: bool = False

    def __post_init__(self) -> None:
        """Refuse windows that are too short.

        Raises:
            DataError: when a window is shorter than two samples, or a step shorter than one.
        """
        if round(self.window_s * self.rate_hz) < 2 or round(self.step_s * self.rate_hz) < 1:
            raise DataError(
                f"a window of {self.window_s:g} s every {self.step_s:g} s is too short; at {self.rate_hz:g} Hz a "
                "window needs two samples and a step one"
            )


@dataclass(frozen=True)
class PreparationResult:
    """Result of the preparation of one participant.

    Attributes:
        participant: name or number of the participant.
        windows: number of windows kept.
        unlabelled: number of windows left out because they have no label.
        clipped: number of kept windows with samples at the limit of the device's range.
        nonwear: number of kept windows in which the device was not worn; they are marked.
        error: why the participant could not be used, or None.
        note: one line about how the recordings were read, and what of them was cut.
        cuts: samples that were cut, one entry for each kind, see `sslwear.data.cuts.Cut.report`.
        fingerprint: SHA-256 of the arrays of a shard, or None.
        raw: digest of the sizes and times of change that the raw files had before they were read.
    """

    participant: int | str
    windows: int = 0
    unlabelled: int = 0
    clipped: int = 0
    nonwear: int = 0
    error: str | None = None
    note: str = ""
    cuts: list[dict[str, Any]] = field(default_factory=list)
    fingerprint: str | None = None
    raw: str = ""


def raw_state(source: Source, participant: int | str) -> str:
    """Digest of the sizes and times of change of a participant's raw files."""
    return hashlib.sha256(json.dumps(source.stamp(participant), sort_keys=True).encode()).hexdigest()[:16]


def prepare_participant(source: Source, participant: int | str, plan: WindowPlan, shard: Path) -> PreparationResult:
    """Write the windows of one participant to the folder `shard`, completely or not at all."""
    making = Path(tempfile.mkdtemp(dir=shard.parent, prefix="."))
    state = raw_state(source, participant)
    try:
        result = replace(_write_windows(source, participant, plan, making), raw=state)
        (making / "report.json").write_text(json.dumps(asdict(result)), encoding="utf-8")
        complete(making)
        making.rename(shard)
    except DataError as error:
        return PreparationResult(participant, error=str(error), raw=state)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return result


def _write_windows(source: Source, participant: int | str, plan: WindowPlan, making: Path) -> PreparationResult:
    """Write the windows as they are cut, so that memory does not grow with their number."""
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("Y", "T", "worn")}
    unlabelled = clipped = 0
    notes: dict[str, None] = {}
    cuts: list[Cut] = []
    last: RecordingInfo | None = None
    with ArrayFile(making / "X.npy", (round(plan.window_s * plan.rate_hz), 3), np.float32) as file:
        for info, found in _windows(source, participant, plan, making):
            keep = np.ones(len(found), bool)
            if not plan.unlabelled:
                labels = _labels(source, info, found)
                keep = labels != ""
                columns["Y"].append(labels[keep])
                unlabelled += int((~keep).sum())
            if info is not last:
                notes[info.note], last = None, info
                cuts += info.cuts
            clipped += int(found.clipped[keep].sum())
            file.append(found.samples if keep.all() else found.samples[keep])
            columns["T"].append(_times(found.start[keep], info.start))
            columns["worn"].append(found.worn[keep])
    count, lost = file.count, add_up(cuts)
    note = "; ".join([*sorted(filter(None, notes)), *map(str, lost)])
    cut = [one.report() for one in lost]
    if count == 0:
        if not unlabelled:
            none = f"no stretch without a gap is as long as a window, {plan.window_s:g} s"
            note = "; ".join(filter(None, [note, none]))
        return PreparationResult(participant, unlabelled=unlabelled, note=note, cuts=cut)
    arrays = {name: np.concatenate(parts) for name, parts in columns.items() if parts}
    arrays["pid"] = np.full(count, participant)
    windows = np.load(making / "X.npy", mmap_mode="r")
    judged = np.flatnonzero(arrays["worn"])
    judged = judged[:: 1 + len(judged) // JUDGED_WINDOWS]
    check_gravity(source.place(participant), rest_statistics(windows[judged]))
    fingerprint = None
    if plan.unlabelled:
        arrays["motion"] = motion(windows)
        fingerprint = fingerprint_of({"X": windows, **arrays})
    for name, array in arrays.items():
        np.save(making / f"{name}.npy", array, allow_pickle=False)
    nonwear = int((~arrays["worn"]).sum())
    return PreparationResult(
        participant, count, unlabelled, clipped, nonwear, note=note, cuts=cut, fingerprint=fingerprint
    )


def _windows(
    source: Source, participant: int | str, plan: WindowPlan, folder: Path
) -> Iterator[tuple[RecordingInfo, Windows]]:
    """The windows of a participant.

    Raises:
        DataError: for any error of the source, so that the other participants are still read.
    """
    place = source.place(participant)
    try:
        yield from source.windows(participant, plan.rate_hz, plan.window_s, plan.step_s, folder)
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{place} needs more memory than there is; repeat with a smaller --jobs") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{place} cannot be read ({type(error).__name__}: {reason}); get the file again, and report this error if "
            "that does not help"
        ) from error


def _labels(source: Source, info: RecordingInfo, found: Windows) -> NDArray[np.str_]:
    """The label of each window, empty where it has none."""
    names = [source.label_of(name) or "" for name in info.label_names]
    places = np.where(found.labels == NO_LABEL, len(names), found.labels)
    labels: NDArray[np.str_] = np.array([*names, ""], np.str_)[places]
    return labels


def _times(seconds: NDArray[np.float64], start: np.datetime64 | None) -> NDArray[Any]:
    """Dates and times where the start of the recording is known, else seconds from its start."""
    if start is None:
        return seconds
    times: NDArray[np.datetime64] = start.astype("datetime64[ns]") + np.rint(seconds * 1e9).astype("timedelta64[ns]")
    return times
