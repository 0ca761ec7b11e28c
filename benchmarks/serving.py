"""Latency and rate of a served model, over HTTP and beside it.

    python benchmarks/serving.py [--encoder harnet10] [--repeats 20]

Starts `sslwear serve` for a network with random weights, as a user would, sends windows as JSON, and compares with the
same model called in this process. Prints medians, and writes a section of RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from machine import describe, new_store, write_section

from sslwear.deployment import registry
from sslwear.deployment.model_aliases import move_alias
from sslwear.encoders.base import get as get_encoder
from sslwear.encoders.card import Card, network
from sslwear.encoders.classifier import Model
from sslwear.tracking import Store

SIZES = (1, 32, 512)


def register(store: Store, encoder: str) -> None:
    """Make a model of that encoder the champion of a new store."""
    kind = get_encoder(encoder)
    card = Card(encoder, kind.window_samples, 30.0, "g", ("walk", "sit", "stand"), "none", "none", None)
    run = store.create_run(store.experiment("bench"), "bench", "train")
    example = np.zeros((1, kind.window_samples, 3), np.float32) + np.float32(0.6)
    version = registry.register(store, "bench", run.id, network(card), card, example, "", {}, {})
    move_alias(store, "bench", registry.CHAMPION, str(version.version), "to be measured", None)
    run.end("FINISHED", "finished")


@contextmanager
def served(store: Store) -> Iterator[str]:
    """Run the server; gives the address of its invocations, and says how long it took to answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "sslwear"), "serve", "bench@champion", "--port", str(port)]
    began = time.perf_counter()
    server = subprocess.Popen(
        command,
        env={**os.environ, "SSLWEAR_HOME": str(store.home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5)
                break
            except OSError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.1)
        print(f"first answer after {time.perf_counter() - began:.1f} s")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def median_s(call: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="harnet10")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    lines = [
        "| windows a request | over HTTP | windows/s | in this process | windows/s | JSON, MB |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = new_store(Path(folder))
        register(store, options.encoder)
        model: Model = registry.load_model(store, "bench@champion")
        draws = np.random.default_rng(0)
        with served(store) as address:
            for count in SIZES:
                windows = draws.normal(0, 0.1, (count, model.card.window_samples, 3)) + np.array([0, 0, 1])
                body = json.dumps({"inputs": windows.round(4).tolist()}).encode()
                request = urllib.request.Request(  # noqa: S310 - our own address
                    address, data=body, headers={"Content-Type": "application/json"}
                )
                repeats = max(3, options.repeats // (1 + count // 64))
                http = median_s(lambda request=request: urllib.request.urlopen(request).read(), repeats)  # type: ignore[misc] # noqa: S310
                here = median_s(lambda windows=windows: model.predict(windows), repeats)  # type: ignore[misc]
                cells = [str(count)]
                for seconds in (http, here):
                    cells += [f"{1000 * seconds:.0f} ms", f"{count / seconds:.0f}"]
                lines.append(f"| {' | '.join(cells)} | {len(body) / 1e6:.2f} |")
                print(lines[-1], flush=True)
    text = f"{describe()}. {options.encoder}, float32; medians, server and caller on the same machine.\n\n"
    write_section("Serving a model: `python benchmarks/serving.py`", text + "\n".join(lines))


if __name__ == "__main__":
    main()
