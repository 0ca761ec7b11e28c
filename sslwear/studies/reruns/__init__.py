"""Repetitions of logged runs, and their comparison."""
