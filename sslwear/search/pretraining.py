"""Pre-training runs: one for each distinct setting, logged as a run of its own and shared by all that ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from sklearn.model_selection import ShuffleSplit
from torch import Tensor

from sslwear.checkpoints import load_weights
from sslwear.data.collection import LABELLED, Collection
from sslwear.encoders.heads import PUBLISHED
from sslwear.errors import DataError, LeakageError, SettingsError, WeightsError
from sslwear.evaluation.figures import learning_curves
from sslwear.model import Card
from sslwear.monitoring import monitored
from sslwear.plugins import source_digest
from sslwear.pretext.base import get as get_pretext
from sslwear.search.experiment import NO_PRETEXT, Experiment, digest, key_of
from sslwear.search.listener import Listener, beside_chance
from sslwear.task import Classification, Task
from sslwear.tracking import RUN_URI, Run, people
from sslwear.training import EpochRecord, FitData, FitSettings, fit
from sslwear.training.data import Drawn
from sslwear.tuning.base import parse as parse_tuning

CODE = ("data", "encoders", "pretext", "task.py", "training", "transforms.py")
"""Parts of this package that decide what pre-training gives."""


def pretrained(
    experiment: Experiment, experiment_id: str, pretext: str, parent: str | None, listener: Listener
) -> tuple[Mapping[str, Tensor], str]:
    """Weights of an encoder pre-trained on a pretext task: those of an earlier run with the same settings, or new ones.

    An earlier run may be of another study of the same store. Only training participants are looked at; some of them are
    held out to stop by.

    Args:
        experiment: encoder, first weights, data and seed.
        experiment_id: the MLflow experiment's id.
        pretext: the task's name.
        parent: id of the run to nest a new run under.
        listener: hears of the epochs.

    Returns:
        The weights by tensor name, and the id of the run that they are from.
    """
    key, store = setting_key(experiment, pretext), experiment.store
    with store.lock(f"pretraining-{key}"):  # of processes that want the same, one computes
        for earlier in store.find(None, pretraining_key=key, outcome="finished"):
            origin = earlier.info.run_id
            with suppress(WeightsError):  # somebody deleted its checkpoint
                return load_weights(store, f"{RUN_URI}{origin}"), origin
        tags = {**experiment.tags(), **_data_tags(experiment, pretext), "pretraining_key": key, "pretext": pretext}
        what = note(experiment, pretext)
        with store.running(experiment_id, f"pretext {pretext}", "pretraining", parent, what, **tags) as run:
            pretrain(experiment, pretext, run, listener)
    return load_weights(store, f"{RUN_URI}{run.id}"), run.id


def drawn_from(experiment: Experiment, pretext: str) -> Collection:
    """The windows that a pretext task is learnt on, before anybody is left out."""
    found = experiment.others or Collection((experiment.dataset,))
    return found.labelled() if pretext == LABELLED else found


def sees_tested(experiment: Experiment, pretext: str) -> bool:
    """Whether it may see windows of those who are validated and tested: of other data, and never with their labels."""
    return experiment.transductive and experiment.others is not None and pretext != LABELLED


def new_task(experiment: Experiment, pretext: str) -> Task:
    """The pretext task of that name, or classification of the activities of `pretraining.data`."""
    if pretext == LABELLED:
        return Classification(len(drawn_from(experiment, pretext).class_names))
    return get_pretext(pretext)()


def note(experiment: Experiment, pretext: str) -> str:
    """What a pre-training run is, in a sentence for its description (Markdown)."""
    settings, data = experiment.settings, drawn_from(experiment, pretext)
    on = "the activities of" if pretext == LABELLED else f"the pretext task `{pretext}`, on windows of"
    labels = ", **supervised by their labels**," if pretext == LABELLED else " without their labels,"
    seen = " **Those who are tested are among them (transductive).**" if sees_tested(experiment, pretext) else ""
    return (
        f"Fits {settings.encoder} (weights: {settings.weights}) on {on} `{data.name}`{labels} for at most "
        f"{settings.pretraining.max_epochs} epochs; trials that ask for the same start from it.{seen}"
    )


def _data_tags(experiment: Experiment, pretext: str) -> dict[str, str]:
    data, seen = drawn_from(experiment, pretext), sees_tested(experiment, pretext)
    return {"dataset": data.name, "fingerprint": data.fingerprint, "transductive": str(seen).lower()}


def setting_key(experiment: Experiment, pretext: str) -> str:
    """Names everything on which the outcome of pre-training depends."""
    settings = experiment.settings
    data = pretraining_data(experiment, pretext)
    return key_of(
        {
            "encoder": settings.encoder,
            "weights": digest(experiment.initial),
            "data": drawn_from(experiment, pretext).fingerprint,
            "train": sorted(map(str, data.train.participants())),
            "held_out": sorted(map(str, data.validation.participants())),
            "pretext": pretext,
            "drawn": experiment.others is not None,
            "settings": settings.pretraining.model_dump(exclude={"data"}),  # by content, not by place
            "seed": settings.seed,
            "device": experiment.device.type,
            "precision": experiment.precision,
            "include_nonwear": settings.include_nonwear,
            "code": source_digest(*CODE),
        }
    )


def pretrain(experiment: Experiment, pretext: str, run: Run, listener: Listener) -> None:
    """Pre-train an encoder and log all of it on an open run, which the caller ends.

    Args:
        experiment: encoder, first weights, data and seed.
        pretext: the task's name.
        run: where it is logged.
        listener: hears of the epochs.
    """
    settings, data = experiment.settings.pretraining, pretraining_data(experiment, pretext)
    task = new_task(experiment, pretext)
    _introduce(experiment, pretext, data, run)
    listener.started(f"pretext {pretext}", settings.max_epochs)

    log = run.epochs()

    def on_epoch(record: EpochRecord) -> None:
        log(record)
        listener.epoch(record, task.headline)

    with monitored(run):
        result = fit(
            experiment.new_encoder(),
            task,
            data,
            parse_tuning("all", experiment.encoder),
            FitSettings(
                settings.learning_rate,
                settings.batch_size,
                settings.max_epochs,
                settings.patience,
                experiment.settings.seed,
                experiment.device,
                experiment.precision,
            ),
            on_epoch,
        )
    scores = result.validation.scores
    run.metrics({"loss": result.validation.loss, "best_epoch": result.best_epoch}, result.best_epoch)
    run.figure(learning_curves(result.history, result.best_epoch, task.headline), "learning_curves.png")
    run.checkpoint(result.network, _card(experiment, pretext), scores, result.best_epoch)
    run.describe(
        f"{note(experiment, pretext)}\n\nOn {len(data.validation.participants())} held-out training participants: "
        f"{task.headline} {scores[task.headline]:.3f}, in epoch {result.best_epoch} of {len(result.history)}, whose "
        "weights are kept."
    )
    listener.note(
        f"pretext {pretext}: held-out {beside_chance(scores, task.headline)} after {len(result.history)} epochs, "
        "kept for all trials that ask for it"
    )


def _card(experiment: Experiment, pretext: str) -> Card:
    """The card of what was pre-trained; of its head where that tells activities."""
    card, data = experiment.card("all", pretext, PUBLISHED), drawn_from(experiment, pretext)
    names = data.class_names if pretext == LABELLED else card.class_names
    return replace(card, dataset=data.name, fingerprint=data.fingerprint, class_names=names)


def _introduce(experiment: Experiment, pretext: str, data: FitData, run: Run) -> None:
    """Log what a pre-training starts from."""
    run.text(experiment.settings.to_yaml(), "settings.yaml")
    run.params(
        {
            "pretext": pretext,
            "tuned": "all",
            **experiment.settings.pretraining.model_dump(),
            **experiment.circumstances(),
            **people(train=data.train.participants(), held_out=data.validation.participants()),
        }
    )
    windows = {"train": len(data.train), "validation": len(data.validation)}
    run.datasets(drawn_from(experiment, pretext).parts, windows)


def pretraining_data(experiment: Experiment, pretext: str) -> FitData:
    """Windows of people whom the labelled data neither validates nor tests on; some of them are held out to stop by.

    Raises:
        DataError: when there are fewer than two of them to split.
    """
    settings, shares = experiment.settings.pretraining, experiment.settings.split
    data, split = drawn_from(experiment, pretext), experiment.split
    judged = {str(participant) for participant in (*split.validation, *split.test)}
    persons = data.people(experiment.dataset.description, () if sees_tested(experiment, pretext) else judged)
    try:
        splitter = ShuffleSplit(n_splits=1, test_size=shares.validation, random_state=shares.validation_seed)
        sides = next(splitter.split(persons))
    except ValueError as error:
        raise DataError(
            f"{data.place}: pre-training needs at least 2 training participants, one of them to stop by, and there "
            f"are {len(persons)}; add recordings or set pretext to {NO_PRETEXT}"
        ) from error
    train, held_out = ([pool for i in sorted(side) for pool in persons[i]] for side in sides)
    by_motion = settings.sampling == "motion"
    if experiment.others is None and not by_motion:
        return FitData(*(experiment.windows(tuple(p.participant for p in side)) for side in (train, held_out)))
    share = None if experiment.others is None else settings.windows_per_participant
    return FitData(*(Drawn(side, share, settings.participants_at_a_time, by_motion) for side in (train, held_out)))


def check_pretraining(experiment: Experiment, names: Iterable[str]) -> None:
    """Refuse data that leave nobody to pre-train on, before anything starts, where a pretext task is wanted.

    Args:
        experiment: encoder, data and split.
        names: of the pretext tasks that may be asked for.

    Raises:
        DataError: when there are too few participants, or no labels where they are asked for.
        LeakageError: when these are labels of the people who are tested.
    """
    for name in sorted(set(names) - {NO_PRETEXT}):
        if name == LABELLED:
            _check_labels(experiment)
        pretraining_data(experiment, name)


def _check_labels(experiment: Experiment) -> None:
    """Refuse labels that supervised pre-training must not learn from."""
    dataset = experiment.dataset
    parts = drawn_from(experiment, LABELLED).parts if experiment.others is not None else ()
    if not parts:
        raise DataError(
            f"the pretext task {LABELLED} learns the labels of other people, and pretraining.data names no data set "
            "with labels; add one, such as pretraining.data: datasets/wisdm"
        )
    for part in parts:
        if part.fingerprint == dataset.fingerprint or part.description.source in (None, dataset.description.source):
            raise LeakageError(
                f"the pretext task {LABELLED} would learn the labels of {part.folder}, which may be of the people of "
                f"{dataset.folder}; give data sets of other sources, as their dataset.json says"
            )


def check_pretext(pretext: str) -> None:
    """Refuse to pre-train on nothing.

    Raises:
        SettingsError: when the pretext task is ``none``.
    """
    if pretext == NO_PRETEXT:
        raise SettingsError(
            "training.pretext is none, so there is nothing to pre-train on; choose a task, "
            "for example with --set training.pretext=reverse"
        )
