"""Scores per participant, and figures."""
