"""Tuning strategies: which parameters learn, and how fast; one file each."""
