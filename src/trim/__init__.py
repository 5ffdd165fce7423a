"""TRIM: stepwise routing between a weak and a strong language model, re-implemented."""

__version__ = "0.1.0"
