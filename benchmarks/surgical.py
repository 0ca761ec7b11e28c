"""Surgical fine-tuning side by side with the tutorial's loop (`reference.py`).

    python benchmarks/surgical.py [--rounds 3] [--every 4] [--parts trainings studies rate memory]

Both sides run in turn, each measurement in a process of its own, on the smart-watch recordings that the package
embeds: the same windows, split, first weights, trials in the same order, seeds, batch sizes and epochs, without early
stopping. Databases are made, code is imported and a step is taken before the clock starts. Rows that have the same
reference side share its measurements. Prints medians and ratios, and writes each part to RESULTS.md when it is done.

Studies learn from every fourth window of the training participants, so that three rounds of the slower side end within
an hour on a processor with bf16; single trainings learn from all.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from machine import describe, new_store, peak_mb, write_section
from memory import peak_mb as resident
from memory import tile

from sslwear.data.arrays import write_dataset
from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import prepare
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.encoders.base import Network
from sslwear.encoders.base import get as get_encoder
from sslwear.encoders.heads import Classifier
from sslwear.encoders.weights import save
from sslwear.search import report, trial
from sslwear.search.experiment import Experiment
from sslwear.search.pretraining import pretraining_data
from sslwear.search.proposal import first_trials
from sslwear.search.report import winner
from sslwear.search.single import pretrain_once
from sslwear.search.study import run_study
from sslwear.settings import Settings, parse
from sslwear.tracking import RUN_URI, Run, Store
from sslwear.training import FeatureCache, FitData, FitSettings, fit
from sslwear.training.device import resolve_precision
from sslwear.tuning.base import parse as parse_tuning

TRIALS, EPOCHS, STUDY_BATCH, BATCH = 24, 10, 64, 256
SEARCH = {
    "tuned": "any",
    "learning_rate": {"low": 1e-4, "high": 1e-3},
    "pretext": ["none", "reverse", "permutation", "time_warp", "multi"],
}
PRUNER = {"name": "halving", "warmup_epochs": 0}
FLOP_A_WINDOW = 3 * 0.575e9
"""Of a training step of harnet10: forward, and twice that backward."""


def settings(place: Path, study: str, **changes: Any) -> Settings:
    """What the studies and the trainings have in common."""
    few = study.startswith(("pretext", "masks"))
    common = {
        "study": study,
        "data": str(place / ("few" if few else "all")),
        "weights": str(place / ("pretrained" if study.startswith("masks") else "random") / "body.safetensors"),
        "trials": TRIALS,
        "sampler": {"startup_trials": TRIALS},
        "training": {
            "tuned": "all",
            "learning_rate": 3e-4,
            "batch_size": STUDY_BATCH if few else BATCH,
            "max_epochs": EPOCHS,
            "patience": EPOCHS,
        },
        "pretraining": {"batch_size": STUDY_BATCH, "max_epochs": EPOCHS, "patience": EPOCHS},
        "search": {key: value for key, value in SEARCH.items() if key != "pretext" or study.startswith("pretext")},
        "pruner": {"name": "none"},
    }
    return parse({**common, **changes}, "the benchmark")


def make(place: Path, every: int) -> None:
    """Data sets, and weights to start from: random ones, and ones pre-trained for a little."""
    prepare(Smartwatch(), place / "all")
    whole = open_dataset(place / "all")
    torch.manual_seed(0)
    body = get_encoder("harnet10")()
    for name in ("random", "pretrained"):
        (place / name).mkdir()
        save(Network(body, torch.nn.Identity()), place / name / "body.safetensors")
    store = new_store(place / "store")
    experiment = Experiment.build(settings(place, "all"), store)
    learning = np.isin(whole.pid, experiment.split.train)
    keep = ~learning | (np.cumsum(learning) % every == 0)
    names = np.array(whole.class_names)[whole.labels]
    arrays = (np.array(whole.windows[keep]), names[keep], whole.pid[keep], whole.start[keep])
    write_dataset(place / "few", *arrays, whole.description)
    chosen = settings(
        place,
        "masks-start",
        weights=str(place / "random" / "body.safetensors"),
        pretraining={"max_epochs": 3},
        training={"pretext": "multi"},
    )
    run, _ = pretrain_once(chosen, store)
    state = store.load_weights(f"{RUN_URI}{run}")
    body.feature_extractor.load_state_dict(
        {key.removeprefix("feature_extractor."): value for key, value in state.items() if key.startswith("feature")}
    )
    save(Network(body, torch.nn.Identity()), place / "pretrained" / "body.safetensors")


def arrays_of(experiment: Experiment) -> dict[str, Any]:
    """The experiment's windows and labels as plain arrays, for the reference side."""
    dataset, split = experiment.dataset, experiment.split
    train, validation = (experiment.windows(people).rows for people in (split.train, split.validation))
    found = {
        "x": np.array(dataset.windows[train]),
        "y": dataset.labels[train],
        "validation_x": np.array(dataset.windows[validation]),
        "validation_y": dataset.labels[validation],
    }
    if experiment.settings.search.pretext is None:
        return found
    sides = pretraining_data(experiment)
    for name, side in (("pretext_x", sides.train), ("held_out_x", sides.validation)):
        found[name] = np.array(dataset.windows[np.isin(dataset.pid, side.participants())])
    return found


