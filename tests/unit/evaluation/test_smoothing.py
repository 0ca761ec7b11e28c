"""Smoothing finds the likeliest of all sequences, and chains say how long one stays."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.errors import SettingsError
from sslwear.evaluation.smoothing import Chain, smooth, viterbi


def random_chain(random: np.random.Generator, classes: int, emission: bool, zeros: bool) -> Chain:
    def rows(count: int) -> np.ndarray:
        table = random.random((count, classes)) + 1e-3
        if zeros:
            table[random.random(table.shape) < 0.3] = 0
            table[:, 0] += 0.01
        return table / table.sum(axis=1, keepdims=True)

    return Chain(rows(1)[0], rows(classes), rows(classes) if emission else None)


def log_likelihood(path: tuple[int, ...], probabilities: np.ndarray, chain: Chain) -> float:
    """Of a path and what was observed, written down as it is defined."""
    total = chain.initial[path[0]]
    for before, after in pairwise(path):
        total *= chain.transition[before, after]
    for state, observed in zip(path, probabilities, strict=True):
        total *= observed[state] if chain.emission is None else chain.emission[state, observed.argmax()]
    return float(np.log(total)) if total > 0 else -np.inf


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 6),
    classes=st.integers(1, 4),
    emission=st.booleans(),
    zeros=st.booleans(),
)
def test_no_sequence_is_likelier(seed: int, count: int, classes: int, emission: bool, zeros: bool) -> None:
    random = np.random.default_rng(seed)
    chain = random_chain(random, classes, emission, zeros)
    probabilities = random.dirichlet(np.full(classes, 0.7), count)
    found = viterbi(chain.evidence(probabilities), chain)
    most = max(log_likelihood(path, probabilities, chain) for path in product(range(classes), repeat=count))
    assert log_likelihood(tuple(found.tolist()), probabilities, chain) == pytest.approx(most)


@given(seed=st.integers(0, 10**6), breaks=st.sets(st.integers(0, 11)))
def test_breaks_start_the_chain_anew(seed: int, breaks: set[int]) -> None:
    random = np.random.default_rng(seed)
    chain, probabilities = random_chain(random, 3, False, False), random.dirichlet(np.ones(3), 12)
    begins = np.isin(np.arange(12), list(breaks))
    edges = sorted({0, 12, *breaks})
    apart = [smooth(probabilities[i:j], chain, np.zeros(j - i, bool)) for i, j in pairwise(edges)]
    np.testing.assert_array_equal(smooth(probabilities, chain, begins), np.concatenate(apart))


def test_no_window_gives_no_label() -> None:
    chain = Chain.from_bouts(3, 10, 60)
    assert smooth(np.empty((0, 3)), chain, np.empty(0, bool)).tolist() == []


def test_a_long_recording_does_not_underflow() -> None:
    probabilities = np.tile([[1 - 1e-30, 1e-30]], (20_000, 1))
    probabilities[10_000:] = probabilities[10_000:, ::-1]
    found = smooth(probabilities, Chain.from_bouts(2, 10, 600), np.zeros(20_000, bool))
    assert found.tolist() == [0] * 10_000 + [1] * 10_000


def test_a_window_keeps_its_label_when_its_odds_are_above_those_of_leaving_and_coming_back() -> None:
    chain = Chain.from_bouts(4, 10, 60)  # stays with 5/6, goes to each other with 1/18: odds 15 each way
    quiet = np.array([0.97, 0.01, 0.01, 0.01])
    for odds, expected in ((220, 0), (230, 1)):
        rest = 1 / (odds + 3)
        window = np.array([rest, odds * rest, rest, rest])
        found = smooth(np.stack([quiet, quiet, window, quiet, quiet]), chain, np.zeros(5, bool))
        assert found.tolist() == [0, 0, expected, 0, 0]


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_one_stays_as_long_as_asked_on_average(classes: int) -> None:
    chain = Chain.from_bouts(classes, 10, 300)
    np.testing.assert_allclose(chain.transition.sum(axis=1), 1)
    np.testing.assert_allclose(chain.transition, chain.transition.T)
    if classes > 1:
        stay = chain.transition[0, 0]
        lengths = np.arange(1, 20_000)
        assert (lengths * stay ** (lengths - 1) * (1 - stay)).sum() * 10 == pytest.approx(300)


@pytest.mark.parametrize("bout_s", [10, 3, 0, -60, float("nan")])
def test_a_bout_that_is_no_longer_than_a_window_is_refused(bout_s: float) -> None:
    with pytest.raises(SettingsError, match="minutes are not more than a window of 10 s"):
        Chain.from_bouts(4, 10, bout_s)


def test_tables_are_learnt_from_labelled_sequences() -> None:
    first = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.2, 0.8]])
    second = np.array([1, 0]), np.array([[0.0, 1.0], [0.8, 0.2]])
    chain = Chain.learn([first, second], 2, prior_count=0)
    np.testing.assert_allclose(chain.initial, [3 / 6, 3 / 6])
    np.testing.assert_allclose(chain.transition, [[1 / 2, 1 / 2], [1 / 2, 1 / 2]])  # none from the first to the second
    np.testing.assert_allclose(chain.emission, [[0.8, 0.2], [0.2, 0.8]])


def test_what_was_never_seen_is_possible_unless_asked_otherwise() -> None:
    labels, probabilities = np.array([0, 0, 0, 1]), np.eye(3)[[0, 0, 0, 1]]
    never = Chain.learn([(labels, probabilities)], 3, prior_count=0)
    assert never.transition.tolist() == [[2 / 3, 1 / 3, 0], [1 / 3] * 3, [1 / 3] * 3]
    rarely = Chain.learn([(labels, probabilities)], 3)
    np.testing.assert_allclose(rarely.transition[0], [(2 + 1 / 3) / 4, (1 + 1 / 3) / 4, (1 / 3) / 4])


def test_a_learnt_chain_mends_what_the_network_confuses() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(random.integers(0, 3, 60), 20)
    heard = np.where(random.random(len(labels)) < 0.4, random.integers(0, 3, len(labels)), labels)
    probabilities = 0.7 * np.eye(3)[heard] + 0.1
    chain = Chain.learn([(labels[:600], probabilities[:600])], 3)
    found = smooth(probabilities[600:], chain, np.zeros(600, bool))
    assert (heard[600:] == labels[600:]).mean() < 0.8
    assert (found == labels[600:]).mean() > 0.95


@pytest.mark.parametrize(
    ("initial", "transition", "emission", "name"),
    [
        ([1.0, 0.0], [[1.0]], None, "transition"),
        ([0.6, 0.6], np.eye(2), None, "initial"),
        ([0.5, 0.5], np.eye(2), [[0.5, 0.4], [0, 1]], "emission"),
        ([1.5, -0.5], np.eye(2), None, "initial"),
    ],
)
def test_tables_that_hold_no_probabilities_are_refused(initial, transition, emission, name) -> None:
    with pytest.raises(ValueError, match=f"^{name} must have shape"):
        Chain(np.array(initial), np.array(transition), None if emission is None else np.array(emission))
