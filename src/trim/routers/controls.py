"""Routers that learn nothing: the end points, and the controls that say what a good router must beat."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from trim.models.protocols import Step
from trim.rollout.engine import Action, Author, History, Reads
from trim.rollout.history import Booleans, Observed, WantsEveryDraft


@dataclass(frozen=True, slots=True)
class WeakOnly(WantsEveryDraft):
    """Keep every draft."""

    reads = Reads.NOTHING

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Keep."""
        return Action.KEEP

    def decide_all(self, observed: Observed) -> Booleans:
        """Keep all."""
        return np.zeros(len(observed.position), dtype=bool)


@dataclass(frozen=True, slots=True)
class StrongOnly:
    """The strong model writes everything; nothing is drafted."""

    reads = Reads.NOTHING

    def wants_draft(self, history: History) -> bool:
        """Return False."""
        return False

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Return False of every episode."""
        return np.zeros_like(after_strong)

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Regenerate."""
        return Action.REGENERATE

    def decide_all(self, observed: Observed) -> Booleans:
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

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Draw."""
        return Action.REGENERATE if self.draws(history.prefix.digest, history.replicate) else Action.KEEP

    def draws(self, digest: bytes, replicate: int) -> bool:
        """Tell whether the step after the prefix with this digest is regenerated."""
        content = digest + f"|{self.salt}|{replicate}".encode()
        return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") / 2**64 < self.probability


@dataclass(frozen=True, slots=True)
class OneStepTakeover:
    """From the first draft below the threshold on, the strong model writes all the rest (paper, Table 7)."""

    threshold: float
    reads = Reads.DRAFT

    def wants_draft(self, history: History) -> bool:
        """Return whether the weak model has written everything so far."""
        return not history.kept or history.kept[-1].author is Author.WEAK

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Return whether the weak model has written everything so far, of every episode."""
        return ~after_strong

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Compare."""
        assert score is not None
        return Action.REGENERATE if score < self.threshold else Action.KEEP

    def decide_all(self, observed: Observed) -> Booleans:
        """Compare n drafts."""
        return np.asarray(observed.score < self.threshold)
