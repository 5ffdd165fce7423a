"""A control, with nothing to fit: the two models take turns, whatever the PRM says.

Such a control shows how much of a router's gain comes of the strong model alone. No draft is thrown away, and nobody
reads one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans
from trim.config.routers import Routers
from trim.names import Look, Name
from trim.rollout.history import Observed, Reads
from trim.rollout.tables import OperatingPoint

NAMES = (Name("take-turns", "default", "control", Look("taking turns", 6, "s", "")),)


@dataclass(frozen=True, slots=True)
class TakeTurns:
    """The strong model writes the first step, the weak one the second, and so on."""

    reads = Reads.NOTHING

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Have the weak model draft where the strong one wrote the step before; elsewhere the strong one writes."""
        return after_strong

    def decide(self, observed: Observed) -> Booleans:
        """Keep every draft."""
        return np.zeros(len(observed.position), dtype=bool)


def points(settings: Routers) -> Sequence[OperatingPoint]:
    """Return its one operating point; settings of its own would stand in `settings.others["take-turns"]`."""
    return [OperatingPoint("take-turns", "default", 0.5, TakeTurns())]
