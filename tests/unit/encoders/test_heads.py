"""The two heads that name activities."""

import math

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
@pytest.mark.parametrize("kind", HEADS)
def test_an_untrained_head_guesses_whatever_the_scale_of_the_features(kind: str) -> None:
    features = 10 * torch.randn(64, 256, generator=torch.Generator().manual_seed(0)).abs()
    labels = torch.arange(64) % 5
    torch.manual_seed(0)
    loss = torch.nn.functional.cross_entropy(classifier(kind, 256, 5)(features), labels)
    assert float(loss) == pytest.approx(math.log(5), abs=0.3)


def test_error_for_an_unknown_kind_lists_the_kinds() -> None:
    with pytest.raises(SettingsError, match="head: there is no 'deep'; choose one of published, linear"):
        classifier("deep", 8, 3)
