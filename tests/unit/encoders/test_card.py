"""The card of a classifier: written, read and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sslwear.encoders.card import CARD, Card
from sslwear.errors import WeightsError

CARD_5 = Card("harnet5", 150, 30.0, "g", ("walk", "sit"), "a data set", "f", "CC BY 4.0", "head", "reverse", "float32")


def test_a_card_without_head_has_the_published_head(tmp_path: Path) -> None:
    known = json.loads(CARD_5.to_json())
    del known["head"]
    (tmp_path / CARD).write_text(json.dumps(known))
    assert Card.read(tmp_path / CARD).head == "published"


def test_a_card_of_version_0_1_is_read(tmp_path: Path) -> None:
    card = Card(**{**CARD_5.__dict__, "reference_ranges": {"motion": (0.1, 0.2)}})
    content = json.loads(card.to_json())
    content["tuned"], content["usual"] = content.pop("tuning"), content.pop("reference_ranges")
    (tmp_path / CARD).write_text(json.dumps(content))
    assert Card.read(tmp_path / CARD) == card


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    card = Card(**{**CARD_5.__dict__, "reference_ranges": {"motion": (0.1, 0.2)}})
    (tmp_path / CARD).write_text(card.to_json())
    assert Card.read(tmp_path / CARD) == card
    later = {**json.loads(card.to_json()), "what_comes_later": 1}
    (tmp_path / CARD).write_text(json.dumps(later))
    assert Card.read(tmp_path / CARD) == card
    assert card.window_s == 5


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"encoder": "harnet5"}', '{"class_names": 3}'])
def test_a_file_that_is_not_a_card_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD).write_text(text)
    with pytest.raises(WeightsError, match="is not the card of a model of sslwear"):
        Card.read(tmp_path / CARD)


@pytest.mark.parametrize(("training_samples", "rate_hz"), [(None, 30), (150, 30), (100, 20), (250, 30)])
def test_the_rate_of_the_training_windows_is_at_most_that_of_the_model(
    training_samples: int | None, rate_hz: float
) -> None:
    assert replace(CARD_5, training_samples=training_samples).recorded_hz == rate_hz
