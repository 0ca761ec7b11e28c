"""The first trials cover the search space evenly."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import log
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sslwear.config import parse
from sslwear.encoders.cnn import Cnn5
from sslwear.studies.search.first_trials import combinations, even_draws
from sslwear.studies.search.sampling import distributions

SPACES: dict[str, BaseDistribution] = {
    "tuning": CategoricalDistribution(["all", "head", "layer5", "layer4-5", "layer1"]),
    "pretext": CategoricalDistribution(["none", "reverse", "permutation", "time_warp", "multi"]),
    "augment": CategoricalDistribution([True, False]),
    "training.augment_degrees": CategoricalDistribution([None, 30.0, 90.0]),
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "rate": FloatDistribution(0.1, 0.4, step=0.1),
    "training.max_epochs": IntDistribution(5, 15, step=5),
    "training.patience": IntDistribution(1, 9),
    "batch_size": IntDistribution(8, 512, log=True),
}
OWN = {
    "tuning": "layer1",
    "pretext": "none",
    "augment": False,
    "training.augment_degrees": None,
    "learning_rate": 3e-4,
    "rate": 0.1 + 2 * 0.1,
    "training.max_epochs": 15,
    "training.patience": 5,
    "batch_size": 64,
}
FEW = {"tuning": 5, "pretext": 5, "augment": 2, "training.augment_degrees": 3, "rate": 4, "training.max_epochs": 3}
"""Numbers of values."""


def spread(draws: list[dict[str, Any]], name: str) -> int:
    """Largest difference of how often two values occur."""
    times = Counter(round(one[name], 6) if name == "rate" else one[name] for one in draws)
    times.update(dict.fromkeys(range(FEW[name] - len(times)), 0))  # values that do not occur
    return max(times.values()) - min(times.values())


@settings(deadline=None, max_examples=10)
@given(number=st.integers(1, 30), seed=st.integers(0, 2**31), own=st.sampled_from([None, OWN]))
def test_each_choice_occurs_as_often_as_any_other_or_once_more(number: int, seed: int, own: Any) -> None:
    draws = even_draws(SPACES, number, seed, own)
    assert len(draws) == number - (own is not None)
    draws = [*([own] if own is not None else []), *draws]
    for name in FEW:
        if name in ("rate", "training.max_epochs") and own is not None and number < FEW[name]:
            continue  # a number of the file may lie where no draw was
        assert spread(draws, name) <= 1, name
    for one in draws:
        for name, space in SPACES.items():
            assert space._contains(space.to_internal_repr(one[name])), name


@pytest.mark.parametrize("seed", range(5))
def test_each_part_of_a_range_has_one_draw(seed: int) -> None:
    draws = even_draws(SPACES, 24, seed)
    places = sorted(24 * (log(one["learning_rate"]) - log(1e-4)) / log(100) for one in draws)
    assert [int(place) for place in places] == list(range(24))
    assert len({one["batch_size"] for one in draws}) >= 20
    assert Counter(one["training.patience"] for one in draws).most_common()[-1][1] >= 2


def test_of_24_first_trials_19_have_one_of_four_pretext_tasks() -> None:
    for seed in range(3):
        draws = [OWN, *even_draws(SPACES, 24, seed, OWN)]
        assert sum(one["pretext"] != "none" for one in draws) in (19, 20)


def test_the_draws_are_spread_over_combinations() -> None:
    spaces = {name: SPACES[name] for name in ("tuning", "pretext")}
    pairs = [len({tuple(one.values()) for one in even_draws(spaces, 25, seed)}) for seed in range(10)]
    assert sum(pairs) / 10 >= 18  # of 25; independent draws give 16


def test_the_same_seed_gives_the_same_draws_and_another_seed_others() -> None:
    assert even_draws(SPACES, 12, 3, OWN) == even_draws(SPACES, 12, 3, OWN)
    assert even_draws(SPACES, 12, 3, OWN) != even_draws(SPACES, 12, 4, OWN)


def test_there_may_be_no_draws_and_nothing_to_search() -> None:
    assert even_draws(SPACES, 0, 1) == even_draws(SPACES, 0, 1, OWN) == even_draws(SPACES, 1, 1, OWN) == []
    assert even_draws({}, 3, 1) == [{}] * 3


def test_a_grid_has_every_combination_once() -> None:
    search = {"tuning": "any", "pretext": ["none", "reverse"], "training.max_epochs": {"low": 5, "high": 15, "step": 5}}
    chosen = parse({"study": "a", "data": "b", "search": search, "sampler": {"name": "grid"}}, "the test")
    found = combinations(chosen, distributions(chosen.search, Cnn5))
    blocks = [f"tune_layer{i}" for i in range(1, 6)]
    expected = product(*[[True, False]] * 5, ["none", "reverse"], [5, 10, 15])
    assert sorted(map(str, found)) == sorted(
        str(dict(zip([*blocks, "pretext", "training.max_epochs"], values, strict=True))) for values in expected
    )
    assert len(found) == chosen.trials
