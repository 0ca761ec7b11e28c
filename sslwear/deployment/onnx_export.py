"""Export of models to ONNX."""

from __future__ import annotations

import json
import logging
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sslwear.encoders.base import Network
from sslwear.encoders.card import Card
from sslwear.encoders.classifier import Model
from sslwear.errors import SslwearError

TOLERANCE = 1e-5


class _Probabilities(nn.Module):
    """Network with softmax: windows (B, 3, samples) to class probabilities (B, classes)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: Tensor) -> Tensor:
        probabilities: Tensor = self.network(windows).softmax(dim=1)
        return probabilities


def to_onnx(model: Model, path: Path) -> float:
    """Write a model as an ONNX file.

    The input ``windows`` is (B, 3, samples) in g, float32, for any B. The output ``probabilities`` is (B, classes).
    Labels, rate and unit are in the metadata of the file.

    Args:
        model: classifier in float32 on the CPU.
        path: ONNX file to write.

    Returns:
        The largest difference between the probabilities of ONNX Runtime and PyTorch on random windows.

    Raises:
        SslwearError: when the extra is not installed, the network cannot be exported for any B, the file cannot be
            written, or the probabilities differ.
    """
    if not model.card.only_networks:
        raise SslwearError("a model with a baseline cannot be exported to ONNX. Promote a method without baselines")
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise SslwearError(
            f"ONNX export needs the package {error.name}. Install it with: pip install 'sslwear[onnx]'"
        ) from error
    try:
        proto = _graph(model).model_proto
        onnx.helper.set_model_props(proto, _metadata(model.card))
        content = proto.SerializeToString()
        worst = difference(model, onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]))
    except Exception as error:  # an encoder of others may compute anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise SslwearError(
            f"the encoder {model.card.encoder!r} cannot be exported to ONNX ({reason}). Let its forward use operations "
            "of PyTorch alone, and x.shape[0] in place of len(x)"
        ) from error
    if not worst <= TOLERANCE:
        raise SslwearError(
            f"the exported model differs from PyTorch by up to {worst:.2g}, so {path} was not written. Please report "
            "this"
        )
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise SslwearError(f"cannot write {path} ({error.strerror}). Give another file") from error
    return worst


def _metadata(card: Card) -> dict[str, str]:
    """What the file says about the model: labels in the order of the outputs, rate, unit and fingerprint."""
    labels = json.dumps(card.class_names)
    return {"labels": labels, "rate_hz": f"{card.rate_hz:g}", "unit": card.unit, "fingerprint": card.fingerprint}


def _graph(model: Model) -> torch.onnx.ONNXProgram:
    """The computation of class probabilities of windows (B, 3, samples), for any B."""
    example = torch.zeros(2, 3, model.card.window_samples)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Probabilities(model.network).eval(),
            (example,),
            input_names=["windows"],
            output_names=["probabilities"],
            dynamic_shapes={"windows": {0: torch.export.Dim("batch")}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return program


def difference(model: Model, session: object) -> float:
    """Largest difference of probabilities between PyTorch and an ONNX Runtime session on random windows."""
    draws = np.random.default_rng(0)
    shape = (7, model.card.window_samples, 3)
    windows: NDArray[np.float32] = (draws.normal(0, 0.3, shape) + np.array([0, 0, 1])).astype(np.float32)
    (found,) = session.run(None, {"windows": np.ascontiguousarray(windows.transpose(0, 2, 1))})  # type: ignore[attr-defined]
    return float(np.abs(found - model.probabilities(windows)).max())
