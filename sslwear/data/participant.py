"""One participant's recordings to a folder of windows, in whichever process."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.data.arrays import Fingerprint, motion
from sslwear.data.checks import check_range
from sslwear.data.sources.base import NO_LABEL, Recording, Source
from sslwear.data.windows import Cut, cut_recording
from sslwear.errors import DataError

RATE_HZ = 30.0


@dataclass(frozen=True)
class Plan:
    """How recordings become windows.

    Attributes:
        window_s: length of a window, in seconds.
        step_s: distance between the starts of windows, in seconds.
        rate_hz: samples per second that the encoder wants.
        unlabelled: whether to keep all windows, labels or not, for pre-training: a directory of shards.
    """

    window_s: float
    step_s: float
    rate_hz: float = RATE_HZ
    unlabelled: bool = False

    def __post_init__(self) -> None:
        """Refuse windows that are none.

        Raises:
            DataError: when a window is less than two samples long, or a step less than one.
        """
        if round(self.window_s * self.rate_hz) < 2 or round(self.step_s * self.rate_hz) < 1:
            raise DataError(
                f"a window of {self.window_s:g} s every {self.step_s:g} s is too short: at {self.rate_hz:g} Hz it must "
                "be two samples long, and the step one"
            )


@dataclass(frozen=True)
class Report:
    """What became of one participant.

    Attributes:
        participant: who.
        windows: windows kept.
        unlabelled: windows left out because they have no label.
        clipped: windows kept in which the device was at its limit.
        nonwear: windows kept and marked, in which the device was not worn.
        error: why nothing of this participant could be used, or None.
        note: how the recordings were read.
        fingerprint: SHA-256 of the arrays, where they stay a participant's own.
        raw: digest of the state that the raw files had before they were read.
    """

    participant: int | str
    windows: int = 0
    unlabelled: int = 0
    clipped: int = 0
    nonwear: int = 0
    error: str | None = None
    note: str = ""
    fingerprint: str | None = None
    raw: str = ""


def raw_state(source: Source, participant: int | str) -> str:
    """Digest of the state of a participant's raw files."""
    return hashlib.sha256(json.dumps(source.stamp(participant), sort_keys=True).encode()).hexdigest()[:16]


def prepare_participant(source: Source, participant: int | str, plan: Plan, shard: Path) -> Report:
    """Write one participant's windows as a folder that is there when it is whole; a failure leaves none."""
    making = Path(tempfile.mkdtemp(dir=shard.parent, prefix="."))
    state = raw_state(source, participant)
    try:
        report = replace(_write_windows(source, participant, plan, making), raw=state)
        (making / "report.json").write_text(json.dumps(asdict(report)))
        making.rename(shard)
    except DataError as error:
        return Report(participant, error=str(error), raw=state)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return report


def _write_windows(source: Source, participant: int | str, plan: Plan, making: Path) -> Report:
    pieces: dict[str, list[NDArray[Any]]] = {name: [] for name in ("X", "Y", "T", "worn")}
    unlabelled = clipped = 0
    notes = set()
    for recording in _readings(source, participant):
        found = cut_recording(recording, plan.rate_hz, plan.window_s, plan.step_s, source.limit_g)
        keep = np.ones(len(found.windows), bool)
        if not plan.unlabelled:
            labels = _labels(source, found)
            keep = labels != ""
            pieces["Y"].append(labels[keep])
            unlabelled += int((~keep).sum())
        notes.add(recording.note)
        clipped += int(found.clipped[keep].sum())
        pieces["X"].append(found.windows if keep.all() else found.windows[keep])
        pieces["T"].append(_times(found.start[keep], recording.start))
        pieces["worn"].append(found.worn[keep])
    count, note = sum(map(len, pieces["X"])), "; ".join(sorted(filter(None, notes)))
    if count == 0:
        if not unlabelled:
            none = f"no stretch without a gap is as long as a window, {plan.window_s:g} s"
            note = "; ".join(filter(None, [note, none]))
        return Report(participant, unlabelled=unlabelled, note=note)
    arrays = {name: np.concatenate(parts) for name, parts in pieces.items() if parts}
    arrays["pid"] = np.full(count, participant)
    own = None
    if plan.unlabelled:
        arrays["motion"] = motion(arrays["X"])
        whole = Fingerprint(arrays["X"].shape, arrays["X"].dtype)
        whole.add(arrays["X"])
        own = whole.finish(arrays)
    for name, array in arrays.items():
        np.save(making / f"{name}.npy", array, allow_pickle=False)
    return Report(participant, count, unlabelled, clipped, int((~arrays["worn"]).sum()), note=note, fingerprint=own)


def _readings(source: Source, participant: int | str) -> Iterator[Recording]:
    """A participant's recordings, with samples that can be.

    Raises:
        DataError: whatever the source raises: nobody's file may keep the others' from being read.
    """
    names = list(source.files(participant))
    where = f"{names[0]}{f' or another of {len(names)} files' if len(names) > 1 else ''}" if names else source.name
    try:
        for recording in source.recordings(participant):
            check_range(f"participant {participant} ({where})", recording.samples)
            yield recording
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{where} needs more memory than there is; repeat with a smaller --jobs") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{where} cannot be read ({type(error).__name__}: {reason}); get the file again, and tell us if that does "
            "not help"
        ) from error


def _labels(source: Source, found: Cut) -> NDArray[np.str_]:
    """The label of each window, empty where it has none."""
    names = [source.label_of(name) or "" for name in found.names]
    return np.array([*names, ""], np.str_)[np.where(found.labels == NO_LABEL, len(names), found.labels)]


def _times(seconds: NDArray[np.float64], start: np.datetime64 | None) -> NDArray[Any]:
    """Dates and times where the recording's are known, else seconds from its start."""
    if start is None:
        return seconds
    times: NDArray[np.datetime64] = start.astype("datetime64[ns]") + np.rint(seconds * 1e9).astype("timedelta64[ns]")
    return times
