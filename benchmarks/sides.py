"""What `surgical.py` measures: single trainings and whole studies, by either side, and a training step's rate."""

from __future__ import annotations

import functools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from machine import new_store

from sslwear.config import Settings, parse
from sslwear.data.arrays import write_dataset
from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import prepare
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.encoders.base import Network
from sslwear.encoders.base import get as get_encoder
from sslwear.encoders.heads import Classifier
from sslwear.encoders.weights import save
from sslwear.studies.database import trials
from sslwear.studies.database.trials import winner
from sslwear.studies.search.first_trials import first_trials
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.trial import training_run as trial
from sslwear.studies.trial.pretraining import pretraining_windows
from sslwear.studies.trial.single_run import pretrain_once
from sslwear.tracking import RUN_URI, Run, Store
from sslwear.tracking.checkpoints import load_weights
from sslwear.training import FeatureCache, FitData, FitSettings, fit
from sslwear.training.device import resolve_precision
from sslwear.tuning.base import parse as parse_tuning

TRIALS, EPOCHS, STUDY_BATCH, BATCH = 24, 10, 64, 256
SEARCH = {
    "tuning": "any",
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
        "split": {"validation": 0.125},  # the reference has one hold-out
        "sampler": {"startup_trials": TRIALS},
        "training": {
            "tuning": "all",
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
    context = StudyContext.open(settings(place, "all"), store)
    learning = np.isin(whole.pid, context.split.train)
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
    state = load_weights(store, f"{RUN_URI}{run}")
    body.feature_extractor.load_state_dict(
        {key.removeprefix("feature_extractor."): value for key, value in state.items() if key.startswith("feature")}
    )
    save(Network(body, torch.nn.Identity()), place / "pretrained" / "body.safetensors")


def arrays_of(context: StudyContext) -> dict[str, Any]:
    """The experiment's windows and labels as plain arrays, for the reference side."""
    dataset, split = context.dataset, context.split
    train, validation = (context.windows(people).rows for people in (split.train, split.validation))
    found = {
        "x": np.array(dataset.windows[train]),
        "y": dataset.labels[train],
        "validation_x": np.array(dataset.windows[validation]),
        "validation_y": dataset.labels[validation],
    }
    tasks = [task for task in context.settings.search.choices("pretext") or () if task != "none"]
    if not tasks:
        return found
    sides = pretraining_windows(context, tasks[0])  # the same windows for each task
    for name, side in (("pretext_x", sides.train), ("held_out_x", sides.validation)):
        found[name] = np.array(dataset.windows[np.isin(dataset.pid, side.participants())])
    return found


def single(
    tuned: str, epochs: int = EPOCHS, warm: bool = False, augment: bool = False
) -> Callable[[str, Path], dict[str, float]]:
    """One training without tracking, by either side; `warm` says whether the cache was filled by an earlier one."""

    def measure(side: str, place: Path) -> dict[str, float]:
        chosen = settings(place, "single")
        context = StudyContext.open(chosen, new_store(place / "store"))
        if side == "reference":
            import reference

            body = dict(context.new_encoder().feature_extractor.state_dict())
            frozen = parse_tuning(tuned, context.encoder).frozen
            learning = [name for name in context.encoder.block_names() if name not in frozen]
            data = arrays_of(context)

            def run(count: int) -> float:
                return reference.fine_tune(data, body, learning, 3e-4, BATCH, count, 0, augment)
        else:
            folder = tempfile.mkdtemp(dir=place)
            cache = FeatureCache(Path(folder), int(0.5e9), int(10e9))
            split, task = context.split, context.classification(chosen.training)
            augmented = chosen.training.model_copy(update={"augment": augment})
            data = FitData(context.windows(split.train, augmented), context.windows(split.validation))

            def run(count: int, cache: FeatureCache | None = cache) -> float:
                how = FitSettings(3e-4, BATCH, count, EPOCHS * 9, 0, context.device, context.precision)
                strategy = parse_tuning(tuned, context.encoder)
                return fit(context.new_encoder(), task, data, strategy, how, None, cache).validation.scores["kappa"]

        if side == "reference":
            run(1)
        else:
            run(1, None)  # type: ignore[call-arg] # not into the cache
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
        context = StudyContext.open(chosen, store)
        trials = first_trials(context)
        if side == "reference":
            import reference

            body = dict(context.new_encoder().feature_extractor.state_dict())
            data = arrays_of(context)
            reference.fine_tune(data, body, ["layer5"], 1e-4, STUDY_BATCH, 1, 0)
            best, seconds = reference.study(trials, data, body, STUDY_BATCH, EPOCHS, 0, folder)
            return {"seconds": seconds, "kappa": best}
        data = FitData(context.windows(context.split.train), context.windows(context.split.validation))
        strategy = parse_tuning("layer5", context.encoder)
        fit(
            context.new_encoder(),
            context.classification(chosen.training),
            data,
            strategy,
            FitSettings(1e-4, STUDY_BATCH, 1, 9, 0, context.device, context.precision),
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
        logs = [*((Run, name) for name in names), (Store, "start"), (trial, "_log_result"), (trials, "log")]
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
