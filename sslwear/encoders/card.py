"""Card of a trained classifier: how to build its network, and what it takes and gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from sslwear.encoders.arrays import Arrays
from sslwear.encoders.average import averaged
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.base import get as get_encoder
from sslwear.encoders.heads import PUBLISHED, classifier
from sslwear.encoders.minirocket import MiniRocketClassifier
from sslwear.encoders.trees import Trees
from sslwear.errors import WeightsError
from sslwear.utils import plugins

CHECKPOINT = "model.safetensors"
CARD = "model.json"
ENCODER = "encoder.py"
"""Code of an encoder that is a file plug-in."""
FITTED: Mapping[str, type[Arrays]] = {"trees": Trees, "minirocket": MiniRocketClassifier}
"""Classifiers that are fitted and not trained, by their kind in a card."""
OLD_CARD_KEYS = {"tuned": "tuning", "usual": "reference_ranges"}
"""Keys in cards of version 0.1, and their current names."""


@dataclass(frozen=True)
class Card:
    """Description of a classifier: how to build it, and its input and output.

    Attributes:
        encoder: name of the encoder; of classifiers without one, their names.
        window_samples: window length in samples.
        rate_hz: sampling rate of the windows.
        unit: unit of acceleration, ``g``.
        class_names: names of the classes, in the order of the outputs.
        dataset: name of the training data set.
        fingerprint: SHA-256 of the arrays of the training data set.
        licence: licence of the training data set, if known.
        tuning: tuning strategy.
        pretext: pretext task, or ``none``.
        precision: precision of training and validation, ``float32`` or ``bf16``.
        head: kind of head, ``published`` or ``linear``, or a key of `FITTED` for a classifier without encoder.
        reference_ranges: range of nearly all training windows for each statistic; empty if it was not computed.
        training_samples: length in samples of the training windows before they were resampled; None if unknown.
        smoothing: hidden Markov model of adjacent windows that was learnt with the model: ``initial`` (C,),
            ``transition`` and ``emission`` (C, C); None if there is none.
        no_smoothing: why there is none, in words; None if there is one, or if it is not known.
        heads: the kinds of `head` of the classifiers whose probabilities are averaged; empty for a single one.
    """

    encoder: str
    window_samples: int
    rate_hz: float
    unit: str
    class_names: tuple[str, ...]
    dataset: str
    fingerprint: str
    licence: str | None
    tuning: str = "all"
    pretext: str = "none"
    precision: str = "float32"
    head: str = PUBLISHED
    reference_ranges: Mapping[str, tuple[float, float]] | None = None
    training_samples: int | None = None
    smoothing: Mapping[str, Any] | None = None
    no_smoothing: str | None = None
    heads: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """Kinds of all its classifiers."""
        return self.heads or (self.head,)

    @property
    def has_encoder(self) -> bool:
        """Whether one of its classifiers is a network of the encoder."""
        return not set(self.members) <= set(FITTED)

    @property
    def only_networks(self) -> bool:
        """Whether all its classifiers are networks of the encoder."""
        return not set(self.members) & set(FITTED)

    @property
    def window_s(self) -> float:
        """Window length in seconds."""
        return self.window_samples / self.rate_hz

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths in samples of the windows that the model takes: its own, and that of the training windows."""
        return tuple(dict.fromkeys((self.window_samples, self.training_samples or self.window_samples)))

    @property
    def recorded_hz(self) -> float:
        """Sampling rate of the training windows before they were resampled, at most the model's rate."""
        return min(self.lengths) / self.window_s

    @property
    def inputs(self) -> str:
        """Shapes, length and rate of the windows that the model takes."""
        return ", or ".join(
            f"(N, {n}, 3) or (N, 3, {n}): {self.window_s:g} s at {n / self.window_s:g} Hz" for n in self.lengths
        )

    def to_json(self) -> str:
        """The card as JSON text, the input of `read`."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Card from a JSON file; keys of later versions of this package are ignored.

        Raises:
            WeightsError: when the file cannot be read, or a key is missing.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            content = {OLD_CARD_KEYS.get(key, key): value for key, value in content.items()}
            known = {key: value for key, value in content.items() if key in cls.__dataclass_fields__}
            ranges = known.get("reference_ranges") or {}
            ranges = {name: (float(low), float(high)) for name, (low, high) in ranges.items()}
            names, heads = tuple(known["class_names"]), tuple(known.get("heads", ()))
            return cls(**{**known, "class_names": names, "heads": heads, "reference_ranges": ranges})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise WeightsError(f"{path} is not the card of a model of sslwear. Promote the trial again") from error


def network(card: Card, folder: Path | None = None) -> Network:
    """Network of a card, or the average of its networks, with random weights.

    Args:
        card: the card.
        folder: folder of the model, which has the encoder's code if that is a file plug-in.

    Raises:
        SettingsError: when the encoder or the head does not exist.
    """
    encoder = encoder_class(card.encoder, folder) if card.has_encoder else None
    return averaged([member(kind, card, encoder) for kind in card.members])


def member(kind: str, card: Card, encoder: type[Encoder] | None) -> Network | Arrays:
    """Classifier of a card with random weights, or with empty arrays.

    Args:
        kind: its kind, see `Card.head`.
        card: the card.
        encoder: class of the encoder; not used for a key of `FITTED`.

    Raises:
        SettingsError: when there is no such kind.
    """
    if kind in FITTED:
        return FITTED[kind]()
    assert encoder is not None
    made = encoder()
    return Network(made, classifier(kind, made.features, len(card.class_names)))


def fitted_kind(made: Arrays) -> str:
    """Kind of a fitted classifier in a card."""
    return next(kind for kind, one in FITTED.items() if type(made) is one)


def encoder_class(name: str, folder: Path | None) -> type[Encoder]:
    """Class of an encoder.

    Args:
        name: name of the encoder.
        folder: folder of a checkpoint or a model, which has the encoder's code if that is a file plug-in.

    Raises:
        SettingsError: when the encoder does not exist.
    """
    file = None if folder is None else folder / ENCODER
    return get_encoder(name) if file is None or not file.is_file() else plugins.get_from_file(file, Encoder, name)


def write_encoder(folder: Path, card: Card) -> None:
    """Write the code of the encoder into the folder of a model, if the encoder is a file plug-in.

    Raises:
        SettingsError: when the encoder does not exist.
    """
    content = plugins.source(get_encoder(card.encoder)) if card.has_encoder else None
    if content is not None:
        (folder / ENCODER).write_bytes(content)
