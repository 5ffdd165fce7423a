"""Histories to decide on, as routers see them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from trim.rollout.history import Drafts, Histories, Observed, Outcome, Places


def first_drafts(
    scores: Sequence[float], tokens: ArrayLike = 10, *, final: bool = False, places: Places | None = None
) -> Observed:
    """Drafts of first steps."""
    count = len(scores)
    histories, start = Histories(count, 1), np.zeros(count, dtype=np.int64)
    histories.draft(Drafts(np.array(scores, dtype=float), np.full(count, tokens), start, np.full(count, final)))
    return histories.observed(places=places)


def step_by_step(observed: Observed, row: int) -> Observed:
    """Return one episode of many, in a history of its own that grows as in the engine."""
    last, none = observed.position[row], np.array([0])
    history = Histories(1, observed.scores.shape[1])
    for position in range(last + 1):
        at = row, [position]
        tokens = np.where(observed.strong[at], 5, observed.tokens[at])  # a discarded draft's: nobody sees them later
        final = np.array([position == last and observed.final[row]])
        history.draft(Drafts(observed.draft_scores[at], tokens, np.array([position]), final))
        if position < last:
            kept = Outcome(observed.strong[at], none, observed.scores[at], observed.tokens[at], none > 0, none > 0)
            history.keep(kept)
    return history.observed()
