"""Prediction of recordings: labels, features, output files, and what reads them."""
