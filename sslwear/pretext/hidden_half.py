"""Hidden half: predict motion and posture of the hidden half of a window."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.pretext.base import Example, QuestionTask

RATE_HZ = 30.0
"""Sampling rate of the windows."""
INTENSITIES_G = (0.01, 0.03, 0.08, 0.16, 0.32)
"""Bin edges of intensity: standard deviation of acceleration, root mean square over the axes."""
RHYTHMS_HZ = (0.35, 0.7, 1.2, 2.2, 3.5)
"""Bin edges of rhythm: about a slow turn of the arm, a reach, a swing of the arm or a stride, a step, running."""
POSTURES = ("+x", "-x", "+y", "-y", "+z", "-z")


class HiddenHalf(QuestionTask):
    """Prediction of intensity, rhythm and posture of the hidden half of a window from the visible half.

    An activity usually lasts longer than a window, so features that predict the hidden seconds describe the activity.
    The samples themselves cannot be predicted, least of all their phase. The targets are therefore coarse: six bins
    each of intensity, of dominant frequency (cadence) and of the axis of gravity. The answer is not in the input, so a
    network cannot use artefacts of a transform (cuts, interpolation, noise), and no transform is needed that keeps the
    activity. The hidden half is replaced by the mirror image of the visible one, so that inputs resemble those of
    fine-tuning.

    Haresamudram et al., 'Contrastive predictive coding for human activity recognition', IMWUT 2021, also predict unseen
    seconds; this task needs neither negatives nor large batches.
    """

    name = "hidden_half"
    title = "How strong, how fast and in which posture does the wrist move in the half that is hidden?"
    choices = 6

    def questions(self) -> Sequence[str]:
        """Questions about the hidden half."""
        return ["intensity", "rhythm", "posture"]

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Windows with the first or the second half hidden; targets (B, 3) of the hidden half."""
        late = torch.randint(0, 2, (len(x),), generator=generator)
        size = x.shape[-1] // 2
        return transforms.mirrored_half(x, late), describe(transforms.where(late, x[..., -size:], x[..., :size]))

    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """A window with each half hidden."""
        length = x.shape[-1]
        second = torch.arange(length) >= (length + 1) // 2
        found = []
        for late, hidden in ((True, second), (False, second.flip(0))):
            intensity, rhythm, posture = describe(x[..., hidden])[0].tolist()
            title = f"hidden: {_bin_name(INTENSITIES_G, intensity, 'g')}, {_bin_name(RHYTHMS_HZ, rhythm, 'Hz')}, "
            window = transforms.mirrored_half(x, torch.tensor([late]))[0]
            found.append(Example(title + f"gravity felt along {POSTURES[posture]}", window, hidden))
        return found


def describe(x: Tensor) -> Tensor:
    """Answers (B, 3) for signals (B, 3, L): bins of intensity and rhythm, and the axis of gravity."""
    mean = x.mean(dim=-1)
    motion = x - mean.unsqueeze(-1)
    intensity = motion.square().mean(dim=(1, 2)).sqrt()
    taper = torch.hann_window(x.shape[-1], device=x.device, dtype=x.dtype)
    power = torch.fft.rfft(motion * taper).abs().square().sum(dim=1)
    peak = power[:, 1:].argmax(dim=1) + 1
    rhythm = peak * (RATE_HZ / x.shape[-1])
    axis = mean.abs().argmax(dim=1)
    negative = mean.gather(1, axis.unsqueeze(1)).squeeze(1) < 0
    bins = [
        torch.bucketize(value, torch.tensor(bounds, device=x.device, dtype=value.dtype))
        for value, bounds in ((intensity, INTENSITIES_G), (rhythm, RHYTHMS_HZ))
    ]
    return torch.stack([*bins, 2 * axis + negative], dim=1)


def _bin_name(bounds: Sequence[float], answer: int, unit: str) -> str:
    """Range of a bin in words."""
    if answer == 0:
        return f"under {bounds[0]:g} {unit}"
    return (
        f"over {bounds[-1]:g} {unit}" if answer == len(bounds) else f"{bounds[answer - 1]:g}-{bounds[answer]:g} {unit}"
    )
