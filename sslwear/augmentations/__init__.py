"""Augmentations of training windows, one file each."""
