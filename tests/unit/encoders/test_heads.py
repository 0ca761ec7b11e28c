"""The two heads that name activities."""

import pytest
import torch

from sslwear.encoders.heads import HEADS, Classifier, classifier
from sslwear.errors import SettingsError


def test_published_head_has_two_layers_and_linear_head_one() -> None:
    assert HEADS == ("published", "linear")
    assert isinstance(classifier("published", 8, 3), Classifier)
    linear = classifier("linear", 8, 3)
    assert {name: tuple(value.shape) for name, value in linear.state_dict().items()} == {"weight": (3, 8), "bias": (3,)}


@torch.no_grad()
def test_initial_predictions_of_the_linear_head_are_nearer_to_uniform() -> None:
    """The initial loss of the published head is far above that of uniform predictions."""
    features = torch.randn(64, 256, generator=torch.Generator().manual_seed(0)).abs()
    labels = torch.arange(64) % 5
    loss = {}
    for kind in HEADS:
        torch.manual_seed(0)
        loss[kind] = float(torch.nn.functional.cross_entropy(classifier(kind, 256, 5)(features), labels))
    guess = float(torch.tensor(5.0).log())
    assert loss["linear"] < 1.5 * guess
    assert loss["published"] > 3 * guess


def test_error_for_an_unknown_kind_lists_the_kinds() -> None:
    with pytest.raises(SettingsError, match="head: there is no 'deep'; choose one of published, linear"):
        classifier("deep", 8, 3)
