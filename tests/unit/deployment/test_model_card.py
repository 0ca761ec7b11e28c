"""The model card says whom and what a model has learnt from."""

from __future__ import annotations

from dataclasses import replace

from sslwear.deployment.model_card import Facts, markdown
from sslwear.encoders.classifier import Card
from sslwear.evaluation.intervals import interval

CARD = Card("harnet10", 300, 30.0, "g", ("sit", "walk"), "adl", "0" * 64, "CC BY 4.0", "head", "activities")
FACTS = Facts(
    name="wrist",
    alias="champion",
    study="s",
    trial=3,
    run_id="r",
    commit="abc",
    settings={"tuning": "head"},
    participants={"train": ("f1",), "validation": ("f2",), "test": ("m1", "m2")},
    scores={"kappa": interval([0.5, 0.7])},
    pooled={"kappa": 0.6},
    looks=1,
    comparison="",
    weights="none",
    pretraining={},
    supervised=(),
    versions="torch 2",
)


def test_other_data_and_their_labels_are_named_with_their_licences() -> None:
    facts = replace(FACTS, pretraining={"wisdm": "CC BY 4.0", "mine": None}, supervised=("wisdm",))
    text = markdown(CARD, facts)
    assert "It was pre-trained on windows of wisdm, mine." in text
    assert "It has learnt the labels of wisdm before." in text
    assert "Licence of the training data: CC BY 4.0. Of wisdm: CC BY 4.0. Of mine: not known." in text


def test_nothing_is_said_of_data_that_there_are_not() -> None:
    text = markdown(CARD, FACTS)
    assert "It was pre-trained" not in text
    assert "It has learnt the labels" not in text
    assert text.count("icence of the training data: CC BY 4.0.\n") == 1
