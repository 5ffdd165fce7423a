"""Read a single curve, for tests of the metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trim.evaluation.curves import Reading


def read_one(
    reading: Reading, shares: Sequence[float], accuracies: Sequence[float], weak: float, strong: float
) -> dict[str, float]:
    """Return the metrics of one curve by name."""
    curve = (np.array([values], dtype=float) for values in (shares, accuracies, weak, strong))
    return {name: float(values[0]) for name, values in reading(*curve).items()}
