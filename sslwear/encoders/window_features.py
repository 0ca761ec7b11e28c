"""Hand-crafted features of windows: 91 numbers a window, for classifiers without a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHANNELS = ("x", "y", "z", "length")
MOMENTS = ("mean", "sd", "skewness", "kurtosis", "min", "quartile_1", "median", "quartile_3", "max", "change")
PAIRS = (("x", "y"), ("x", "z"), ("y", "z"))
SPECTRUM = ("frequency_1", "share_1", "frequency_2", "share_2", "entropy")
BANDS_HZ = ((0.0, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 5.0), (5.0, 8.0), (8.0, 15.0))
PEAK_BINS = 2
"""Frequency bins on either side of a peak that belong to it; the second peak is searched outside of them."""
STILL_G = 1e-6
"""Standard deviation below which a channel has no motion; features relative to motion are 0 then."""


def feature_names() -> list[str]:
    """Column names of `features`, such as ``x_mean``, ``correlation_xy``, ``length_band_1-2_hz``."""
    return [
        *(f"{channel}_{name}" for channel in CHANNELS for name in MOMENTS),
        *(f"correlation_{one}{other}" for one, other in PAIRS),
        *(f"{channel}_{name}" for channel in CHANNELS for name in SPECTRUM),
        *(f"{channel}_band_{low:g}-{high:g}_hz" for channel in CHANNELS for low, high in BANDS_HZ),
    ]


def features(windows: NDArray[np.floating], rate_hz: float) -> NDArray[np.float64]:
    """Hand-crafted features of windows.

    For each axis and for the length of acceleration they are: mean, standard deviation, skewness, excess kurtosis,
    minimum, quartiles and maximum (g), and the mean absolute change per second (g/s); of the spectrum (mean removed,
    Hann taper) the two frequencies with the most power (Hz) and their shares of the power, the entropy (0 for one
    frequency, 1 for noise), and the power in bands (g²; a sine of amplitude a has a²/2). The correlations between axes
    are added.

    Args:
        windows: windows (N, samples, 3) in g, of at least 8 samples.
        rate_hz: sampling rate.

    Returns:
        Features (N, F) in the order of `feature_names`, without NaN.
    """
    axes = np.asarray(windows, np.float64)
    channels = np.concatenate([axes, np.linalg.norm(axes, axis=2, keepdims=True)], axis=2).transpose(0, 2, 1)
    centred = channels - channels.mean(axis=2, keepdims=True)
    sd = np.sqrt((centred**2).mean(axis=2))
    parts = (
        _moments(channels, centred, sd, rate_hz).reshape(len(axes), -1),
        _correlations(centred, sd),
        *(part.reshape(len(axes), -1) for part in _spectrum(centred, sd, rate_hz)),
    )
    return np.concatenate(parts, axis=1)


def _moments(
    channels: NDArray[np.float64], centred: NDArray[np.float64], sd: NDArray[np.float64], rate_hz: float
) -> NDArray[np.float64]:
    """Moments, quartiles and mean change (N, 4, moments) of channels (N, 4, samples)."""
    scaled = centred / np.maximum(sd, STILL_G)[..., None]
    moving = sd > STILL_G
    skewness, kurtosis = (scaled**3).mean(axis=2), np.where(moving, (scaled**4).mean(axis=2) - 3, 0.0)
    quantiles = np.quantile(channels, (0, 0.25, 0.5, 0.75, 1), axis=2)
    change = np.abs(np.diff(channels, axis=2)).mean(axis=2) * rate_hz
    return np.stack([channels.mean(axis=2), sd, skewness, kurtosis, *quantiles, change], axis=2)


def _correlations(centred: NDArray[np.float64], sd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlations between axes (N, 3); 0 if one of the axes has no motion."""
    columns = []
    for pair in PAIRS:
        one, other = (CHANNELS.index(name) for name in pair)
        covariance = (centred[:, one] * centred[:, other]).mean(axis=1)
        moving = np.minimum(sd[:, one], sd[:, other]) > STILL_G
        columns.append(np.where(moving, covariance / np.maximum(sd[:, one] * sd[:, other], STILL_G**2), 0.0))
    return np.stack(columns, axis=1)


def _spectrum(
    centred: NDArray[np.float64], sd: NDArray[np.float64], rate_hz: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Peaks and entropy (N, 4, 5), and power in bands (N, 4, bands)."""
    samples = centred.shape[2]
    taper = np.hanning(samples + 1)[:-1]
    power = np.abs(np.fft.rfft(centred * taper, axis=2)) ** 2 * 2 / (samples * (taper**2).sum())
    frequencies = np.fft.rfftfreq(samples, 1 / rate_hz)
    power[..., 0] = 0.0  # the taper leaks power of other frequencies into it
    power[sd <= STILL_G] = 0.0
    total = power.sum(axis=2)
    shares = power / np.where(total > 0, total, 1.0)[..., None]
    first = shares.argmax(axis=2)
    near = np.abs(np.arange(len(frequencies)) - first[..., None]) <= PEAK_BINS
    rest = np.where(near, 0.0, shares)
    second = rest.argmax(axis=2)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=2) / np.log(len(frequencies) - 1)
    peaks = np.stack([frequencies[first], shares.max(axis=2), frequencies[second], rest.max(axis=2), entropy], axis=2)
    bands = [power[..., (frequencies >= low) & (frequencies < high)].sum(axis=2) for low, high in BANDS_HZ]
    return peaks, np.stack(bands, axis=2)
