"""TRIM: stepwise routing between a weak and a strong language model, reproduced."""

__version__ = "0.1.0"
