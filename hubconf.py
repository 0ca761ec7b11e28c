"""Encoders for ``torch.hub.load``: the harnets under the names of the published repository, and the small networks.

Example:
    >>> torch.hub.load("path/of/this/repository", "harnet10", source="local", class_num=4)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from pathlib import Path

from sslwear.api import load_encoder
from sslwear.encoders.base import Network
from sslwear.encoders.heads import Classifier

dependencies = ["numpy", "pandas", "safetensors", "torch"]


def _network(
    name: str, class_num: int = 2, my_device: str = "cpu", pretrained: bool = False, weights: str | Path | None = None
) -> Network:
    """Make an encoder with a head of `class_num` outputs.

    Args:
        name: the encoder.
        class_num: number of classes.
        my_device: device of the network, such as ``cpu`` or ``cuda:0``.
        pretrained: whether to download the published weights, which are for academic use only; harnets only.
        weights: a checkpoint, in place of the published weights, see `sslwear.load_encoder`.

    Returns:
        A network in training mode that maps windows (B, 3, samples) in g at 30 Hz to logits (B, `class_num`). Its
        parts are ``feature_extractor``, with the pre-trained weights, and ``classifier``, with random weights.

    Raises:
        WeightsError: when the weights cannot be read or do not fit.
    """
    origin = weights if weights is not None else "hub" if pretrained else "none"
    encoder = load_encoder(name, origin)
    return Network(encoder, Classifier(encoder.features, class_num)).to(my_device).train()


def _entry_point(name: str) -> Callable[..., Network]:
    return update_wrapper(partial(_network, name), _network)


harnet5 = _entry_point("harnet5")
harnet10 = _entry_point("harnet10")
harnet30 = _entry_point("harnet30")
cnn5 = _entry_point("cnn5")
cnn10 = _entry_point("cnn10")
cnn30 = _entry_point("cnn30")
multiscale = _entry_point("multiscale")
