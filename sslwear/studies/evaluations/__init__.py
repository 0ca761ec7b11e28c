"""Evaluations by cross-validation: their methods, jobs and results."""