def single(
    tuned: str, epochs: int = EPOCHS, warm: bool = False, augment: bool = False
) -> Callable[[str, Path], dict[str, float]]:
    """One training without tracking, by either side; `warm` says whether the cache was filled by an earlier one."""

    def measure(side: str, place: Path) -> dict[str, float]:
        chosen = settings(place, "single")
        experiment = Experiment.build(chosen, new_store(place / "store"))
        if side == "reference":
            import reference

            body = dict(experiment.new_encoder().feature_extractor.state_dict())
            frozen = parse_tuning(tuned, experiment.encoder).frozen
            learning = [name for name in experiment.encoder.block_names() if name not in frozen]
            data = arrays_of(experiment)

            def run(count: int) -> float:
                return reference.fine_tune(data, body, learning, 3e-4, BATCH, count, 0, augment)
        else:
            folder = tempfile.mkdtemp(dir=place)
            cache = FeatureCache(Path(folder), int(0.5e9), int(10e9))
            split, task = experiment.split, experiment.classification(chosen.training)
            data = FitData(experiment.windows(split.train, augment), experiment.windows(split.validation))

            def run(count: int, cache: FeatureCache | None = cache) -> float:
                how = FitSettings(3e-4, BATCH, count, EPOCHS * 9, 0, experiment.device, experiment.precision)
                strategy = parse_tuning(tuned, experiment.encoder)
                return fit(experiment.new_encoder(), task, data, strategy, how, None, cache).validation.scores["kappa"]

        if side == "reference":
            run(1)
        else:
            run(1, None)  # not into the cache
            if warm:
                run(1)
        began = time.perf_counter()
        kappa = run(epochs)
        return {"seconds": time.perf_counter() - began, "kappa": kappa}

    return measure


def study(kind: str, pruned: bool = False, whole: bool = False) -> Callable[[str, Path], dict[str, float]]:
    """A whole study, tracked, by either side; `whole` has it learn from all training windows."""

    def measure(side: str, place: Path) -> dict[str, float]:
        folder = Path(tempfile.mkdtemp(dir=place))
        store = new_store(folder)
        changes = {"pruner": PRUNER if pruned else {"name": "none"}, "data": str(place / ("all" if whole else "few"))}
        chosen = settings(place, kind, **changes)
        experiment = Experiment.build(chosen, store)
        trials = first_trials(experiment)
        if side == "reference":
            import reference

            body = dict(experiment.new_encoder().feature_extractor.state_dict())
            data = arrays_of(experiment)
            reference.fine_tune(data, body, ["layer5"], 1e-4, STUDY_BATCH, 1, 0)
            best, seconds = reference.study(trials, data, body, STUDY_BATCH, EPOCHS, 0, folder)
            return {"seconds": seconds, "kappa": best}
        data = FitData(experiment.windows(experiment.split.train), experiment.windows(experiment.split.validation))
        strategy = parse_tuning("layer5", experiment.encoder)
        fit(
            experiment.new_encoder(),
            experiment.classification(chosen.training),
            data,
            strategy,
            FitSettings(1e-4, STUDY_BATCH, 1, 9, 0, experiment.device, experiment.precision),
        )
        with logging_timed() as spent:
            began = time.perf_counter()
            done = run_study(chosen, store)
            seconds = time.perf_counter() - began
        assert [frozen.params for frozen in done.trials] == trials
        best = winner(done)
        assert best is not None
        assert best.value is not None
        return {"seconds": seconds, "kappa": best.value, "logging": spent[0] / seconds}

    return measure


@contextmanager
def logging_timed() -> Iterator[list[float]]:
    """Add up, in a list of one number, the seconds that are spent on MLflow and on pictures inside."""
    spent, inside = [0.0], [False]

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if inside[0]:
                return function(*args, **kwargs)
            inside[0], began = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[0] += time.perf_counter() - began
                inside[0] = False

        return wrapper

    with ExitStack() as stack:
        names = ("params", "metrics", "tags", "describe", "text", "figure", "dataset", "checkpoint", "end", "reopen")
        logs = [*((Run, name) for name in names), (Store, "start"), (trial, "_log_result"), (report, "log")]
        for owner, name in logs:
            stack.enter_context(mock.patch.object(owner, name, timed(getattr(owner, name))))
        yield spent


