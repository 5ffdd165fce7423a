"""What it is worth: sweeps, curves, intervals and claims."""
