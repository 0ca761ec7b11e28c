"""Encoders, one file for each architecture."""
