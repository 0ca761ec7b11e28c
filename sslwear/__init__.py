"""Self-supervised learning on wrist accelerometers: which layers to fine-tune, how fast, after which pretext task."""

__version__ = "0.2.0.dev0"
