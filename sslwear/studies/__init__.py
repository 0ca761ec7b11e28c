"""Studies: pre-training, trials, sampling, cross-validation, and what is read back of them."""
