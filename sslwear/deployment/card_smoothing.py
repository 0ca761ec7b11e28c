"""The smoothing in a model's card: tables of the hidden Markov model that was learnt with the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.encoders.card import Card
from sslwear.errors import WeightsError
from sslwear.evaluation.smoothing import HiddenMarkovModel

TABLES = ("initial", "transition", "emission")


def tables_of(model: HiddenMarkovModel) -> Mapping[str, Any]:
    """The tables of a model with emissions as lists, for `Card.smoothing`."""
    assert model.emission is not None
    tables = (model.initial, model.transition, model.emission)
    return {name: np.round(table, 9).tolist() for name, table in zip(TABLES, tables, strict=True)}


def model_of(card: Card) -> HiddenMarkovModel | None:
    """The hidden Markov model of a card; None if it has none.

    Raises:
        WeightsError: when its tables are not those of the card's classes.
    """
    if card.smoothing is None:
        return None
    try:
        initial, transition, emission = (np.array(card.smoothing[name], np.float64) for name in TABLES)
        if len(initial) != len(card.class_names):
            raise ValueError("another number of classes")
        return HiddenMarkovModel(_rows(initial), _rows(transition), _rows(emission))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            "the smoothing in the model's card cannot be used. Promote the trial again, or label with --no-smooth"
        ) from error


def _rows(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded probabilities with rows that add up to 1."""
    scaled: NDArray[np.float64] = table / table.sum(axis=-1, keepdims=True)
    return scaled
