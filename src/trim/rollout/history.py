"""What a router sees, and how it decides: the histories of n episodes, each with a draft to decide on.

The engine asks with n = 1, the vectorised rollout, the training environment, the simulator and the explorer with many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from trim.arrays import Booleans, Floats, Integers
from trim.models.protocols import Prefix

ALL = slice(None)


class Reads(StrEnum):
    """Which scores a router looks at; scores nobody looks at are not computed."""

    NOTHING = "nothing"
    DRAFT = "draft"
    HISTORY = "history"


class Places(Protocol):
    """Where n episodes stand."""

    def prefixes(self) -> Sequence[tuple[Prefix, int]]:
        """Return the prefix and the replicate of each."""
        ...

    def of(self, rows: Integers) -> Places:
        """Return the places of some of them."""
        ...


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
    places
        Where the episodes stand, for routers that draw by the prefix; None where there is no text, as in a simulation.

    Columns after `position` mean nothing.
    """

    scores: Floats
    draft_scores: Floats
    tokens: Integers
    strong: Booleans
    position: Integers
    final: Booleans
    places: Places | None = None

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
        return np.asarray(np.min(self.scores, axis=1, initial=1.0, where=self.past))

    @property
    def product(self) -> Floats:
        """Product of the scores of the kept steps, shape (n,)."""
        return np.asarray(np.prod(self.scores, axis=1, where=self.past))

    @property
    def ending(self) -> Booleans:
        """Whether a step ends the solution: of all seen the draft alone may, shape (n, T)."""
        return np.asarray(self.final[:, None] & (np.arange(self.scores.shape[1]) == self.position[:, None]))

    @property
    def past(self) -> Booleans:
        """Whether a column holds a kept step, shape (n, T)."""
        return np.arange(self.scores.shape[1]) < self.position[:, None]


class Router(Protocol):
    """Decides of each draft whether it is kept: of one episode, or of many at once."""

    @property
    def reads(self) -> Reads:
        """Which scores `decide` needs."""
        ...

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Tell of each episode whether the weak model shall draft the next step, shape (n,).

        Parameters
        ----------
        after_strong
            Shape (n,); whether the strong model wrote the step before.
        """
        ...

    def decide(self, observed: Observed) -> Booleans:
        """Tell of each draft whether the strong model is to write the step again, shape (n,)."""
        ...


class WantsEveryDraft:
    """A router that decides at every step."""

    __slots__ = ()

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Return True of every episode."""
        return np.ones_like(after_strong)


@dataclass(frozen=True, slots=True)
class Drafts:
    """The drafts that wait for a decision, one an episode: all of shape (n,); a score is NaN where nobody read it."""

    score: Floats
    tokens: Integers
    position: Integers
    final: Booleans


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision brought in each episode: all of shape (n,).

    Attributes
    ----------
    regenerated
        Whether the strong model wrote the step that was kept.
    strong_tokens
        Decoded by the strong model; 0 where the draft was kept.
    kept_score, kept_tokens
        PRM score and tokens of the step that was kept; a step that ends its episode may have no score (NaN).
    ended
        Whether the episode is over.
    correct
        Whether it ended with the right answer.
    """

    regenerated: Booleans
    strong_tokens: Integers
    kept_score: Floats
    kept_tokens: Integers
    ended: Booleans
    correct: Booleans


class Histories:
    """The histories of n episodes that run side by side.

    Parameters
    ----------
    n
        Number of episodes.
    max_steps
        Most steps of an episode.
    """

    def __init__(self, n: int, max_steps: int) -> None:
        shape = (n, max_steps)
        self._scores = np.ones(shape)
        self._draft_scores = np.ones(shape)
        self._tokens = np.zeros(shape, dtype=np.int64)
        self._strong = np.zeros(shape, dtype=bool)
        self._position = np.zeros(n, dtype=np.int64)
        self._final = np.zeros(n, dtype=bool)

    def draft(self, drafts: Drafts, episodes: Integers | slice = ALL) -> None:
        """Put drafts behind the histories of some episodes, or of all."""
        at = np.arange(len(self._position))[episodes], drafts.position
        self._position[episodes], self._final[episodes] = drafts.position, drafts.final
        self._scores[at] = self._draft_scores[at] = drafts.score
        self._tokens[at] = drafts.tokens
        self._strong[at] = False

    def observed(self, episodes: Integers | slice = ALL, places: Places | None = None) -> Observed:
        """Return what a router sees of some episodes, up to the longest of them; of all: views, nothing is copied."""
        position = self._position[episodes]
        length = self._scores.shape[1] if isinstance(episodes, slice) else int(position.max(initial=0)) + 1
        seen = np.s_[episodes, :length]
        return Observed(
            self._scores[seen],
            self._draft_scores[seen],
            self._tokens[seen],
            self._strong[seen],
            position,
            self._final[episodes],
            places,
        )

    def keep(self, outcome: Outcome, episodes: Integers | slice = ALL) -> None:
        """Write down which steps were kept."""
        at = np.arange(len(self._position))[episodes], self._position[episodes]
        self._scores[at] = outcome.kept_score
        self._tokens[at] = outcome.kept_tokens
        self._strong[at] = outcome.regenerated

    def copied(self, episodes: Integers) -> Histories:
        """Return the histories of some episodes, as often as each is named, to go on by themselves."""
        copy = Histories.__new__(Histories)
        for name, array in vars(self).items():
            setattr(copy, name, array[episodes])
        return copy
