"""Features of windows by a registered model, an encoder with weights, or an encoder from elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sslwear.deployment.registry import load_model, models, name_and_version
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.foreign.base import PACKAGE, ForeignEncoder, features_network
from sslwear.encoders.foreign.base import get as get_foreign
from sslwear.encoders.weights import HUB_ENCODERS, load_encoder
from sslwear.errors import SettingsError
from sslwear.studies.setup.keys import digest
from sslwear.tracking import Store
from sslwear.tracking.checkpoints import initial_weights, resolve_alias
from sslwear.training.evaluation import EVALUATION_BATCH
from sslwear.utils import plugins


@dataclass(frozen=True)
class Embedder:
    """A frozen encoder with its windows.

    Attributes:
        name: what it is, for the files.
        network: network in evaluation mode, of which the head is not used.
        rate_hz: samples per second of its windows.
        window_samples: length of its windows in samples.
        recorded_hz: rate of the recordings that it was trained on, which are resampled; None for `rate_hz`.
        code: identity of the encoder's code if that is a plug-in.
        device: device of the computation.
        precision: ``float32`` or ``bf16``.
    """

    name: str
    network: Network
    rate_hz: float
    window_samples: int
    recorded_hz: float | None = None
    code: str = ""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "float32"

    @property
    def window_s(self) -> float:
        """Length of its windows in seconds."""
        return self.window_samples / self.rate_hz

    @property
    def digest(self) -> str:
        """Text that changes with the weights, the code, the windows and the precision."""
        weights = digest(self.network.feature_extractor.state_dict())
        return " ".join([weights, self.code, f"{self.window_samples}, {self.rate_hz:g} Hz", self.precision]).strip()

    @torch.no_grad()
    def features(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (N, F) of windows (N, samples, 3) in g, N > 0."""
        count, found = len(windows), []
        if count > EVALUATION_BATCH:  # batches of one size, because libraries keep memory for each size
            windows = np.concatenate([windows, np.zeros((-count % EVALUATION_BATCH, *windows.shape[1:]), np.float32)])
        for first in range(0, count, EVALUATION_BATCH):
            part = windows[first : first + EVALUATION_BATCH]
            x = torch.from_numpy(np.ascontiguousarray(part.transpose(0, 2, 1))).to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                found.append(self.network.forward_blocks(x).flatten(1).float().cpu().numpy())
        values: NDArray[np.float32] = np.concatenate(found)[:count]
        return values


def open_embedder(store: Store, model: str, weights: str | None, device: torch.device, precision: str) -> Embedder:
    """Encoder by the values of ``--model`` and ``--weights``.

    Args:
        store: the store.
        model: ``NAME@alias``, ``NAME/VERSION`` or ``runs:/ID``, or the name of an encoder.
        weights: for the name of an encoder: a file, ``hub``, ``runs:/ID`` or ``models:/NAME@alias``; or None.
        device: device of the computation.
        precision: ``float32`` or ``bf16``.

    Raises:
        SslwearError: when there is no such model or encoder, or the weights are missing or do not fit.
    """
    own, others = plugins.find("sslwear.encoders", Encoder), plugins.find(PACKAGE, ForeignEncoder)
    if model in own:
        found = _own(own[model], weights, store)
    elif weights is not None:
        what = "has its weights" if model in others or re.search("[@:/]", model) else "is no encoder"
        raise SettingsError(f"--weights is for the name of an encoder, and {model} {what}. Remove --weights")
    elif model in others:
        encoder = get_foreign(model, "--model")
        network = features_network(encoder, encoder.window_s, "--model")
        code = plugins.identity(encoder)
        found = Embedder(model, network, encoder.rate_hz, encoder.samples(encoder.window_s), code=code)
    elif not re.search("[@:/]", model) and model not in (names := [one.name for one in models(store)]):
        raise SettingsError(
            f"there is no registered model {model!r} and no encoder of this name. Registered models: "
            f"{', '.join(names) or 'none'}. Encoders: {', '.join(sorted({*own, *others}))}"
        )
    else:
        model = "/".join(filter(None, name_and_version(store, model)))  # an alias may move later
        trained = load_model(store, model)
        card = trained.card
        if card.heads or not card.has_encoder:
            raise SettingsError(
                f"{model} is an average or has no encoder, so that it gives no features. Give runs:/ID of one of its "
                "networks, which its model card names"
            )
        found = Embedder(model, trained.network, card.rate_hz, card.window_samples, card.recorded_hz)
    body = found.network.to(device).eval()
    return replace(found, network=body, device=device, precision=precision)


def _own(encoder: type[Encoder], weights: str | None, store: Store) -> Embedder:
    if weights is None or weights == "none":
        hub = ", or --weights hub for the published ones" if encoder.name in HUB_ENCODERS else ""
        raise SettingsError(f"--model {encoder.name} is an encoder without weights. Add --weights FILE{hub}")
    weights = resolve_alias(store, weights)
    state = initial_weights(weights, encoder, store)
    assert state is not None
    made = encoder()
    load_encoder(made, state, weights)
    network = Network(made, nn.Identity())
    return Embedder(
        f"{encoder.name}, {weights}", network, encoder.rate_hz, encoder.window_samples, code=plugins.identity(encoder)
    )
