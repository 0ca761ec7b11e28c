"""Studies in Optuna's database: their trials, outcomes, test scores and budget."""
