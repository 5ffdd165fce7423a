"""Baselines that decide once a problem: which model answers it."""
