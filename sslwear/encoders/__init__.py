"""Encoders: one file a network."""
