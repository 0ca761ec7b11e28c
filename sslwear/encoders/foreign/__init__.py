"""Encoders from elsewhere, which map windows of their own rate and length to vectors and stay as they are."""
