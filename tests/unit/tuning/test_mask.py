"""Freeze masks: what a study file may write, and the one text that each mask has."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sslwear.encoders.base import Network
from sslwear.encoders.harnet import Harnet5
from sslwear.encoders.heads import Classifier
from sslwear.errors import SettingsError
from sslwear.tuning.base import parse
from sslwear.tuning.mask import FreezeMask

BLOCKS = ("layer1", "layer2", "layer3", "layer4", "layer5")
SUBSETS = [frozenset(chosen) for size in range(6) for chosen in itertools.combinations(BLOCKS, size)]


def mask(text: str) -> FreezeMask:
    strategy = parse(text, Harnet5)
    assert isinstance(strategy, FreezeMask)
    return strategy


@pytest.mark.parametrize(
    ("text", "spec", "tuning"),
    [
        ("all", "all", {1, 2, 3, 4, 5}),
        ("head", "head", set()),
        ("layer3", "layer3", {3}),
        ("layer4-5", "layer4-5", {4, 5}),
        ("layer4-layer5", "layer4-5", {4, 5}),
        ("layer2-2", "layer2", {2}),
        ("layer1+layer4-5", "layer1+layer4-5", {1, 4, 5}),
        ("layer1 + layer4 - 5", "layer1+layer4-5", {1, 4, 5}),
        ("layer4-5+layer1", "layer1+layer4-5", {1, 4, 5}),
        ("layer2+layer1", "layer1-2", {1, 2}),
        ("layer5+layer3+layer1", "layer1+layer3+layer5", {1, 3, 5}),
        ("layer3+layer3", "layer3", {3}),
        ("layer1-3+layer2-4", "layer1-4", {1, 2, 3, 4}),
        ("layer1-5", "all", {1, 2, 3, 4, 5}),
        ("layer1-2+layer3+layer4-5", "all", {1, 2, 3, 4, 5}),
    ],
)
def test_text_becomes_a_mask_with_one_canonical_text(text: str, spec: str, tuning: set[int]) -> None:
    strategy = mask(text)
    assert strategy.spec == spec
    assert strategy.frozen == {f"layer{i}" for i in {1, 2, 3, 4, 5} - tuning}


@pytest.mark.parametrize(
    "text", ["layer0", "layer6", "layer10", "layer4-6", "layer0-2", "layer5-4", "layer1+layer6", "layer6+layer1"]
)
def test_error_for_unknown_blocks_lists_the_blocks(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, Harnet5)
    assert str(caught.value) == f"tuning: {text!r} names no blocks of harnet5. Its blocks are layer1 to layer5"


@pytest.mark.parametrize(
    "text", ["", "everything", "ALL", "layer", "layer1,layer2", "layer1+", "layer1--2", "5", "head+"]
)
def test_error_for_an_unknown_strategy_lists_the_forms(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, Harnet5, key="search.tuning")
    assert str(caught.value).startswith(f"search.tuning: there is no tuning strategy {text!r}. Write ")
    assert FreezeMask.form in str(caught.value)


def test_32_masks_have_32_texts() -> None:
    assert len({FreezeMask(tuning, Harnet5).spec for tuning in SUBSETS}) == 32


@given(tuning=st.sampled_from(SUBSETS))
def test_every_mask_is_parsed_from_its_text(tuning: frozenset[str]) -> None:
    strategy = FreezeMask(tuning, Harnet5)
    again = mask(strategy.spec)
    assert again.frozen == strategy.frozen == set(BLOCKS) - tuning
    assert again.spec == strategy.spec


@given(
    parts=st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 5), st.booleans()).filter(lambda part: part[0] <= part[1]),
        min_size=1,
        max_size=4,
    )
)
def test_a_mask_is_the_union_of_its_parts_however_they_are_written(parts: list[tuple[int, int, bool]]) -> None:
    text = "+".join(f"layer{first}-{'layer' if long else ''}{last}" for first, last, long in parts)
    tuning = frozenset(f"layer{i}" for first, last, _ in parts for i in range(first, last + 1))
    assert mask(text).frozen == set(BLOCKS) - tuning
    assert mask(text).spec == FreezeMask(tuning, Harnet5).spec


def test_a_mask_has_one_parameter_group() -> None:
    network = Network(Harnet5(), Classifier(Harnet5.features, 2))
    strategy = mask("layer5")
    strategy.freeze(network, 1)
    (group,) = strategy.parameter_groups(network, 0.003)
    assert group["lr"] == 0.003
    expected = [*network.feature_extractor.layer5.parameters(), *network.classifier.parameters()]
    assert all(isinstance(parameter, torch.nn.Parameter) for parameter in group["params"])
    assert {id(parameter) for parameter in group["params"]} == {id(parameter) for parameter in expected}
