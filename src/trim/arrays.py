"""Types of arrays, by what stands in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
"""Of single precision: what networks compute with."""
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
"""Small counts, many of them."""
Booleans = NDArray[np.bool_]
