"""Export to ONNX: each encoder of the package, alone and averaged, and one that cannot be exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslwear.deployment.onnx_export import to_onnx
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.card import Card, network
from sslwear.encoders.classifier import Model
from sslwear.encoders.cnn import Cnn5
from sslwear.encoders.harnet import Harnet5
from sslwear.encoders.multiscale import Multiscale
from sslwear.errors import SslwearError

for package in ("onnx", "onnxscript"):
    pytest.importorskip(package, reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


def card_of(encoder: type[Encoder], heads: tuple[str, ...] = ()) -> Card:
    names = ("sit still", "Gehen", "läuft")
    return Card(encoder.name, encoder.window_samples, encoder.rate_hz, "g", names, "data", "0", None, heads=heads)


@pytest.mark.parametrize("encoder", [Cnn5, Harnet5, Multiscale])
@pytest.mark.parametrize("heads", [(), ("published", "linear")])
def test_an_exported_encoder_takes_any_number_of_windows(
    encoder: type[Encoder], heads: tuple[str, ...], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    card = card_of(encoder, heads)
    model = Model(network(card), card)
    assert to_onnx(model, tmp_path / "a model.onnx") < 1e-5
    session = onnxruntime.InferenceSession(str(tmp_path / "a model.onnx"), providers=["CPUExecutionProvider"])
    draws = np.random.default_rng(1)
    for count in (1, 2, 300):
        windows = (draws.normal(0, 0.3, (count, card.window_samples, 3)) + np.array([0, 0, 1])).astype(np.float32)
        (found,) = session.run(None, {"windows": np.ascontiguousarray(windows.transpose(0, 2, 1))})
        np.testing.assert_allclose(found, model.probabilities(windows), atol=1e-5)


class Counting(nn.Module):
    """Uses the number of windows as a number of Python, which fixes it in an ONNX file."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1)[:, :3]


def test_an_encoder_that_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    body = Cnn5()
    body.feature_extractor = nn.Sequential(Counting())
    model = Model(Network(body, nn.Identity()), card_of(Cnn5))
    with pytest.raises(SslwearError, match=r"the encoder 'cnn5' cannot be exported to ONNX \(.*x\.shape\[0\]"):
        to_onnx(model, tmp_path / "model.onnx")
    assert not any(tmp_path.iterdir())
