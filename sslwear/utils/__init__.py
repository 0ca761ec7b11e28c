"""Signals, processes, masking of passwords, and plug-ins."""
