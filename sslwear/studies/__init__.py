"""Studies: pre-training, trials, sampling, cross-validation, and what is read back of them."""

import sslwear.tracking  # noqa: F401 - modules of this folder import MLflow, which this does without telemetry
