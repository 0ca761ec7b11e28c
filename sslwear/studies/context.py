"""Settings made real: the data set, the split, the encoder and its first weights, all checked before a trial starts."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslwear.config import NO_PRETEXT, SUPERVISED, CacheSettings, Settings, TrainingSettings
from sslwear.data.dataset import Dataset
from sslwear.data.loading import open_data
from sslwear.data.pretraining import PretrainingData, open_pretraining_data
from sslwear.data.splits import Split, check_classes, hold_out
from sslwear.encoders import weights
from sslwear.encoders.base import Encoder
from sslwear.encoders.base import get as get_encoder
from sslwear.encoders.classifier import Card
from sslwear.errors import DataError, SettingsError
from sslwear.pretext.base import get as get_pretext
from sslwear.tracking import MODEL_URI, RUN_URI, Store
from sslwear.tracking.checkpoints import load_weights, resolved
from sslwear.training import Augmentation, FeatureCache, FitSettings, Windows
from sslwear.training.device import generator, resolve_device, resolve_precision, seeded, use_threads
from sslwear.training.task import Classification, inverse_frequency
from sslwear.tuning.base import TuningStrategy
from sslwear.tuning.base import parse as parse_tuning

ENCODER_STREAM = 100


@dataclass(frozen=True)
class StudyContext:
    """Everything that the trials of a study share.

    Attributes:
        settings: as the user gave them.
        store: where results go.
        dataset: the labelled windows.
        others: windows for pre-training, or None where the training participants' are used.
        split: which participants are for what; a trial never gets at the test participants'.
        encoder: the network's class.
        initial: the first weights by tensor name, or None for random ones.
        device: where to compute.
        precision: ``float32`` or ``bf16``.
        threads: cores that are computed on.
        cache: keeps outputs of frozen blocks.
        transductive: whether pre-training may see the windows of those who are validated and tested.
    """

    settings: Settings
    store: Store
    dataset: Dataset
    pretraining_data: PretrainingData | None
    split: Split
    encoder: type[Encoder]
    initial: Mapping[str, Tensor] | None
    device: torch.device
    precision: str
    threads: int
    cache: FeatureCache
    transductive: bool = False

    @classmethod
    def open(
        cls,
        settings: Settings,
        store: Store,
        dataset: Dataset | None = None,
        split: Split | None = None,
        read_weights: bool = True,
    ) -> StudyContext:
        """Check everything that the settings name, and open it; PyTorch computes on the settings' threads from then on.

        Args:
            settings: the study file's.
            store: where results go.
            dataset: what `open_labelled` opened, where that was done before.
            split: the participants on each side; the settings' hold-out by default, in which each class must have a
                training window.
            read_weights: False where no encoder starts from the settings' weights, as in a promotion.

        Raises:
            SslwearError: when a name does not exist, or data or weights cannot be used.
        """
        encoder = get_encoder(settings.encoder)
        check_names(settings, encoder)
        device = resolve_device(settings.device)
        dataset = dataset or open_labelled(settings, store)
        if split is None:
            split = hold_out(dataset.pid[dataset.worn], **settings.split.model_dump())
            check_classes(dataset, split)
        places = settings.pretraining.data
        return cls(
            settings=settings,
            store=store,
            dataset=dataset,
            pretraining_data=open_pretraining_data(places, store.home, settings.include_nonwear) if places else None,
            split=split,
            encoder=encoder,
            initial=initial_weights(settings.weights, encoder, store) if read_weights else None,
            device=device,
            precision=resolve_precision(settings.precision, device),
            threads=use_threads(None if settings.threads == "auto" else settings.threads),
            cache=feature_cache(settings.cache, store),
        )

    def variant(
        self, split: Split, seed: int, origin: str, initial: Mapping[str, Tensor] | None, transductive: bool
    ) -> StudyContext:
        """The same with other participants, another seed and other first weights, `initial`, read from `origin`."""
        settings = self.settings.model_copy(update={"seed": seed, "weights": origin})
        return replace(self, settings=settings, split=split, initial=initial, transductive=transductive)

    def check_objective(self) -> None:
        """Refuse validation participants on whom no trial could be told from another.

        Raises:
            DataError: when the objective is kappa and they show one class only.
        """
        shown = np.unique(self.windows(self.split.validation).labels)
        if self.settings.objective == "kappa" and len(shown) < 2:
            raise DataError(
                f"{self.dataset.folder}: the validation participants {', '.join(map(str, self.split.validation))} show "
                f"only the class {self.dataset.class_names[shown[0]]!r}, by which kappa cannot be computed; choose "
                "another split.validation_seed, a larger split.validation, or objective: f1"
            )

    def new_encoder(self, state: Mapping[str, Tensor] | None = None, origin: str = "") -> Encoder:
        """An encoder with given weights, or else the experiment's first ones.

        Args:
            state: weights by tensor name.
            origin: where they come from, for messages.
        """
        encoder = copy.deepcopy(self._first)
        if state is not None:
            weights.load_encoder(encoder, state, origin)
        return encoder

    @cached_property
    def origin(self) -> str:
        """Where the first weights are from: the version that an alias means now, else what the settings say."""
        return resolved(self.store, self.settings.weights)

    @cached_property
    def _first(self) -> Encoder:
        """The encoder that all start from; to be copied, which takes less time than drawing weights for each."""
        with seeded(generator(self.settings.seed, ENCODER_STREAM).initial_seed()):
            encoder = self.encoder()
        if self.initial is not None:
            weights.load_encoder(encoder, self.initial, self.settings.weights)
        return encoder

    def windows(self, participants: tuple[Any, ...], training: TrainingSettings | None = None) -> Windows:
        """All windows of some participants; with augmented views, where `training` is given and wants them."""
        if training is None or not training.augment:
            return Windows.of(self.dataset, participants)
        return Windows.of(self.dataset, participants, Augmentation(self.settings.seed, training.augment_degrees))

    def classification(self, training: TrainingSettings) -> Classification:
        """The supervised task as the settings want it; class weights come from the training participants."""
        classes = len(self.dataset.class_names)
        labels = self.dataset.labels[self.windows(self.split.train).rows]
        balanced = inverse_frequency(labels, classes) if training.class_weights else None
        return Classification(classes, balanced, training.head)

    def tuning(self, training: TrainingSettings) -> TuningStrategy:
        """The tuning strategy that the settings name."""
        return parse_tuning(training.tuning, self.encoder, "training.tuning")

    def fit_settings(self, training: TrainingSettings) -> FitSettings:
        """Settings of the training loop for fine-tuning."""
        return FitSettings(
            learning_rate=training.learning_rate,
            batch_size=training.batch_size,
            max_epochs=training.max_epochs,
            patience=training.patience,
            seed=self.settings.seed,
            device=self.device,
            precision=self.precision,
            augmented_views=training.augmented_views,
            schedule=training.schedule,
        )

    def runtime_params(self) -> dict[str, Any]:
        """Parameters of any run of this context: what it starts from and what it is computed on."""
        settings = self.settings
        return {
            "encoder": settings.encoder,
            "weights": self.origin,
            "seed": settings.seed,
            "device": str(self.device),
            "precision": self.precision,
            "threads": self.threads,
        }

    def tags(self) -> dict[str, str]:
        """Tags of any run of this context, by name without the prefix ``sslwear.``."""
        return {
            "study": self.settings.study,
            "dataset": self.dataset.description.name,
            "fingerprint": self.dataset.fingerprint,
            "encoder": self.encoder.name,
            "objective": self.settings.objective,
        }

    def card(self, tuning: str, pretext: str, head: str) -> Card:
        """What is needed to build a network of this study again and to feed it, beside its weights.

        Where windows of another length were resampled to the encoder's, the rate is the one that they then have: a
        recording at that rate looks as fast as they did.
        """
        seconds = self.dataset.description.window_s
        return Card(
            encoder=self.encoder.name,
            window_samples=self.encoder.window_samples,
            rate_hz=self.encoder.rate_hz if seconds is None else self.encoder.window_samples / seconds,
            unit="g",
            class_names=self.dataset.class_names,
            dataset=self.dataset.description.name,
            fingerprint=self.dataset.fingerprint,
            licence=self.dataset.description.licence,
            tuning=tuning,
            pretext=pretext,
            precision=self.precision,
            head=head,
        )

    def window_length_warnings(self) -> list[str]:
        """A warning for each data set whose windows' length in seconds is not the encoder's."""
        wanted = self.encoder.window_samples / self.encoder.rate_hz
        found = []
        for part in (self.dataset, *(self.pretraining_data.parts if self.pretraining_data is not None else ())):
            seconds = part.description.window_s
            if seconds is not None and abs(seconds - wanted) >= 0.5 / self.encoder.rate_hz:
                found.append(
                    f"{part.folder} has windows of {seconds:g} s and {self.encoder.name} was made for {wanted:g} s: "
                    "they are resampled to its length, which changes how fast movement looks to it"
                )
        return list(dict.fromkeys(found))


def open_labelled(settings: Settings, store: Store) -> Dataset:
    """Open the labelled windows that the settings name; where they want it, time not worn is as good as any other."""
    dataset = open_data(settings.data, store.home)
    return replace(dataset, worn=np.ones(len(dataset), bool)) if settings.include_nonwear else dataset


def feature_cache(settings: CacheSettings, store: Store) -> FeatureCache:
    """The cache of a store, which all studies in it share."""
    folder = store.home / "cache" / "features"
    return FeatureCache(folder, int(settings.memory_gb * 1e9), int(settings.disk_gb * 1e9))


def check_names(settings: Settings, encoder: type[Encoder]) -> None:
    """Refuse tuning strategies and pretext tasks that do not exist, or stand twice, before anything is started.

    Raises:
        SettingsError: naming the key and what there is.
    """
    parse_tuning(settings.training.tuning, encoder, "training.tuning")
    if isinstance(settings.search.tuning, tuple):
        choices = [parse_tuning(text, encoder, "search.tuning").spec for text in settings.search.tuning]
        for text, canonical in zip(settings.search.tuning, choices, strict=True):
            if choices.count(canonical) > 1:
                raise SettingsError(f"search.tuning: {text!r} stands twice, once in other words; leave one out")
    wanted = {"training.pretext": (settings.training.pretext,), "search.pretext": settings.search.pretext or ()}
    for key, names in wanted.items():
        for name in names:
            check_pretext_name(name, key)


def check_pretext_name(name: str, key: str) -> None:
    """Refuse a pretext task that does not exist.

    Raises:
        SettingsError: naming the key and what there is.
    """
    if name not in (NO_PRETEXT, SUPERVISED):
        get_pretext(name, key, besides=(NO_PRETEXT, SUPERVISED))


def initial_weights(origin: str, encoder: type[Encoder], store: Store) -> Mapping[str, Tensor] | None:
    """Read what ``weights:`` names, and check that it fits the encoder: None for ``none``.

    Args:
        origin: the value of ``weights:``.
        encoder: that starts from them.
        store: where runs and models are.

    Raises:
        WeightsError: when it cannot be read or does not fit.
    """
    if origin == "none":
        return None
    if origin == "hub":
        state = weights.from_hub(encoder.name)
    elif origin.startswith((RUN_URI, MODEL_URI)):
        state = load_weights(store, origin)
    else:
        state = weights.read(Path(origin).expanduser())
    weights.load_encoder(encoder(), state, origin)
    return state


def digest(state: Mapping[str, Tensor] | None) -> str:
    """SHA-256 of weights by content, or ``random``."""
    if state is None:
        return "random"
    content = hashlib.sha256()
    for name in sorted(state):
        content.update(name.encode())
        content.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()


def key_of(content: Mapping[str, Any]) -> str:
    """A short name for a set of values: the same values give the same name."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:32]
