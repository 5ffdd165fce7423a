"""Routers that learn nothing: the end points, and the controls that say what a good router must beat."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans
from trim.config.routers import Routers
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.rollout.tables import OperatingPoint
from trim.routers.threshold import Threshold


@dataclass(frozen=True, slots=True)
class WeakOnly(WantsEveryDraft):
    """Keep every draft."""

    reads = Reads.NOTHING

    def decide(self, observed: Observed) -> Booleans:
        """Keep all."""
        return np.zeros(len(observed.position), dtype=bool)


@dataclass(frozen=True, slots=True)
class StrongOnly:
    """The strong model writes everything; nothing is drafted."""

    reads = Reads.NOTHING

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Return False of every episode."""
        return np.zeros_like(after_strong)

    def decide(self, observed: Observed) -> Booleans:
        """Regenerate all."""
        return np.ones(len(observed.position), dtype=bool)


@dataclass(frozen=True, slots=True)
class RandomStep(WantsEveryDraft):
    """Regenerate with a fixed probability, whatever the draft.

    The draw is a hash of prefix and replicate, the same at every probability: what is
    regenerated at a low one is regenerated at a higher one too.
    """

    probability: float
    salt: str = "random-step"
    reads = Reads.NOTHING

    def decide(self, observed: Observed) -> Booleans:
        """Draw."""
        assert observed.places is not None, "random-step draws by the text of a prefix"
        draws = [self._draw(prefix.digest, replicate) for prefix, replicate in observed.places.prefixes()]
        return np.array(draws) < self.probability

    def _draw(self, digest: bytes, replicate: int) -> float:
        content = digest + f"|{self.salt}|{replicate}".encode()
        return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") / 2**64


RSD_THRESHOLD = 0.7
"""PRM score from which RSD accepts a step of the weak model (arXiv 2501.19324)."""

ALONE = (
    OperatingPoint("weak-only", "default", 0.0, WeakOnly()),
    OperatingPoint("strong-only", "default", 1.0, StrongOnly()),
)
"""The two models by themselves."""

CONTROLS: Mapping[str, Callable[[Routers], Sequence[OperatingPoint]]] = {
    "weak-only": lambda settings: ALONE[:1],
    "strong-only": lambda settings: ALONE[1:],
    "random-step": lambda settings: [
        OperatingPoint("random-step", "default", share, RandomStep(share)) for share in settings.random_shares
    ],
    "rsd": lambda settings: [OperatingPoint("rsd", "default", RSD_THRESHOLD, Threshold(RSD_THRESHOLD))],
}
"""The one table of routers with nothing to fit: what gives the operating points of each."""
