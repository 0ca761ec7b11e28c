"""Study context: data set, split, encoder and initial weights of a study, opened and checked before it starts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sslwear.config import OptimizationSettings, PretrainingSettings, Settings, TrainingSettings
from sslwear.data.dataset import Dataset
from sslwear.data.folds import study_split
from sslwear.data.pretraining import PretrainingData
from sslwear.data.shards import Shards
from sslwear.data.splits import Split, check_classes
from sslwear.encoders import weights
from sslwear.encoders.base import Encoder
from sslwear.encoders.base import get as get_encoder
from sslwear.studies.setup.data_checks import check_window_lengths, data_warnings
from sslwear.studies.setup.names import augmentation_of, check_names
from sslwear.tracking import Store
from sslwear.tracking.checkpoints import initial_weights, resolve_alias
from sslwear.training import AugmentedViews, FeatureCache, FitSettings, Windows
from sslwear.training.device import generator, resolve_device, resolve_precision, seeded
from sslwear.training.processes import Processes
from sslwear.training.task import Classification, inverse_frequency
from sslwear.training.threads import use_threads
from sslwear.tuning.base import TuningStrategy
from sslwear.tuning.base import parse as parse_tuning
from sslwear.utils import plugins

ENCODER_STREAM = 100


@dataclass(frozen=True)
class StudyContext:
    """What all trials of a study share.

    Attributes:
        settings: the study file's.
        store: receives runs and trials.
        dataset: labelled windows.
        pretraining_data: windows of `pretraining.data`; None where the study's training participants are used.
        split: training, validation and test participants; trials never use the test participants. With folds, all
            that are not test participants are training participants.
        folds: the splits in which each trial is trained and judged; one for a hold-out.
        encoder: class of the network.
        initial: initial weights by tensor name; None for random weights.
        origin: source of the initial weights: the settings' `weights`, with an alias, which may move, resolved to its
            version.
        device: device that computes.
        precision: ``float32`` or ``bf16``.
        threads: number of threads of PyTorch for large batches.
        cache: cache of the outputs of frozen blocks.
        transductive: whether pre-training may use windows of validation and test participants, without labels.
        processes: this process among those that train together.
        resumes: whether trainings go on from checkpoints, and write them.
    """

    settings: Settings
    store: Store
    dataset: Dataset
    pretraining_data: PretrainingData | None
    split: Split
    encoder: type[Encoder]
    initial: Mapping[str, Tensor] | None
    origin: str
    device: torch.device
    precision: str
    threads: int
    cache: FeatureCache
    folds: tuple[Split, ...]
    transductive: bool = False
    processes: Processes = field(default_factory=Processes)
    resumes: bool = True

    @classmethod
    def open(
        cls,
        settings: Settings,
        store: Store,
        dataset: Dataset | None = None,
        split: Split | None = None,
        read_weights: bool = True,
        processes: Processes = Processes(),  # noqa: B008 - it does not change
    ) -> StudyContext:
        """Open and check everything that the settings name, and set PyTorch's number of threads.

        Args:
            settings: the study file's.
            store: receives runs and trials.
            dataset: the labelled windows, if they are open already.
            split: the split; by default that of the settings, in folds or as a hold-out, in which each class must have
                a training window.
            read_weights: False where no encoder starts from the settings' weights, as in a promotion.
            processes: this process among those that train together.

        Raises:
            SslwearError: when a name does not exist, or data or weights cannot be used.
        """
        plugins.load_files(settings.plugins)
        encoder = get_encoder(settings.encoder)
        check_names(settings.training, settings.search, encoder)
        device = resolve_device(settings.device)
        dataset = dataset or open_labelled(settings, store)
        encoder = encoder.for_windows(dataset.window_s)
        folds: tuple[Split, ...] = () if split is None else (split,)
        if split is None:
            settings, split, folds = _divided(settings, dataset)
        places, origin = settings.pretraining.data, resolve_alias(store, settings.weights)
        context = cls(
            settings=settings,
            store=store,
            dataset=dataset,
            pretraining_data=store.open_pretraining_data(places, settings.include_nonwear) if places else None,
            split=split,
            encoder=encoder,
            initial=initial_weights(origin, encoder, store) if read_weights else None,
            origin=origin,
            device=device,
            precision=resolve_precision(settings.precision, device),
            threads=_use_threads(settings.threads),
            cache=store.feature_cache(settings.cache.memory_gb, settings.cache.disk_gb),
            folds=folds,
            processes=processes,
        )
        check_window_lengths(context._parts, encoder)
        return context

    def variant(
        self, split: Split, seed: int, origin: str, initial: Mapping[str, Tensor] | None, transductive: bool
    ) -> StudyContext:
        """Copy of the context with another split, seed and initial weights, which were read from `origin`."""
        settings = self.settings.model_copy(update={"seed": seed, "weights": origin})
        return replace(
            self,
            settings=settings,
            split=split,
            folds=(split,),
            initial=initial,
            origin=origin,
            transductive=transductive,
        )

    def in_fold(self, fold: Split) -> StudyContext:
        """The context of one fold, whose split has the fold's training and validation participants."""
        return replace(self, split=fold, folds=(fold,))

    def on_all(self) -> StudyContext:
        """The context in which all participants that are not test participants are training participants."""
        train = (*self.split.train, *self.split.validation)
        return replace(self, split=Split(train, (), self.split.test), folds=())

    @property
    def judged(self) -> tuple[Any, ...]:
        """Participants whose scores are a trial's result: all that are not test participants, or those of the
        hold-out's validation.
        """
        return tuple(dict.fromkeys(participant for fold in self.folds for participant in fold.validation))

    def with_pretraining(self, pretraining: PretrainingSettings) -> StudyContext:
        """The context for a trial with other settings of `pretraining` on the same data."""
        if pretraining == self.settings.pretraining:
            return self
        return replace(self, settings=self.settings.model_copy(update={"pretraining": pretraining}))

    def for_run(self) -> StudyContext:
        """The context for a new run: with ``threads: auto`` its number of threads follows the idle cores."""
        threads = _use_threads(self.settings.threads)
        return self if threads == self.threads else replace(self, threads=threads)

    @contextmanager
    def unchanged_data(self) -> Iterator[None]:
        """Check before and after the block, also when it fails, that the data sets in use were not changed.

        Raises:
            DataChangedError: when one was changed.
        """
        self.check_unchanged()
        try:
            yield
        except Exception:
            self.check_unchanged()
            raise
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Check that the data sets in use were not changed.

        Raises:
            DataChangedError: when one was changed.
        """
        for part in self._parts:
            part.check_unchanged()

    def new_encoder(self, state: Mapping[str, Tensor] | None = None, origin: str = "") -> Encoder:
        """A new encoder with given weights, or with the initial weights.

        Args:
            state: weights by tensor name.
            origin: source of the weights, for messages.
        """
        encoder = copy.deepcopy(self._first)
        if state is not None:
            weights.load_encoder(encoder, state, origin)
        return encoder

    @cached_property
    def _first(self) -> Encoder:
        """The initial encoder; copying it takes less time than drawing random weights again."""
        with seeded(generator(self.settings.seed, ENCODER_STREAM).initial_seed()):
            encoder = self.encoder()
        if self.initial is not None:
            weights.load_encoder(encoder, self.initial, self.settings.weights)
        return encoder

    def windows(self, participants: tuple[Any, ...], training: TrainingSettings | None = None) -> Windows:
        """All windows of some participants, with augmented views if `training` asks for them."""
        augmentation = augmentation_of(training) if training is not None else None
        views = AugmentedViews(augmentation, self.settings.seed) if augmentation is not None else None
        return Windows.of(self.dataset, participants, views)

    def classification(self, training: TrainingSettings) -> Classification:
        """The supervised task; class weights are those of the training participants."""
        classes = len(self.dataset.class_names)
        labels = self.dataset.labels[self.windows(self.split.train).rows]
        balanced = inverse_frequency(labels, classes) if training.class_weights else None
        return Classification(classes, balanced, training.head, training.label_smoothing)

    def tuning(self, training: TrainingSettings) -> TuningStrategy:
        """The tuning strategy of a trial."""
        return parse_tuning(training.tuning, self.encoder, "training.tuning")

    def fit_settings(self, training: TrainingSettings) -> FitSettings:
        """Fine-tuning settings of the training loop."""
        return FitSettings(
            learning_rate=training.learning_rate,
            batch_size=training.batch_size,
            max_epochs=training.max_epochs,
            patience=training.patience,
            seed=self.settings.seed,
            device=self.device,
            precision=self.precision,
            augmented_views=training.augmented_views,
            dropout=training.dropout,
            weight_average=training.weight_average,
            device_bytes=self.settings.cache.device_bytes,
            threads=self.threads,
            processes=self.processes,
            **training.model_dump(include=set(OptimizationSettings.model_fields)),
        )

    def runtime_params(self) -> dict[str, Any]:
        """MLflow parameters of every run: encoder, weights, seed, device, precision, threads, window, processes."""
        settings = self.settings
        return {
            "encoder": settings.encoder,
            "weights": self.origin,
            "seed": settings.seed,
            "device": str(self.device),
            "precision": self.precision,
            "threads": self.threads,
            "window_s": self.dataset.window_s,
            **({"processes": self.processes.count} if self.processes.several else {}),
        }

    def tags(self) -> dict[str, str]:
        """MLflow tags of every run, by name without the prefix ``sslwear.``."""
        return {
            "study": self.settings.study,
            "dataset": self.dataset.description.name,
            "fingerprint": self.dataset.fingerprint,
            "encoder": self.encoder.name,
            "objective": self.settings.objective,
        }

    def data_warnings(self) -> list[str]:
        """Warnings about the data sets, see `sslwear.studies.setup.data_checks.data_warnings`."""
        return data_warnings(self._parts, self.encoder)

    @property
    def _parts(self) -> list[Dataset | Shards]:
        """The labelled windows, and those of `pretraining.data`."""
        return [self.dataset, *(self.pretraining_data.parts if self.pretraining_data is not None else ())]


def open_labelled(settings: Settings, store: Store) -> Dataset:
    """Open the labelled windows of a study; with `include_nonwear`, windows not worn are used like any other."""
    plugins.load_files(settings.plugins)
    dataset = store.open_dataset(settings.data)
    return replace(dataset, worn=np.ones(len(dataset), bool)) if settings.include_nonwear else dataset


def _divided(settings: Settings, dataset: Dataset) -> tuple[Settings, Split, tuple[Split, ...]]:
    """The settings with all of their split, that split and its folds; each class must have a training window."""
    settings = settings.model_copy(update={"split": settings.split.for_study(len(dataset.participants))})
    split, folds = study_split(dataset, settings.split)
    check_classes(dataset, split)
    return settings, split, folds


def _use_threads(threads: int | Literal["auto"]) -> int:
    return use_threads(None if threads == "auto" else threads)
