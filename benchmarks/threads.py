"""Training steps with one thread, with as many as there are cores, and with the number that `threads: auto` chooses.

Each is measured alone and beside busy processes, in turn and in one run, so that ratios can be compared. Run it on a
machine that is otherwise idle. With `--workers`, processes of one thread, one for each core, are compared with one
process of as many threads: this is what `sslwear study run --workers auto` goes by.

Example:
    python benchmarks/threads.py --seconds 5 --busy 4
    python benchmarks/threads.py --seconds 5 --workers
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import torch

from sslwear.encoders.base import Network, get
from sslwear.encoders.heads import classifier
from sslwear.training import threads
from sslwear.training.device import autocast, deterministic, resolve_precision
from sslwear.training.threads import operations_from, threads_for, use_threads

CASES = (("cnn10", 32), ("cnn10", 512), ("harnet10", 64))
WORKER_CASES = tuple(
    (name, batch) for name in ("cnn5", "cnn10", "harnet5", "harnet10", "multiscale") for batch in (32, 256)
)
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


def step_ms(
    name: str, batch_size: int, number: int | None, seconds: float, precision: str = "auto"
) -> tuple[float, int]:
    """Mean duration of a training step in milliseconds, and the number of threads.

    Args:
        name: encoder.
        batch_size: windows in a batch.
        number: number of threads; None for that of `threads: auto`.
        seconds: duration of the measurement; at least two steps are measured.
        precision: as in a study file.
    """
    encoder = get(name)()
    network = Network(encoder, classifier("published", encoder.features, 4))
    optimizer = torch.optim.Adam(network.parameters(), amsgrad=True, fused=True)
    x, labels = torch.randn(batch_size, 3, encoder.window_samples), torch.randint(0, 4, (batch_size,))
    precision = resolve_precision(precision, CPU)
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


def steps_per_second(name: str, batch_size: int, processes: int, number: int, seconds: float) -> float:
    """Training steps a second of all of some processes that train at the same time.

    Args:
        name: encoder.
        batch_size: windows in a batch.
        processes: number of processes.
        number: number of threads of each.
        seconds: duration of the measurement.
    """
    code = f"import threads; print(threads.step_ms({name!r}, {batch_size}, {number}, {seconds})[0])"
    command = [sys.executable, "-c", code]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
        for _ in range(processes)
    ]
    return sum(1e3 / float(process.communicate()[0]) for process in running)


def compare_workers(seconds: float) -> None:
    """Print a row for each network."""
    cores = joblib.cpu_count()
    print(f"| network | batch | {cores} workers of 1 thread, steps/s | 1 worker of {cores} threads | ratio |")
    print("|---|---|---|---|---|")
    for name, batch_size in WORKER_CASES:
        many = steps_per_second(name, batch_size, cores, 1, seconds)
        one = steps_per_second(name, batch_size, 1, cores, seconds)
        print(f"| {name} | {batch_size} | {many:.2f} | {one:.2f} | {many / one:.2f} |", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="seconds of each measurement")
    parser.add_argument("--busy", type=int, default=4, help="busy processes beside the training")
    parser.add_argument("--workers", action="store_true", help="compare workers of one thread with one of all threads")
    options = parser.parse_args()
    if options.workers:
        compare_workers(options.seconds)
        return
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