def rate(side: str, place: Path) -> dict[str, float]:
    """Share of the matrix product's rate that training everything reaches, both in one process and one precision."""
    del side, place
    bf16 = resolve_precision("auto", torch.device("cpu")) == "bf16"
    network, windows = Network(get_encoder("harnet10")(), Classifier(1024, 7)).train(), torch.randn(BATCH, 3, 300)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, amsgrad=True, fused=True)
    target = torch.randint(0, 7, (BATCH,))
    matrix = torch.randn(4096, 4096, dtype=torch.bfloat16 if bf16 else torch.float32)

    def step(through: torch.nn.Module = network) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            output = through(windows)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(output.float(), target).backward()
        optimizer.step()

    def seconds(action: Callable[[], Any], times: int) -> float:
        action()
        began = time.perf_counter()
        for _ in range(times):
            action()
        return (time.perf_counter() - began) / times

    compiled = torch.compile(network)
    began = time.perf_counter()
    step(compiled)
    compiling = time.perf_counter() - began
    product = statistics.median(2 * 4096**3 / seconds(lambda: matrix @ matrix, 3) for _ in range(5))
    windows_s = statistics.median(BATCH / seconds(step, 3) for _ in range(5))
    compiled_s = statistics.median(BATCH / seconds(lambda: step(compiled), 3) for _ in range(5))
    return {
        "share": windows_s * FLOP_A_WINDOW / product,
        "windows_s": windows_s,
        "product": product / 1e9,
        "compiled_s": compiled_s,
        "compiling": compiling,
    }


TRAIN_REFERENCE = """
import sys, pathlib, reference
reference.train_on_what_is_larger_than_memory(pathlib.Path(sys.argv[1]), batch_size=64, seconds=60)
"""


def large(side: str, place: Path) -> float:
    """Most memory in MB of opening 3.2 GB of windows and training harnet30, everything tuned, on some of them."""
    if side == "reference":
        command = [sys.executable, "-c", TRAIN_REFERENCE, str(place / "tiled")]
        most, _, code = resident(command, PYTHONPATH=str(Path(__file__).parent))
    else:
        content = {"data": str(place / "tiled"), "encoder": "harnet30", "split": {"test": 0.98, "validation": 0.34}}
        training = {"tuned": "all", "batch_size": 64, "max_epochs": 1}
        (place / "large.yaml").write_text(json.dumps({"study": "large", **content, "training": training}))
        command = [str(Path(sys.executable).parent / "sslwear"), "train", str(place / "large.yaml")]
        most, _, code = resident(command, SSLWEAR_HOME=str(place / "home"))
    assert code == 0, f"{side} ended with {code}"
    return most


ROWS: dict[str, tuple[str, str, Callable[[str, Path], dict[str, float]], str]] = {
    "pretext": ("24 trials over pretext task, block mask and learning rate", "3.5 x", study("pretext"), "pretext"),
    "pretext-pruned": ("the same, pruned on our side", "7 x", study("pretext", pruned=True), "pretext"),
    "masks": (
        "24 trials over block mask and learning rate, from one pre-trained encoder",
        "2.3 x",
        study("masks"),
        "masks",
    ),
    "masks-pruned": ("the same, pruned on our side", "5 x", study("masks", pruned=True), "masks"),
    "head": ("head only, 20 epochs, cold cache", "25 x", single("head", 20), "head"),
    "head-warm": ("head only, 20 epochs, warm cache", "200 x", single("head", 20, warm=True), "head"),
    "deep": ("layers 1-3 frozen, cold cache", "3 x", single("layer4-5"), "deep"),
    "all": ("everything tuned", "1.7 x", single("all"), "all"),
    "augmented": ("everything tuned, augmented", "", single("all", augment=True), "augmented"),
}
"""By name: what it is, what is wanted at least, how it is measured, and the row whose reference side it shares."""
STUDIES = tuple(name for name in ROWS if name.startswith(("pretext", "masks")))
TRAININGS = tuple(name for name in ROWS if name not in STUDIES)
ALONE = {"whole": study("masks", whole=True), "rate": rate}
"""What is measured on our side only."""


