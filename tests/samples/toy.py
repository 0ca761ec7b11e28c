"""A source of made-up recordings, which worker processes import without PyTorch, that takes seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import numpy as np

from sslwear.data.prepare import WindowPlan
from sslwear.data.sources.base import Recording, Source
from sslwear.errors import DataError

PLAN = WindowPlan(window_s=5, step_s=5)


class Toy(Source):
    """Six participants with a file each; `!` in a file is an error, `~` waits until somebody stops the process."""

    title = licence = citation = homepage = "nobody's"
    class_names = ("sit", "walk")  # type: ignore[assignment]

    def participants(self) -> Sequence[str]:
        return [match[1] for _, match in self.raw.find(r"(\w+)\.txt")]

    def files(self, participant: int | str) -> Sequence[str]:
        return [name for name, _ in self.raw.find(rf"{participant}\.txt")]

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        text = self.raw.read_text(f"{participant}.txt")
        if "!" in text:
            raise DataError(f"{participant}.txt is damaged; download it again")
        if "?" in text:
            raise ZeroDivisionError("division by zero")
        if "x" in text:
            os._exit(9)
        while "~" in text:
            (self.raw.path / f"waiting-{os.getpid()}").touch()
            time.sleep(0.01)
        generator = np.random.default_rng(len(text))
        for label in text.split():
            samples = generator.normal([0, 0, 1], 0.1, (660, 3))
            yield Recording(participant, samples, 30, None if label == "none" else label)


Toy.name = "toy"  # after its definition, so that it is no plug-in's
