"""Facts about a data set as rows of text, for the command line and for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sslwear.data.dataset import Dataset
    from sslwear.data.shards import Shards

SHOWN_PARTICIPANTS = 20


@dataclass(frozen=True)
class Facts:
    """Rows of a name and a text; the name is empty where a row continues the one before.

    Attributes:
        rows: the rows in order.
    """

    rows: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        return "\n".join(f"{name:<{width}}  {text}".rstrip() for name, text in self.rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left;white-space:pre-wrap'>{escape(text)}</td></tr>"
            for name, text in self.rows
        )
        return f"<table>{cells}</table>"


def dataset_facts(dataset: Dataset) -> Facts:
    """Facts about labelled windows."""
    description, windows = dataset.description, dataset.windows
    samples = dataset.samples
    step = f", step {description.step_s:g} s" if description.step_s else ""
    shape = f"{samples} samples x {windows.shape[2]} axes"
    rows = [
        ("data set", f"{description.name} ({dataset.folder})"),
        ("windows", f"{len(dataset)} of {shape}{_length(dataset.window_s, samples)}{step}"),
        ("arrays", f"X {windows.dtype} {windows.shape}, Y, pid and T ({len(dataset)},)"),
        ("memory", f"{windows.nbytes / 1e6:.1f} MB on disk, memory-mapped: read batch by batch"),
    ]
    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    for index, (name, count) in enumerate(zip(dataset.class_names, counts, strict=True)):
        rows.append(("labels" if index == 0 else "", f"{count:>8}  {count / len(dataset):>4.0%}  {name}"))
    if not dataset.worn.all():
        rows.append(("not worn", f"{int((~dataset.worn).sum())} windows, left out of training"))
    participants, windows_each = np.unique(dataset.pid, return_counts=True)
    rows.append(("participants", _participants(participants, windows_each)))
    rows += [(key, value) for key in ("source", "licence", "citation") if (value := getattr(description, key))]
    rows += [("warning", warning) for warning in dataset.warnings]
    return Facts((*rows, ("fingerprint", dataset.fingerprint)))


def shards_facts(shards: Shards) -> Facts:
    """Facts about unlabelled windows."""
    samples, axes = shards.shards[0].windows().shape[1:]
    counts = [shard.count for shard in shards.shards]
    shape = f"{samples} samples x {axes} axes{_length(shards.window_s, samples)}"
    return Facts(
        (
            ("shards", f"{shards.description.name} ({shards.folder}), unlabelled, for pre-training"),
            ("windows", f"{len(shards)} in which the device was worn, of {shape}"),
            ("participants", _participants(shards.participants, counts)),
            *(("warning", warning) for warning in shards.warnings),
            ("fingerprint", shards.fingerprint),
        )
    )


def _length(window_s: float | None, samples: int) -> str:
    return ", length in seconds unknown" if window_s is None else f", {window_s:g} s at {samples / window_s:g} Hz"


def _participants(names: Iterable[object], windows: Iterable[int]) -> str:
    shown, counts = [str(name) for name in names], list(windows)
    more = " ..." if len(shown) > SHOWN_PARTICIPANTS else ""
    listed = " ".join(shown[:SHOWN_PARTICIPANTS])
    each = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    return f"{len(shown)}, {each} windows each: {listed}{more}"
