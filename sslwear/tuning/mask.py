"""Freeze masks: some blocks learn at one rate, and the others are frozen."""

from __future__ import annotations

import re
from typing import Any, Self

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SettingsError
from sslwear.tuning.base import TuningStrategy, parts

PART = re.compile(r"layer(\d+)(?:-(?:layer)?(\d+))?")


class FreezeMask(TuningStrategy):
    """Freeze mask for surgical fine-tuning: a set of blocks learns, and the others are frozen.

    Source: Lee et al., 'Surgical Fine-Tuning Improves Adaptation to Distribution Shifts', arXiv 2210.11466.

    Args:
        tuned: names of the blocks that learn.
        encoder: encoder with the blocks.
    """

    name = "mask"
    form = "all, head, a block (layer3), a range (layer4-5), or several joined by + (layer1+layer4-5)"
    examples = ("all", "head", "layer3", "layer4-5", "layer1+layer4-5")

    def __init__(self, tuned: frozenset[str], encoder: type[Encoder]) -> None:
        self._blocks = encoder.block_names()
        self._tuned = tuned
        self.spec = self._describe()

    @classmethod
    def parse(cls, text: str, encoder: type[Encoder]) -> Self | None:
        """Read ``all``, ``head``, ``layer3``, ``layer4-5`` or ``layer1+layer4-5``."""
        blocks = encoder.block_names()
        if text == "all":
            return cls(frozenset(blocks), encoder)
        if text == "head":
            return cls(frozenset(), encoder)
        tuned: set[str] = set()
        for part in text.replace(" ", "").split("+"):
            match = PART.fullmatch(part)
            if match is None:
                return None
            first, last = int(match[1]), int(match[2] or match[1])
            chosen = [f"layer{i}" for i in range(first, last + 1)]
            unknown = [block for block in chosen if block not in blocks]
            if unknown or not chosen:
                raise SettingsError(
                    f"{text!r} names no blocks of {encoder.name}. Its blocks are {blocks[0]} to {blocks[-1]}"
                )
            tuned.update(chosen)
        return cls(frozenset(tuned), encoder)

    @property
    def frozen(self) -> frozenset[str]:
        """All blocks that are not tuned."""
        return frozenset(self._blocks) - self._tuned

    def parameter_groups(self, network: Network, learning_rate: float) -> list[dict[str, Any]]:
        """One group of all parameters that are not frozen."""
        frozen = self.frozen
        learning = [p for name, part in parts(network).items() if name not in frozen for p in part.parameters()]
        return [{"params": learning, "lr": learning_rate}]

    def _describe(self) -> str:
        if not self._tuned:
            return "head"
        if not self.frozen:
            return "all"
        runs: list[list[int]] = []
        for i, block in enumerate(self._blocks, 1):
            if block not in self._tuned:
                continue
            if runs and runs[-1][-1] == i - 1:
                runs[-1].append(i)
            else:
                runs.append([i])
        return "+".join(f"layer{r[0]}" if len(r) == 1 else f"layer{r[0]}-{r[-1]}" for r in runs)
