"""Routers that learn nothing: the end points, and the controls that say what a good router must beat."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from trim.rollout.history import Booleans, Observed, Reads, WantsEveryDraft


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


@dataclass(frozen=True, slots=True)
class OneStepTakeover:
    """From the first draft below the threshold on, the strong model writes all the rest (paper, Table 7)."""

    threshold: float
    reads = Reads.DRAFT

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Return of every episode whether the weak model has written everything so far."""
        return ~after_strong

    def decide(self, observed: Observed) -> Booleans:
        """Compare n drafts."""
        return np.asarray(observed.score < self.threshold)
