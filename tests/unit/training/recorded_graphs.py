"""A stand-in for CUDA graphs on the CPU: operations are recorded, and repeated on the same tensors without Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

Operation = Callable[..., Any]
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "unique", "is_nonzero", "equal")
"""Operations that wait for a device, or copy from the CPU, as a CUDA graph cannot."""


class Recorder(TorchDispatchMode):
    """Operations of a block with their arguments and results; what they changed is undone at the end, as if they had
    not been run."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Operation, tuple[Any, ...], dict[str, Any], list[Tensor]]] = []
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        self._draws = {torch.default_generator: torch.get_rng_state()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if any(name in str(func) for name in WAITS):
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        changed = []
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write:
                changed += [one for one in tree_iter(value) if isinstance(one, Tensor)]
        unlisted = args[3:5] if "batch_norm" in str(func) and "backward" not in str(func) else ()  # running statistics
        for value in [*changed, *(one for one in unlisted if isinstance(one, Tensor))]:
            self._before.setdefault(id(value), (value, value.detach().clone()))
        for value in tree_iter((args, kwargs)):
            if isinstance(value, torch.Generator):
                self._draws.setdefault(value, value.get_state())
        result = func(*args, **kwargs)
        given = {value.untyped_storage().data_ptr() for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)}
        new = [value for value in tree_iter(result) if isinstance(value, Tensor)]
        if not any(value.untyped_storage().data_ptr() in given for value in new) or changed:
            self.operations.append((func, args, kwargs, [] if changed else new))
        return result

    def undo(self) -> None:
        """Put tensors and generators into the state from before the block."""
        with torch.no_grad():
            for value, before in self._before.values():
                value.copy_(before)
        for generator, state in self._draws.items():
            generator.set_state(state)

    @torch.no_grad()
    def repeat(self) -> None:
        """Run the operations again, into the same tensors."""
        for func, args, kwargs, results in self.operations:
            found = [value for value in tree_iter(func(*args, **kwargs)) if isinstance(value, Tensor)]
            for value, new in zip(results, found, strict=bool(results)):
                value.copy_(new)


class RecordedGraphs:
    """`sslwear.training.graphs.Graphs` on the CPU.

    Attributes:
        records: number of branches of each record.
        repeats: how often each was repeated.
    """

    def __init__(self, *_: object) -> None:
        self.records: list[int] = []
        self.repeats: list[int] = []

    def run(self, step: Callable[[], None], branch: int) -> None:
        """Take a step."""
        step()

    def record(self, steps: Sequence[Callable[[], None]], generators: Iterable[torch.Generator]) -> Callable[[], None]:
        """Record steps without a change."""
        recorder = Recorder()
        try:
            with recorder:
                for step in steps:
                    step()
        finally:
            recorder.undo()
        self.records.append(len(steps))
        self.repeats.append(0)
        return partial(self._repeat, recorder, len(self.records) - 1)

    def _repeat(self, recorder: Recorder, number: int) -> None:
        self.repeats[number] += 1
        recorder.repeat()
