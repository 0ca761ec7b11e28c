"""torch.hub.load of this repository gives the encoders as the published repository does."""

from pathlib import Path

import pytest
import torch

from sslwear.encoders.base import Encoder, get
from sslwear.errors import WeightsError
from sslwear.utils.plugins import find

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("harnet5", "harnet10", "harnet30", "cnn5", "cnn10", "cnn30", "multiscale")


def load(name: str, **options: object) -> torch.nn.Module:
    return torch.hub.load(str(ROOT), name, source="local", **options)


@pytest.mark.parametrize("name", NAMES)
def test_each_encoder_is_an_entry_point_with_a_head(name: str) -> None:
    network = load(name, pretrained=False, class_num=4, my_device="cpu")
    assert network(torch.randn(2, 3, get(name).window_samples)).shape == (2, 4)
    assert network.training


def test_every_encoder_is_an_entry_point() -> None:
    assert set(find("sslwear.encoders", Encoder)) == set(NAMES)


def test_tensor_names_are_those_of_the_published_checkpoints() -> None:
    names = [name for name in load("harnet10").state_dict() if name.startswith("feature_extractor.")]
    assert len(names) == 131
    assert "feature_extractor.layer1.0.weight" in names


def test_weights_are_read_from_a_published_checkpoint(tmp_path: Path) -> None:
    encoder = get("harnet5")()
    state = {f"module.{name}": tensor for name, tensor in encoder.state_dict().items()}
    torch.save(state, tmp_path / "mtl.mdl")
    network = load("harnet5", weights=tmp_path / "mtl.mdl")
    read = network.state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in encoder.state_dict().items())


def test_missing_weights_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no\.mdl"):
        load("harnet5", weights=tmp_path / "no.mdl")
