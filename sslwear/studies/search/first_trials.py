"""First trials of a study: all combinations of a grid, or draws that cover the search space evenly."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import qmc

from sslwear.config import NO_PRETEXT, Range, Settings
from sslwear.studies.search.sampling import chosen, distributions, reference_params
from sslwear.studies.setup.context import StudyContext

Params = dict[str, Any]


def first_trials(context: StudyContext, tuning_parameter: str = "tuning") -> list[Params]:
    """Parameters of a study's first trials; they depend on its settings only.

    The first trial has the file's own settings if they are in the search space. The others follow in the order of
    their cost, so that results come early and a pruner can compare expensive trials with cheap ones. None repeats
    another one.
    """
    settings, encoder = context.settings, context.encoder
    own = reference_params(settings, encoder, tuning_parameter)
    spaces = distributions(settings.search, encoder, tuning_parameter)
    if settings.sampler.name == "grid":
        others = [params for params in combinations(settings, spaces) if params != own]
    else:
        drawn = even_draws(spaces, settings.sampler.startup_trials, settings.seed, own)
        others = [params for i, params in enumerate(drawn) if params != own and params not in drawn[:i]]
    others.sort(key=lambda params: cost(context, chosen(settings, encoder, params)))
    return [*([own] if own is not None else []), *others]


def combinations(settings: Settings, spaces: Mapping[str, BaseDistribution]) -> list[Params]:
    """All combinations of a grid.

    Optuna's GridSampler is not used, because it takes the combination of an interrupted trial for done, and proposes in
    random order.
    """
    stepped = {name: values.values for name, values in settings.search.space.items() if isinstance(values, Range)}
    values = [
        space.choices if isinstance(space, CategoricalDistribution) else stepped[name] for name, space in spaces.items()
    ]
    return [dict(zip(spaces, combination, strict=True)) for combination in itertools.product(*values)]


def even_draws(
    spaces: Mapping[str, BaseDistribution], number: int, seed: int, own: Params | None = None
) -> list[Params]:
    """Draws that cover each parameter as evenly as their number allows (Latin hypercube).

    Each choice occurs as often as any other, or once more. A range is cut into as many parts as there are draws, and
    each part has one. The draws are also spread over combinations of parameters.

    Args:
        spaces: distribution of each parameter.
        number: number of draws.
        seed: seed of the draws.
        own: parameters that take the place of one of the draws, which is left out.
    """
    if number < 1 or not spaces:
        return [{}] * (number - (own is not None))
    generator = np.random.default_rng(seed)
    hypercube = qmc.LatinHypercube(len(spaces), optimization="random-cd" if number > 1 else None, rng=generator)
    places = hypercube.random(number)
    columns = {}
    for (name, space), column in zip(spaces.items(), places.T, strict=True):
        if isinstance(space, CategoricalDistribution):
            columns[name] = _choices(space, column, generator, () if own is None else (own[name],))
        else:
            assert isinstance(space, FloatDistribution | IntDistribution)
            columns[name] = _numbers(space, column)
        if own is not None:  # to the first row, which is left out
            row = _nearest(space, columns[name], own[name])
            columns[name][0], columns[name][row] = columns[name][row], columns[name][0]
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return rows if own is None else rows[1:]


def _choices(
    space: CategoricalDistribution, places: NDArray[np.float64], generator: np.random.Generator, own: tuple[Any, ...]
) -> list[Any]:
    """Choices at places from 0 to 1, one in each of as many equal parts; those of `own` are among them."""
    number, order = len(space.choices), generator.permutation(len(space.choices))
    index = _parts(places, number)
    for choice in own:
        mine = list(order).index(space.choices.index(choice))
        if mine not in index:  # there are fewer draws than choices
            order[[mine, index[0]]] = order[[index[0], mine]]
    return [space.choices[order[i]] for i in index]


def _numbers(space: FloatDistribution | IntDistribution, places: NDArray[np.float64]) -> list[Any]:
    """Numbers at places from 0 to 1, see `_choices`."""
    low, high = space.low, space.high
    if space.log:
        margin = 0.5 if isinstance(space, IntDistribution) else 0  # whole numbers stand for all that round to them
        ends = math.log(low - margin), math.log(high + margin)
        found = np.exp(ends[0] + places * (ends[1] - ends[0]))
    elif space.step is None:
        found = low + places * (high - low)
    else:
        found = low + space.step * _parts(places, round((high - low) / space.step) + 1)
    if isinstance(space, IntDistribution):
        found = found.round()
    return [type(low)(value) for value in found.clip(low, high)]


def _parts(places: NDArray[np.float64], number: int) -> NDArray[np.int64]:
    """Indices of equal parts of 0 to 1 in which places are, each as often as any other, or once more."""
    count = len(places)
    cells = np.floor(places * count)
    found: NDArray[np.float64] = (cells + 0.5) / count * number
    if number > count:  # several parts for each place
        first, end = np.ceil(cells * number / count), np.ceil((cells + 1) * number / count)
        found = first + (places * count - cells) * (end - first)
    return found.astype(np.int64)


def _nearest(space: BaseDistribution, values: list[Any], own: Any) -> int:
    """Index of a value, or of the nearest number."""
    if isinstance(space, CategoricalDistribution):
        return values.index(own)
    scale = math.log if getattr(space, "log", False) else float
    return int(np.argmin([abs(scale(value) - scale(own)) for value in values]))


def cost(context: StudyContext, settings: Settings) -> tuple[int, bool, int, int]:
    """Sort key for the cost of a trial: number of blocks from the first tuned one on, whether it pre-trains, and for
    how many epochs it pre-trains and fine-tunes at most.
    """
    training, blocks = settings.training, context.encoder.block_names()
    frozen = context.tuning(training).frozen
    known = len(list(itertools.takewhile(frozen.__contains__, blocks)))
    pretrains = training.pretext != NO_PRETEXT
    return len(blocks) - known, pretrains, pretrains * settings.pretraining.max_epochs, training.max_epochs
