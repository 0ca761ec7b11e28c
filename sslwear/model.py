"""Name under which models that were registered by version 0.1 import their classifier."""

from sslwear.encoders.classifier import Model

__all__ = ["Model"]
