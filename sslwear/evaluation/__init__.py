"""Evaluation: scores per participant, intervals, comparisons, smoothing and baselines."""
