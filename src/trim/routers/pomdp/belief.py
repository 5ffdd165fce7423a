"""The belief over n episodes, elementwise over arrays of shape (n,).

Between steps it is m = P(all kept steps are right); within a step, the probabilities of the draft's states.
"""

from __future__ import annotations

from trim.arrays import Floats

Belief = tuple[Floats, Floats, Floats]
"""P(S0), P(S1), P(S2), of one shape."""


def prior(m: Floats, accuracy: Floats | float) -> Belief:
    """Return the belief about a draft before its score is seen; accuracy is the weak model's."""
    return accuracy * m, 1 - m, (1 - accuracy) * m


def posterior(belief: Belief, likelihood: Belief) -> Belief:
    """Return the belief after a score with the given likelihoods of the three states (Bayes' rule)."""
    joint = belief[0] * likelihood[0], belief[1] * likelihood[1], belief[2] * likelihood[2]
    total = joint[0] + joint[1] + joint[2]
    return joint[0] / total, joint[1] / total, joint[2] / total


def after_keep(belief: Belief) -> Floats:
    """Return m after the draft was kept."""
    return belief[0]


def regenerated(belief: Belief, strong_if_right: float, strong_if_wrong: float) -> Belief:
    """Return the belief about the strong model's step before its score is seen."""
    right = strong_if_right * belief[0] + strong_if_wrong * belief[2]
    return right, belief[1], belief[0] + belief[2] - right
