"""Promotion: registration of models with their cards, and comparison with the champion."""
