"""Training steps with one thread, with as many as there are cores, and with the number that `threads: auto` chooses.

Each is measured alone and beside busy processes, in turn and in one run, so that ratios can be compared. Run it on a
machine that is otherwise idle.

Example:
    python benchmarks/threads.py --seconds 5 --busy 4
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import joblib
import torch

from sslwear.encoders.base import Network, get
from sslwear.encoders.heads import classifier
from sslwear.training import threads
from sslwear.training.device import autocast, deterministic, resolve_precision
from sslwear.training.threads import operations_from, threads_for, use_threads

CASES = (("cnn10", 32), ("cnn10", 512), ("harnet10", 64))
CPU = torch.device("cpu")


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Run processes that compute all the time in a block."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def step_ms(name: str, batch_size: int, number: int | None, seconds: float) -> tuple[float, int]:
    """Mean duration of a training step in milliseconds, and the number of threads.

    Args:
        name: encoder.
        batch_size: windows in a batch.
        number: number of threads; None for that of `threads: auto`.
        seconds: duration of the measurement; at least two steps are measured.
    """
    encoder = get(name)()
    network = Network(encoder, classifier("published", encoder.features, 4))
    optimizer = torch.optim.Adam(network.parameters(), amsgrad=True, fused=True)
    x, labels = torch.randn(batch_size, 3, encoder.window_samples), torch.randint(0, 4, (batch_size,))
    precision = resolve_precision("auto", CPU)
    threads._measured = None  # measure idle cores again
    use_threads(number)
    operations = threads.SMALLEST_BATCH if number else batch_size * operations_from(network, encoder.window_samples)[0]

    def step() -> None:
        with autocast(CPU, precision):
            output = network(x)
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(output.float(), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    with deterministic(CPU), threads_for(operations):
        step()
        started, steps = time.perf_counter(), 0
        while steps < 2 or time.perf_counter() - started < seconds:
            step()
            steps += 1
        return 1e3 * (time.perf_counter() - started) / steps, torch.get_num_threads()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="seconds of each measurement")
    parser.add_argument("--busy", type=int, default=4, help="busy processes beside the training")
    options = parser.parse_args()
    cores = joblib.cpu_count()
    print(f"| network | batch | busy processes | 1 thread ms | {cores} threads ms | auto ms | auto's threads |")
    print("|---|---|---|---|---|---|---|")
    for processes in (0, options.busy):
        with busy(processes):
            for name, batch_size in CASES:
                (one, _), (all_, _), (auto, chosen) = (
                    step_ms(name, batch_size, number, options.seconds) for number in (1, cores, None)
                )
                print(f"| {name} | {batch_size} | {processes} | {one:.1f} | {all_:.1f} | {auto:.1f} | {chosen} |")


if __name__ == "__main__":
    main()
