"""Hidden half: how does the wrist move, and how is it held, in the half of the window that is hidden?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.pretext.base import Example, QuestionTask

RATE_HZ = 30.0
"""Of the windows that encoders take."""
INTENSITIES_G = (0.01, 0.03, 0.08, 0.16, 0.32)
"""Bounds between answers: standard deviation of acceleration, root mean square over the axes."""
RHYTHMS_HZ = (0.35, 0.7, 1.2, 2.2, 3.5)
"""Bounds between answers: about a slow turn of the arm, a reach, a swing of the arm or a stride, a step, running."""
POSTURES = ("+x", "-x", "+y", "-y", "+z", "-z")


class HiddenHalf(QuestionTask):
    """Tell from one half of a window how strong, how fast and in which posture the wrist moves in the other half.

    An activity lasts longer than a window, so what tells of the seconds that are hidden is what tells the activity, not
    the moment: features that a few labels can then name. What comes sample by sample cannot be known, its phase least
    of all, and what is asked is therefore coarse: six bins each of intensity, of dominant frequency (cadence), and of
    the axis along which gravity is felt. The answer is not in the input, so it cannot be spotted by the traces that a
    transform leaves (cuts, interpolation, noise), and no transform has to be thought of that the activity survives. The
    hidden half is shown as the mirror image of the other, so that windows look like those of fine-tuning.

    To predict the seconds that are not seen is also the idea of Haresamudram et al., 'Contrastive predictive coding for
    human activity recognition', IMWUT 2021; this needs neither negatives nor large batches.
    """

    name = "hidden_half"
    title = "How strong, how fast and in which posture does the wrist move in the half that is hidden?"
    choices = 6

    def questions(self) -> Sequence[str]:
        """Three, of the hidden half."""
        return ["intensity", "rhythm", "posture"]

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Windows of which the first or the second half is hidden; targets (B, 3) describe it."""
        late = torch.randint(0, 2, (len(x),), generator=generator)
        size = x.shape[-1] // 2
        return transforms.mirrored_half(x, late), describe(transforms.where(late, x[..., -size:], x[..., :size]))

    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """Either half hidden."""
        length = x.shape[-1]
        second = torch.arange(length) >= (length + 1) // 2
        found = []
        for late, hidden in ((True, second), (False, second.flip(0))):
            intensity, rhythm, posture = describe(x[..., hidden])[0].tolist()
            title = f"hidden: {_between(INTENSITIES_G, intensity, 'g')}, {_between(RHYTHMS_HZ, rhythm, 'Hz')}, "
            window = transforms.mirrored_half(x, torch.tensor([late]))[0]
            found.append(Example(title + f"gravity felt along {POSTURES[posture]}", window, hidden))
        return found


def describe(x: Tensor) -> Tensor:
    """Answers (B, 3) about stretches of signal (B, 3, L): bins of intensity and rhythm, and the axis of gravity."""
    mean = x.mean(dim=-1)
    motion = x - mean.unsqueeze(-1)
    intensity = motion.square().mean(dim=(1, 2)).sqrt()
    taper = torch.hann_window(x.shape[-1], device=x.device, dtype=x.dtype)
    power = torch.fft.rfft(motion * taper).abs().square().sum(dim=1)
    fastest = power[:, 1:].argmax(dim=1) + 1
    rhythm = fastest * (RATE_HZ / x.shape[-1])
    axis = mean.abs().argmax(dim=1)
    below = mean.gather(1, axis.unsqueeze(1)).squeeze(1) < 0
    bins = [
        torch.bucketize(value, torch.tensor(bounds, device=x.device, dtype=value.dtype))
        for value, bounds in ((intensity, INTENSITIES_G), (rhythm, RHYTHMS_HZ))
    ]
    return torch.stack([*bins, 2 * axis + below], dim=1)


def _between(bounds: Sequence[float], answer: int, unit: str) -> str:
    """What a bin holds, in words."""
    if answer == 0:
        return f"under {bounds[0]:g} {unit}"
    return (
        f"over {bounds[-1]:g} {unit}" if answer == len(bounds) else f"{bounds[answer - 1]:g}-{bounds[answer]:g} {unit}"
    )