def measured(side: str, row: str, place: Path) -> dict[str, float]:
    """One measurement, in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--row", row, "--place", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{row}, {side}:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{row:15} {side:10} " + "  ".join(f"{key} {value:.3f}" for key, value in found.items()), flush=True)
    return found


def compare(rows: Sequence[str], rounds: int, place: Path) -> str:
    """Run both sides in turn; returns a table in Markdown."""
    lines = [
        "| what | reference s | ours s | ratio | wanted | kappa, reference | ours | MB, reference | ours | logging |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    references: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        what, wanted, _, shared = ROWS[row]
        ours, theirs = [], references.setdefault(shared, [])
        for i in range(rounds):
            if len(theirs) <= i:
                theirs.append(measured("reference", shared, place))
            ours.append(measured("ours", row, place))
        middle = {
            (side, key): statistics.median(found[key] for found in results)
            for side, results in (("ours", ours), ("reference", theirs))
            for key in ("seconds", "kappa", "peak_mb")
        }
        ratio = middle["reference", "seconds"] / middle["ours", "seconds"]
        cells = [
            what,
            f"{middle['reference', 'seconds']:.1f}",
            f"{middle['ours', 'seconds']:.2f}",
            f"**{ratio:.1f} x**",
            wanted,
            f"{middle['reference', 'kappa']:.3f}",
            f"{middle['ours', 'kappa']:.3f}",
            f"{middle['reference', 'peak_mb']:.0f}",
            f"{middle['ours', 'peak_mb']:.0f}",
            f"{statistics.median(found['logging'] for found in ours):.1%}" if "logging" in ours[0] else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def how(rounds: int) -> str:
    """What the tables have in common."""
    precision = resolve_precision("auto", torch.device("cpu"))
    return (
        f"{describe()}. Ours computes in {precision}, the reference in float32.\n"
        f"harnet10 on the smart-watch windows, {EPOCHS} epochs where nothing else is said; "
        + (f"medians of {rounds}, both sides in turn." if rounds > 1 else "measured once, both sides in turn.")
    )


def trainings(place: Path, rounds: int) -> str:
    """Single trainings, side by side."""
    return (
        f"{how(rounds)}\nBatches of {BATCH}, all training windows, no tracking.\n\n{compare(TRAININGS, rounds, place)}"
    )


def studies(place: Path, rounds: int, every: int) -> str:
    """Whole studies, side by side, and what logging adds to one on all windows."""
    table = compare(STUDIES, rounds, place)
    whole = measured("ours", "whole", place)
    return f"""{how(rounds)}
Batches of {STUDY_BATCH}, one training window in {every}.

{table}

Logging, pictures included, is {whole["logging"]:.1%} of the time of the study of masks on all training windows
({whole["seconds"]:.0f} s, once; wanted 3 %)."""


def of_the_machine(place: Path) -> str:
    """How close a training step comes to what the machine can do."""
    share = measured("ours", "rate", place)
    return f"""{describe()}. Everything tuned, batches of {BATCH}, a training step again and again:
{share["windows_s"]:.0f} windows/s in {resolve_precision("auto", torch.device("cpu"))}, which is
**{share["share"]:.0%}** of the rate of the machine's matrix product in the same precision ({share["product"]:.0f}
GFLOP/s, in the same process; wanted 70 % in bf16). `torch.compile` is not used: {share["compiled_s"]:.0f} windows/s
after {share["compiling"]:.0f} s of compiling."""


def memory(place: Path) -> str:
    """Larger than memory, side by side."""
    tile(place, 300_000, 151)
    most = {side: large(side, place) for side in ("reference", "ours")}
    return f"""{describe()}. 300,000 windows of 30 s, 3.2 GB, harnet30, everything tuned, batches of 64:
{most["reference"]:.0f} MB by the reference, which loads all and splits it by copying, {most["ours"]:.0f} MB by ours:
**{most["ours"] / most["reference"]:.0%}** (wanted 25 %)."""


PARTS: dict[str, tuple[str, Callable[[Path, argparse.Namespace], str]]] = {
    "trainings": ("single trainings", lambda place, options: trainings(place, options.rounds)),
    "studies": ("whole studies", lambda place, options: studies(place, options.rounds, options.every)),
    "rate": ("share of what the machine can do", lambda place, _: of_the_machine(place)),
    "memory": ("data larger than memory", lambda place, _: memory(place)),
}


def main() -> None:
    """Compare, or measure one side of one row and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=int, default=4, help="studies learn from one training window in so many")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--side", choices=["ours", "reference"], help=argparse.SUPPRESS)
    parser.add_argument("--row", choices=[*ROWS, *ALONE], help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        row = arguments.row
        found = (ALONE[row] if row in ALONE else ROWS[row][2])(arguments.side, arguments.place)
        found["peak_mb"] = peak_mb()
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make(place, arguments.every)
        for name in arguments.parts:
            title, measure = PARTS[name]
            heading = f"Fine-tuning, {title}: `python benchmarks/surgical.py --parts {name}`"
            write_section(heading, measure(place, arguments))


if __name__ == "__main__":
    main()
