"""The two heads that name activities."""

import pytest
import torch

from sslwear.encoders.heads import HEADS, Classifier, classifier
from sslwear.errors import SettingsError


def test_the_published_head_has_two_layers_and_the_other_one() -> None:
    assert HEADS == ("published", "linear")
    assert isinstance(classifier("published", 8, 3), Classifier)
    linear = classifier("linear", 8, 3)
    assert {name: tuple(value.shape) for name, value in linear.state_dict().items()} == {"weight": (3, 8), "bias": (3,)}


@torch.no_grad()
def test_first_answers_of_the_linear_head_are_nearer_to_even() -> None:
    """Which is why it is there: the loss of the published one begins far above that of a guess."""
    features = torch.randn(64, 256, generator=torch.Generator().manual_seed(0)).abs()
    labels = torch.arange(64) % 5
    loss = {}
    for kind in HEADS:
        torch.manual_seed(0)
        loss[kind] = float(torch.nn.functional.cross_entropy(classifier(kind, 256, 5)(features), labels))
    guess = float(torch.tensor(5.0).log())
    assert loss["linear"] < 1.5 * guess
    assert loss["published"] > 3 * guess


def test_a_kind_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(SettingsError, match="head: there is no 'deep'; choose one of published, linear"):
        classifier("deep", 8, 3)
