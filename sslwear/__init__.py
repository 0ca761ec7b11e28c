"""Self-supervised learning on wrist accelerometers: which layers to fine-tune, how fast, after which pretext task."""

__version__ = "0.1.0"
