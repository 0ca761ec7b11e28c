"""Model card: training data and licences."""

from __future__ import annotations

from dataclasses import replace

from sslwear.deployment.promotion.model_card import ModelDetails, markdown
from sslwear.encoders.card import Card
from sslwear.evaluation.intervals import interval

CARD = Card("harnet10", 300, 30.0, "g", ("sit", "walk"), "adl", "0" * 64, "CC BY 4.0", "head", "activities")
DETAILS = ModelDetails(
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
    tested_on="cpu, float32",
    test_evaluations=1,
    comparison="",
    weights="none",
    pretraining={},
    supervised=(),
    versions="torch 2",
)


def test_additional_data_are_named_with_licences() -> None:
    details = replace(DETAILS, pretraining={"wisdm": "CC BY 4.0", "mine": None}, supervised=("wisdm",))
    text = markdown(CARD, details)
    assert "It was pre-trained on windows of wisdm, mine." in text
    assert "It was trained on labels of wisdm before." in text
    assert "Licence of the training data: CC BY 4.0. Of wisdm: CC BY 4.0. Of mine: not known." in text


def test_scores_of_few_participants_have_no_interval() -> None:
    text = markdown(CARD, DETAILS)
    assert "| kappa | 0.600 ± 0.141 (2 participants) | 0.600 |" in text
    assert "Fewer than 5 participants are too few for an interval." in text
    people = {**DETAILS.participants, "test": tuple("abcde")}
    scores = {"kappa": interval([0.1, 0.2, 0.3, 0.4, 0.5])}
    many = markdown(CARD, replace(DETAILS, participants=people, scores=scores))
    assert f"| kappa | 0.300 ± 0.158 [{scores['kappa'].low:.3f}, {scores['kappa'].high:.3f}] | 0.600 |" in many
    assert "too few" not in many


def test_settings_on_a_card_are_short() -> None:
    assert "learning_rate 0.000316228" in markdown(CARD, replace(DETAILS, settings={"learning_rate": 10**-3.5}))


def test_card_without_additional_data() -> None:
    text = markdown(CARD, DETAILS)
    assert "It was pre-trained" not in text
    assert "It was trained on labels" not in text
    assert text.count("icence of the training data: CC BY 4.0.\n") == 1
