"""Windows of a recording in memory."""

from __future__ import annotations

from sslwear.data.recording import Recording
from sslwear.data.windowing import Windows, cut_usable, usable_part


def cut_recording(
    recording: Recording, rate_hz: float, window_s: float, step_s: float, limit_g: float | None = None
) -> Windows:
    """Windows of the usable part of a recording, see `cut_usable`."""
    return cut_usable(*usable_part(recording), rate_hz, window_s, step_s, limit_g)
