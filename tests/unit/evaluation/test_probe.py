"""The linear probe learns, chooses its strength on participants that were left out, and repeats."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sslwear.evaluation import probe
from sslwear.evaluation.probe import logistic_probabilities

PEOPLE, EACH = 6, 30


def table(noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of windows of three classes, their classes and participants."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, PEOPLE * EACH)
    x = np.eye(3)[y] + random.normal(0, noise, (len(y), 3))
    useless = random.normal(0, 1, (len(y), 40))
    return np.hstack([x, useless]).astype(np.float32), y, np.repeat(np.arange(PEOPLE), EACH)


def test_it_is_the_logistic_regression_of_scikit_learn_with_the_chosen_strength() -> None:
    x, y, people = table(0.5)
    found, strength = logistic_probabilities(x[:150], y[:150], people[:150], x[150:], 4)
    scaler = StandardScaler().fit(x[:150].astype(float))
    expected = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
    expected.fit(scaler.transform(x[:150].astype(float)), y[:150])
    np.testing.assert_allclose(found[:, :3], expected.predict_proba(scaler.transform(x[150:].astype(float))), atol=1e-3)
    assert (found[:, 3] == 0).all()
    assert (found.argmax(axis=1) == y[150:]).mean() > 0.7
    again, same = logistic_probabilities(x[:150], y[:150], people[:150], x[150:], 4)
    assert np.array_equal(found, again)
    assert strength == same


def test_the_strength_has_the_best_mean_recall_of_participants_that_were_left_out() -> None:
    x, y, people = table(0.6)
    x, y, people = x[:150].astype(float), y[:150], people[:150]
    recalls = []
    for strength in probe.STRENGTHS:
        predicted = np.empty(150, int)
        for person in range(5):  # as many as there are folds
            mine = people != person
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced"))
            predicted[~mine] = (
                model.set_params(logisticregression__max_iter=1000).fit(x[mine], y[mine]).predict(x[~mine])
            )
        recalls.append(recall_score(y, predicted, average="macro"))
    assert len(set(recalls)) > 2
    best = probe.STRENGTHS[int(np.argmax(recalls))]
    assert logistic_probabilities(x, y, people, x[:3], 3)[1] == best


def test_the_labels_of_the_test_windows_are_not_used() -> None:
    x, y, people = table(0.5)
    found, _ = logistic_probabilities(x[:150], y[:150], people[:150], x[150:], 3)
    few, _ = logistic_probabilities(x[:150], y[:150], people[:150], x[150:155], 3)
    np.testing.assert_allclose(few, found[:5])


@pytest.mark.parametrize("people", [1, 2])
def test_one_class_and_few_people_are_learnt_too(people: int) -> None:
    x, y, _ = table(0.2)
    groups = np.arange(60) % people
    found, strength = logistic_probabilities(x[:60], y[:60], groups, x[60:], 3)
    assert (found.argmax(axis=1) == y[60:]).mean() > 0.7
    assert strength in probe.STRENGTHS
    only, _ = logistic_probabilities(x[:60], np.full(60, 2), groups, x[60:], 3)
    assert (only == [0, 0, 1]).all()
