"""What the project costs, measured: `python -m benchmarks` runs the comparisons, the other modules stand alone."""
