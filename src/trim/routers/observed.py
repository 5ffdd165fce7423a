"""What step routers read of an episode, as arrays: one form for the engine, trees of episodes and simulators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trim.models.protocols import Step
from trim.rollout.engine import Author, History

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Observed:
    """The histories of n episodes, each with a draft under decision; columns beyond `position` mean nothing.

    Attributes
    ----------
    scores
        Shape (n, T); PRM scores of the kept steps, in column `position` of the draft.
    draft_scores
        Shape (n, T); PRM scores of all drafts, whether kept or not.
    tokens
        Shape (n, T); token counts of the kept steps, in column `position` of the draft.
    strong
        Shape (n, T); whether the strong model wrote the kept step.
    position
        Shape (n,); number of kept steps.
    final
        Shape (n,); whether the draft would end the solution.
    """

    scores: Floats
    draft_scores: Floats
    tokens: Integers
    strong: Booleans
    position: Integers
    final: Booleans

    @classmethod
    def of(cls, history: History, draft: Step, score: float | None) -> Observed:
        """Read one episode; scores that nobody asked for become NaN."""
        kept = history.kept
        return cls(
            scores=np.array([[*(step.score for step in kept), score]], dtype=float),
            draft_scores=np.array([[*(step.draft_score for step in kept), score]], dtype=float),
            tokens=np.array([[*(step.step.tokens for step in kept), draft.tokens]]),
            strong=np.array([[*(step.author is Author.STRONG for step in kept), False]]),
            position=np.array([len(kept)]),
            final=np.array([draft.is_final]),
        )


@dataclass(frozen=True, slots=True)
class Drafts:
    """The drafts under decision in n lanes of a world, each of shape (n,).

    Attributes
    ----------
    score
        PRM score of the draft.
    minimum
        Lowest score of the steps kept so far; 1 at the first step.
    tokens
        Token count of the draft.
    position
        Number of kept steps.
    final
        Whether the draft would end the solution.
    """

    score: Floats
    minimum: Floats
    tokens: Integers
    position: Integers
    final: Booleans


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of n decisions, each of shape (n,).

    Attributes
    ----------
    strong_tokens
        Tokens that the strong model decoded in this step.
    kept_score, kept_tokens
        Of the step that was kept.
    ended
        Whether it was the last one.
    correct
        Whether the solution is right, where it ended; False elsewhere.
    """

    strong_tokens: Integers
    kept_score: Floats
    kept_tokens: Integers
    ended: Booleans
    correct: Booleans
