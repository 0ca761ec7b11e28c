"""How many operations the studies of `surgical.py` want at least on either side.

    python benchmarks/operations.py [--every 2]

Counts multiplications and additions of the very trials (masks, pretext tasks, epochs, windows), forward and backward,
by PyTorch's counter on tensors without values. They do not depend on the processor; divided by the rate of its matrix
product they are the least time that any program can take.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from machine import new_store, write_section
from sides import EPOCHS, make, settings
from torch._subclasses import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from sslwear.config import NO_PRETEXT
from sslwear.encoders.base import Network
from sslwear.encoders.heads import Classifier
from sslwear.studies.search.first_trials import first_trials
from sslwear.studies.search.sampling import chosen
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.trial.pretraining import pretraining_windows

TITLES = {"pretext": "pretext task, mask and learning rate", "masks": "mask and learning rate"}
HEADING = "Fine-tuning, operations of whole studies: `python benchmarks/operations.py`"


def counted(action: Callable[[], Any]) -> int:
    """Operations of an action."""
    with FlopCounterMode(display=False) as counter:
        action()
    return int(counter.get_total_flops())


def counter_of(context: StudyContext) -> Callable[[frozenset[str], int, bool], int]:
    """Counts the operations of a step or a forward pass for a window, behind so many blocks whose outputs are kept."""
    classes = len(context.dataset.class_names)

    @cache
    def count(frozen: frozenset[str], kept: int, backward: bool) -> int:
        with FakeTensorMode():
            network = Network(context.encoder(), Classifier(context.encoder.features, classes)).train()
            for name, block in network.blocks.items():
                block.requires_grad_(name not in frozen)
            with torch.no_grad():
                x = network.forward_blocks(torch.empty(1, 3, context.encoder.window_samples), 0, kept)
            return counted(lambda: network(x, kept).sum().backward() if backward else network(x, kept))

    return count


def operations(context: StudyContext) -> tuple[float, float]:
    """Operations of a study's trials by the reference, which keeps nothing and pre-trains for each, and by ours."""
    count, nothing = counter_of(context), frozenset[str]()
    windows = [len(context.windows(side)) for side in (context.split.train, context.split.validation)]
    reference, ours, known = 0, 0, {NO_PRETEXT}
    for params in first_trials(context):
        training = chosen(context.settings, context.encoder, params).training
        frozen = context.tuning(training).frozen
        kept = len(list(itertools.takewhile(frozen.__contains__, context.encoder.block_names())))
        once = count(nothing, 0, False) - count(nothing, kept, False)
        reference += EPOCHS * (windows[0] * count(frozen, 0, True) + windows[1] * count(nothing, 0, False))
        ours += EPOCHS * (windows[0] * count(frozen, kept, True) + windows[1] * count(nothing, kept, False))
        ours += sum(windows) * once
        if training.pretext != NO_PRETEXT:
            data = pretraining_windows(context, training.pretext)
            learning = len(data.train) * count(nothing, 0, True) + len(data.validation) * count(nothing, 0, False)
            reference += EPOCHS * learning
            ours += EPOCHS * learning if training.pretext not in known else 0
            known.add(training.pretext)
    return reference, ours


def main() -> None:
    """Count, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=2, help="studies learn from one training window in so many")
    arguments = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make(place, arguments.every)
        for study, title in TITLES.items():
            reference, ours = operations(StudyContext.open(settings(place, study), new_store(place / study)))
            lines.append(f"| {title} | {reference / 1e12:.0f} | {ours / 1e12:.0f} |")
            print(lines[-1], flush=True)
    table = "\n".join(["| study | reference | ours |", "|---|---|---|", *lines])
    write_section(HEADING, f"TFLOP, one training window in {arguments.every}.\n\n{table}")


if __name__ == "__main__":
    main()
