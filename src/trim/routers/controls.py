"""Routers that learn nothing: the end points, and the controls that say what a good router must beat."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from trim.models.protocols import Step
from trim.problems.arithmetic import step_is_valid
from trim.rollout.engine import Action, Author, History, Reads


@dataclass(frozen=True, slots=True)
class WeakOnly:
    """Keep every draft."""

    reads = Reads.NOTHING

    def wants_draft(self, history: History) -> bool:
        """Return True."""
        return True

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Keep."""
        return Action.KEEP


@dataclass(frozen=True, slots=True)
class StrongOnly:
    """The strong model writes everything; nothing is drafted."""

    reads = Reads.NOTHING

    def wants_draft(self, history: History) -> bool:
        """Return False."""
        return False

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Regenerate."""
        return Action.REGENERATE


@dataclass(frozen=True, slots=True)
class RandomStep:
    """Regenerate with a fixed probability, whatever the draft.

    The draw is a hash of prefix and replicate, the same at every probability: what is
    regenerated at a low one is regenerated at a higher one too.
    """

    probability: float
    salt: str = "random-step"
    reads = Reads.NOTHING

    def wants_draft(self, history: History) -> bool:
        """Return True."""
        return True

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Draw."""
        content = history.prefix.digest + f"|{self.salt}|{history.replicate}".encode()
        draw = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") / 2**64
        return Action.REGENERATE if draw < self.probability else Action.KEEP


@dataclass(frozen=True, slots=True)
class FirstErrorOracle:
    """Regenerate the first wrong draft of a solution that is right so far; needs exact step labels.

    Once a wrong step was kept (the strong model can err too) nothing helps, and every draft is kept.
    """

    reads = Reads.NOTHING

    def wants_draft(self, history: History) -> bool:
        """Return True."""
        return True

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Look the truth up."""
        text = history.problem.text
        steps = [kept.step.text for kept in history.kept]
        right_so_far = all(step_is_valid(text, steps[:i], step) for i, step in enumerate(steps))
        wrong = not step_is_valid(text, steps, draft.text)
        return Action.REGENERATE if right_so_far and wrong else Action.KEEP


@dataclass(frozen=True, slots=True)
class OneStepTakeover:
    """From the first draft below the threshold on, the strong model writes all the rest (paper, Table 7)."""

    threshold: float
    reads = Reads.DRAFT

    def wants_draft(self, history: History) -> bool:
        """Return whether the weak model has written everything so far."""
        return not history.kept or history.kept[-1].author is Author.WEAK

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Compare."""
        assert score is not None
        return Action.REGENERATE if score < self.threshold else Action.KEEP
