"""Tuning strategies, one file each: which parameters learn, and how fast."""
