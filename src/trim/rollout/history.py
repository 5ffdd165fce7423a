"""What a router that looks back may see, of many episodes at once.

The scalar counterpart is `History` of the engine; `Observed.of` turns one into the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trim.models.protocols import Step
from trim.rollout.engine import Action, Author, History, Reads

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Observed:
    """Histories of n episodes, each with a draft to decide on; T is at least the longest history plus one.

    Attributes
    ----------
    scores
        Shape (n, T); PRM scores of the kept steps in columns before `position`, of the draft in column `position`.
    draft_scores
        Shape (n, T); PRM scores of all drafts up to the one under decision, kept or not.
    tokens
        Shape (n, T); tokens of the kept steps, and of the draft.
    strong
        Shape (n, T); whether the strong model wrote a kept step.
    position
        Shape (n,); number of kept steps.
    final
        Shape (n,); whether the draft would end the solution.

    Columns after `position` mean nothing.
    """

    scores: Floats
    draft_scores: Floats
    tokens: Integers
    strong: Booleans
    position: Integers
    final: Booleans

    @classmethod
    def of(cls, history: History, draft: Step, score: float) -> Observed:
        """Lay out the history of one episode and the draft under decision."""
        kept = history.kept
        return cls(
            np.array([[*(step.score for step in kept), score]], dtype=np.float64),
            np.array([[*(step.draft_score for step in kept), score]], dtype=np.float64),
            np.array([[*(step.step.tokens for step in kept), draft.tokens]]),
            np.array([[*(step.author is Author.STRONG for step in kept), False]]),
            np.array([len(kept)]),
            np.array([history.is_last(draft)]),
        )

    def of_lanes(self, lanes: Integers) -> Observed:
        """Return the histories of some episodes, up to the longest of them."""
        length = int(self.position[lanes].max(initial=0)) + 1
        return Observed(
            self.scores[lanes, :length],
            self.draft_scores[lanes, :length],
            self.tokens[lanes, :length],
            self.strong[lanes, :length],
            self.position[lanes],
            self.final[lanes],
        )

    @property
    def score(self) -> Floats:
        """PRM score of the draft, shape (n,)."""
        return self.scores[np.arange(len(self.position)), self.position]

    @property
    def draft_tokens(self) -> Integers:
        """Tokens of the draft, shape (n,)."""
        return self.tokens[np.arange(len(self.position)), self.position]

    @property
    def minimum(self) -> Floats:
        """Lowest score of the kept steps, 1 where there is none, shape (n,)."""
        return np.asarray(np.min(self.scores, axis=1, initial=1.0, where=self._past))

    @property
    def product(self) -> Floats:
        """Product of the scores of the kept steps, shape (n,)."""
        return np.asarray(np.prod(self.scores, axis=1, where=self._past))

    @property
    def ending(self) -> Booleans:
        """Whether a step ends the solution: of all seen the draft alone may, shape (n, T)."""
        return np.asarray(self.final[:, None] & (np.arange(self.scores.shape[1]) == self.position[:, None]))

    @property
    def _past(self) -> Booleans:
        return np.arange(self.scores.shape[1]) < self.position[:, None]


class WantsEveryDraft:
    """A router that decides at every step, of one episode or of many."""

    __slots__ = ()

    def wants_draft(self, history: History) -> bool:
        """Return True."""
        return True

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Return True of every episode."""
        return np.ones_like(after_strong)


class DecidesOnHistories(WantsEveryDraft):
    """A router that decides on histories: many at a time, or on that of one episode."""

    __slots__ = ()
    reads = Reads.HISTORY

    def decide_all(self, observed: Observed) -> Booleans:
        """Tell of each draft whether the strong model is to write the step, shape (n,)."""
        raise NotImplementedError

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Decide on one draft."""
        assert score is not None
        return Action.REGENERATE if self.decide_all(Observed.of(history, draft, score))[0] else Action.KEEP


@dataclass(frozen=True, slots=True)
class Drafts:
    """The drafts that wait for a decision, one in each lane: all of shape (n,)."""

    score: Floats
    tokens: Integers
    position: Integers
    final: Booleans


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision brought in each lane: all of shape (n,).

    Attributes
    ----------
    strong_tokens
        Decoded by the strong model; 0 where the draft was kept.
    kept_score, kept_tokens
        PRM score and tokens of the step that was kept; a step that ends its episode may have no score (NaN).
    ended
        Whether the episode is over.
    correct
        Whether it ended with the right answer.
    """

    strong_tokens: Integers
    kept_score: Floats
    kept_tokens: Integers
    ended: Booleans
    correct: Booleans


class Histories:
    """The histories of episodes that run side by side, one in each lane.

    Parameters
    ----------
    lanes
        Number of lanes.
    max_steps
        Most steps of an episode.
    """

    def __init__(self, lanes: int, max_steps: int) -> None:
        shape = (lanes, max_steps)
        self._scores = np.ones(shape)
        self._draft_scores = np.ones(shape)
        self._tokens = np.zeros(shape, dtype=np.int64)
        self._strong = np.zeros(shape, dtype=bool)
        self._lanes = np.arange(lanes)

    def observe(self, drafts: Drafts) -> Observed:
        """Put the drafts behind the histories and return views of both; nothing is copied."""
        at = self._lanes, drafts.position
        self._scores[at] = self._draft_scores[at] = drafts.score
        self._tokens[at] = drafts.tokens
        self._strong[at] = False
        return Observed(self._scores, self._draft_scores, self._tokens, self._strong, drafts.position, drafts.final)

    def keep(self, position: Integers, regenerated: Booleans, outcome: Outcome) -> None:
        """Write down which steps were kept."""
        at = self._lanes, position
        self._scores[at] = outcome.kept_score
        self._tokens[at] = outcome.kept_tokens
        self._strong[at] = regenerated
