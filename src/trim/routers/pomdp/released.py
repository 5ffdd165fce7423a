"""The `released` variant of TRIM-POMDP: how the code that the authors released decides.

It differs from ours in four ways: it starts every step from a uniform belief and forgets what it saw before,
it reads the score together with the lowest score before, it keeps a draft unless S2 is nearly the likeliest
state, and its hazard is that of one step earlier, so that solutions seem a step longer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trim.arrays import Booleans, Floats, Integers
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.routers.pomdp import belief
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.policy import check_length, likelihoods_of, regeneration_gain

NO_MASK = 2.0
"""A closeness that no lead of a state reaches."""


def with_late_hazard(model: PomdpModel) -> PomdpModel:
    """Return the model with the hazard of one step earlier, as the official code takes it."""
    transition = model.transition
    late = np.concatenate([[0.0], transition.hazard])
    accuracy = np.append(transition.weak_accuracy, transition.weak_accuracy[-1])
    return replace(model, transition=replace(transition, hazard=late, weak_accuracy=accuracy))


@dataclass(frozen=True, eq=False)
class ReleasedPolicy(WantsEveryDraft):
    """Decide each draft by itself, under a uniform belief and a mask.

    Attributes
    ----------
    model
        Of either alphabet; the official one is of pairs.
    values
        Shape (S + 1, N + 1); upper bounds of V at this cost.
    cost
        Of a token, in units of the reward.
    closeness
        A draft is kept if the likeliest state leads S2 by at least this; `NO_MASK` for no such mask.
    token_bin
        Width of the bins to whose lower edges token counts fall when a decision is looked up; 0 for exact counts.
        The official table has such bins: it decides of a draft of 60 tokens as of 50, which `token_bin=50` does.
    """

    model: PomdpModel
    values: Floats
    cost: float
    closeness: float
    token_bin: float = 0.0
    reads = Reads.HISTORY

    def decide(self, observed: Observed) -> Booleans:
        """Decide n drafts: True where the strong model shall write the step again, shape (n,)."""
        check_length(self.model, observed.position.max(initial=0))
        symbol = self.model.observation.draft_symbol(observed.score, observed.minimum)
        return self.decide_symbols(observed.position, symbol, observed.draft_tokens)

    def decide_symbols(self, position: Any, symbol: Integers, tokens: Any) -> Booleans:
        """Decide drafts whose symbols are known; whether a draft is final is not looked at."""
        third = np.full(len(position), 1 / 3)
        seen = belief.posterior((third, third, third), likelihoods_of(self.model.observation.draft, symbol))
        near = np.maximum(np.maximum(seen[0], seen[1]), seen[2]) - seen[2] < self.closeness
        counted = np.floor_divide(tokens, self.token_bin) * self.token_bin if self.token_bin else tokens
        gain = regeneration_gain(self.model, self.values, self.cost, position, seen, counted, False)
        regenerate: Booleans = near & (gain > 0)
        return regenerate
