"""Initial weights of a study's networks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sslwear.encoders import weights
from sslwear.encoders.base import Encoder
from sslwear.tracking import MODEL_URI, RUN_URI, Store
from sslwear.tracking.checkpoints import load_weights
from sslwear.utils.paths import user_path


def initial_weights(origin: str, encoder: type[Encoder], store: Store) -> Mapping[str, Tensor] | None:
    """Read initial weights and check that they fit the encoder; None for ``none``.

    Args:
        origin: the value of ``weights:``.
        encoder: class of the encoder.
        store: store of runs and registered models.

    Raises:
        WeightsError: when it cannot be read or does not fit.
    """
    if origin == "none":
        return None
    if origin == "hub":
        state = weights.from_hub(encoder.name)
    elif origin.startswith((RUN_URI, MODEL_URI)):
        state = load_weights(store, origin)
    else:
        state = weights.read(user_path(origin))
    weights.load_encoder(encoder(), state, origin)
    return state
