"""Settings to Optuna and back: space, trial, pre-training, study."""
