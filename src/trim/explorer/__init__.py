"""The trace explorer: one HTML file in which solutions are followed step by step."""
