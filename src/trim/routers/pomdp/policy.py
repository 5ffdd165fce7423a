"""TRIM-POMDP as a router: filter the belief over the episode, then take the action of higher value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans, Floats, Integers
from trim.errors import InputError
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.routers.pomdp import belief
from trim.routers.pomdp.model import PomdpModel


def regeneration_gain(
    model: PomdpModel,
    values: Floats,
    cost: float,
    position: Integers,
    draft: belief.Belief,
    tokens: Integers | Floats,
    final: Booleans | bool,
) -> Floats:
    """Return Q(regenerate) - Q(keep) of n drafts, shape (n,).

    Parameters
    ----------
    values
        Shape (S + 1, N + 1); V of one cost on the belief grid, of which straight lines are taken. With upper
        bounds, the action is the certified one wherever the bounds of both Q values do not overlap.
    position, tokens, final
        Shape (n,); of the drafts.
    draft
        Belief about the drafts, their scores seen.
    """
    transition, strong = model.transition, model.observation.strong
    # The strong model's step: its hidden state, then each symbol that its score may show, shape (n, symbols).
    written = belief.regenerated(draft, transition.strong_if_right, transition.strong_if_wrong)
    right_and_seen = np.multiply.outer(written[0], strong[:, 0])
    seen = right_and_seen + np.multiply.outer(written[1], strong[:, 1]) + np.multiply.outer(written[2], strong[:, 2])
    after = position[:, None] + 1
    ahead = (seen * _interpolate(values, after, right_and_seen / seen)).sum(-1)
    ahead = ahead - _interpolate(values, position + 1, belief.after_keep(draft))
    ending = model.reward * (written[0] - draft[0])
    return np.asarray(np.where(final, ending, ahead) - cost * tokens)


def _interpolate(values: Floats, step: Integers, right: Floats) -> Floats:
    """Return V at steps and probabilities that all is right so far, of one shape."""
    place = right * (values.shape[1] - 1)
    low = np.minimum(place, values.shape[1] - 2).astype(int)
    left = values[step, low]
    return np.asarray(left + (place - low) * (values[step, low + 1] - left))


@dataclass(frozen=True, eq=False)
class PomdpPolicy(WantsEveryDraft):
    """Regenerate iff that has the higher value under the filtered belief; keep on a tie.

    Attributes
    ----------
    model
        With an alphabet of single scores: pairs with a running minimum would count a score again and again.
    values
        Shape (S + 1, N + 1); upper bounds of V at this cost.
    cost
        Of a token, in units of the reward.

    Raises
    ------
    InputError
        If the alphabet is joint; when deciding, if an episode is longer than the model's max_steps.
    """

    model: PomdpModel
    values: Floats
    cost: float
    reads = Reads.HISTORY

    def __post_init__(self) -> None:
        """Refuse the joint alphabet."""
        if self.model.observation.joint:
            raise InputError("POMDP policy: the filter needs an observation model of single scores, not of pairs")

    def decide(self, observed: Observed) -> Booleans:
        """Decide for n episodes: True where the strong model shall write the step again, shape (n,)."""
        return self.gain_all(observed) > 0

    def gain_all(self, observed: Observed) -> Floats:
        """Return Q(regenerate) - Q(keep) of n drafts, shape (n,): deciding otherwise than by its sign loses as much."""
        position, seen = observed.position, self.believe(observed)
        final = observed.final | (position == self.model.max_steps - 1)
        return regeneration_gain(self.model, self.values, self.cost, position, seen, observed.draft_tokens, final)

    def believe(self, observed: Observed) -> belief.Belief:
        """Filter n episodes: the belief about the drafts under decision, their scores seen; arrays of shape (n,)."""
        position = observed.position
        check_length(self.model, position.max(initial=0))
        m = np.ones(len(position))
        for step in range(position.max(initial=0)):
            seen = self._see_draft(step, m, observed.draft_scores[:, step])
            strong = self._see_strong(seen, observed.scores[:, step])
            after = np.where(observed.strong[:, step], strong, belief.after_keep(seen))
            m = np.where(step < position, after, m)
        return self._see_draft(position, m, observed.score)

    def _see_draft(self, step: int | Integers, m: Floats, score: Floats) -> belief.Belief:
        """Return the belief about drafts whose scores are seen; all at one step, or each at its own."""
        expected = belief.prior(m, self.model.transition.weak_accuracy[step])
        observation = self.model.observation
        return belief.posterior(expected, likelihoods_of(observation.draft, observation.index(score)))

    def _see_strong(self, draft: belief.Belief, score: Floats) -> Floats:
        """Return m after the strong model wrote the step again, and its score was seen."""
        transition, observation = self.model.transition, self.model.observation
        expected = belief.regenerated(draft, transition.strong_if_right, transition.strong_if_wrong)
        return belief.posterior(expected, likelihoods_of(observation.strong, observation.strong_symbol(score)))[0]


def check_length(model: PomdpModel, position: int) -> None:
    """Refuse an episode that the model holds impossible."""
    if position >= model.max_steps:
        raise InputError(
            f"POMDP policy: step {position + 1} of an episode, but it was solved for at most {model.max_steps}; "
            "solve it with the max_steps of the rollouts"
        )


def likelihoods_of(likelihoods: Floats, symbol: Integers) -> belief.Belief:
    """Return the likelihoods of the three states, given symbols."""
    return likelihoods[symbol, 0], likelihoods[symbol, 1], likelihoods[symbol, 2]
