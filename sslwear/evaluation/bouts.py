"""Bouts: stretches of adjacent windows with one class."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sslwear.data.files.clock import texts
from sslwear.evaluation.daily import LabelledRecording

GAP_NS = 10**6
"""Windows further apart than this are not adjacent, in nanoseconds."""


def bouts(found: LabelledRecording) -> pd.DataFrame:
    """The bouts of a recording; gaps and non-wear end a bout.

    Args:
        found: the recording with predicted classes.

    Returns:
        One row for each bout: ``start`` and ``end`` (local time as text, with the offset from UTC in a time zone),
        ``class``, ``minutes``, ``windows``, and ``enmo_mg``, its mean motion.
    """
    names = np.array([*found.class_names, ""], dtype=object)
    begins, length = found.begins, found.window_ns
    if len(begins) == 0:
        return pd.DataFrame({name: [] for name in ("start", "end", "class", "minutes", "windows", "enmo_mg")})
    new = np.ones(len(begins), bool)
    new[1:] = (np.diff(found.codes) != 0) | (np.diff(begins) > length + GAP_NS)
    first = np.flatnonzero(new)
    count = np.diff(np.append(first, len(begins)))
    motion = np.add.reduceat(found.enmo_mg.astype(np.float64), first) / count
    ends = begins[first + count - 1] + length
    worn = found.codes[first] >= 0
    first, count, motion, ends = first[worn], count[worn], motion[worn], ends[worn]
    return pd.DataFrame(
        {
            "start": texts(begins[first], found.zone),
            "end": texts(ends, found.zone),
            "class": names[found.codes[first]],
            "minutes": (ends - begins[first]) / 6e10,
            "windows": count,
            "enmo_mg": motion,
        }
    )
