"""Windows that differ from the training windows are told from those that do not."""

from __future__ import annotations

import numpy as np

from sslwear.encoders.card import Card
from sslwear.encoders.distribution_shift import STATISTICS, distribution_shift_warning, reference_ranges, statistics

CARD_5 = Card("harnet5", 150, 30.0, "g", ("walk", "sit"), "a data set", "f", "CC BY 4.0", "head", "reverse", "float32")


def still(count: int, samples: int = 150, noise: float = 0.05) -> np.ndarray:
    """Windows of a wrist at rest (count, samples, 3)."""
    draws = np.random.default_rng(count)
    return (draws.normal(0, noise, (count, samples, 3)) + np.array([0, 0, 1])).astype(np.float32)


def test_statistics_of_a_known_window() -> None:
    window = np.zeros((1, 4, 3))
    window[0, :, 2] = [1, 1, 2, 2]
    np.testing.assert_allclose(statistics(window), [[0, 0, 1.5, 1.5, 0.5]])


def test_only_distribution_shift_warns() -> None:
    training = statistics(still(200))
    card = Card(**{**CARD_5.__dict__, "reference_ranges": reference_ranges(training)})
    assert tuple(card.reference_ranges or {}) == STATISTICS
    assert distribution_shift_warning(card, statistics(still(101))) is None
    assert (
        distribution_shift_warning(CARD_5, statistics(still(5, noise=3.0))) is None
    )  # a card without reference ranges
    turned = distribution_shift_warning(card, statistics(still(50)[:, :, [2, 1, 0]]))
    assert turned is not None
    assert turned.startswith("100% of the windows are outside of the range of the training data")
    windows = training[:40].copy()
    windows[:10, STATISTICS.index("motion")] = 9
    moving = distribution_shift_warning(card, windows)
    assert moving is not None
    assert "motion was" in moving
    windows[:10, STATISTICS.index("motion")] = training[:10, STATISTICS.index("motion")]
    assert distribution_shift_warning(card, windows) is None
    assert distribution_shift_warning(card, statistics(still(0))) is None
