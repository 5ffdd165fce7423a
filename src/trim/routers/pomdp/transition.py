"""How episodes go on: step accuracies, when solutions end, what steps cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from trim.arrays import Booleans, Floats, Integers
from trim.errors import InputError

TOKEN_VALUES = 5
SMOOTHING = 10.0
"""How many steps at the rate of the neighbourhood, and there at the pooled rate, are added to those seen."""

LARGEST_SHIFT = 8.0
"""In logits, of accuracies that are matched to what was seen of whole solutions."""


@dataclass(frozen=True, eq=False)
class TransitionModel:
    """Accuracies given a right prefix, hazard of the end, and token counts of steps.

    Attributes
    ----------
    weak_accuracy
        Shape (S,); P(draft right) at each position, counted from 0.
    strong_if_right, strong_if_wrong
        P(regenerated step right) where the draft was right, and where it was wrong.
    hazard
        Shape (S,); P(the step at a position ends the solution | there is one); 1 at the last, S - 1.
    tokens, token_weights
        Shape (C,); token counts of drafts still to come, and their probabilities.

    Raises
    ------
    InputError
        If shapes do not fit or a value is no probability.
    """

    weak_accuracy: Floats
    strong_if_right: float
    strong_if_wrong: float
    hazard: Floats
    tokens: Floats
    token_weights: Floats

    def __post_init__(self) -> None:
        """Check lengths and probabilities."""
        if len(self.weak_accuracy) != len(self.hazard) or len(self.tokens) != len(self.token_weights):
            raise InputError("transition model: accuracies and hazard, or tokens and weights, differ in length")
        for name in ("weak_accuracy", "strong_if_right", "strong_if_wrong", "hazard", "token_weights"):
            values = np.asarray(getattr(self, name))
            if not np.all((values >= 0) & (values <= 1)):
                raise InputError(f"transition model: {name} holds {values.ravel().tolist()}, not probabilities")
        if not len(self.hazard) or self.hazard[-1] != 1:
            raise InputError("transition model: the hazard of the last possible step must be 1")
        if not np.isclose(self.token_weights.sum(), 1) or np.any(self.tokens < 0):
            raise InputError("transition model: token weights must sum to 1, and token counts must not be negative")

    @property
    def max_steps(self) -> int:
        """Number of steps after which every episode has ended."""
        return len(self.hazard)

    def alone(self, strong: bool) -> tuple[float, float]:
        """Return what is expected of one model that writes all steps: P(all are right at the end), and its tokens."""
        accuracy = np.asarray(self.weak_accuracy, dtype=float)
        if strong:
            accuracy = accuracy * self.strong_if_right + (1 - accuracy) * self.strong_if_wrong
        reached = np.cumprod(np.append(1.0, 1 - self.hazard[:-1]))  # P(there is a step at the position)
        right = float((reached * self.hazard * np.cumprod(accuracy)).sum())
        return right, float(reached.sum() * (self.tokens @ self.token_weights))


def fit_transition(
    positions: Integers,
    draft_right: Booleans,
    strong_right: Floats,
    draft_final: Booleans,
    draft_tokens: Integers,
    max_steps: int,
    *,
    by_step: bool = False,
) -> TransitionModel:
    """Estimate the transitions from nodes of rollouts whose prefix is right.

    Positions that no rollout reached get the pooled accuracy and hazard: longer solutions than the training
    split holds are possible, and are not taken to end where it does.

    Parameters
    ----------
    positions
        Shape (n,); number of kept steps before each node.
    draft_right, draft_final, draft_tokens
        Shape (n,); whether the draft is right, whether it would end the solution, its token count.
    strong_right
        Shape (n,); 1 or 0, whether the strong model's step is right; NaN where it wrote none.
    by_step
        Let the weak model's accuracy depend on the position.

    Raises
    ------
    InputError
        If there is no node, or one lies beyond `max_steps`.
    """
    if not len(positions):
        raise InputError("transition model: no step with a right prefix; add rollouts")
    if positions.max() >= max_steps:
        raise InputError(f"transition model: a step at position {positions.max()}, but max_steps is {max_steps}")
    pooled = _laplace(draft_right)
    hazard = _rate_by_position(positions, draft_final, max_steps)
    hazard[-1] = 1.0
    groups = np.array_split(np.sort(draft_tokens), min(TOKEN_VALUES, len(np.unique(draft_tokens))))
    return TransitionModel(
        weak_accuracy=_rate_by_position(positions, draft_right, max_steps) if by_step else np.full(max_steps, pooled),
        strong_if_right=_laplace(strong_right[draft_right & ~np.isnan(strong_right)]),
        strong_if_wrong=_laplace(strong_right[~draft_right & ~np.isnan(strong_right)]),
        hazard=hazard,
        tokens=np.array([round(group.mean()) for group in groups], dtype=float),
        token_weights=np.array([len(group) for group in groups]) / len(draft_tokens),
    )


def matched(transition: TransitionModel, weak: float, strong: float) -> TransitionModel:
    """Shift the accuracies of steps until each model alone is right as often as it was seen to be.

    Problems differ in difficulty, so that a product of accuracies averaged over problems is less than the average of
    their products.

    Parameters
    ----------
    weak, strong
        P(all steps are right) where one model writes all; what no shift reaches is met as nearly as possible.
    """

    def weaker(shift: float) -> TransitionModel:
        return replace(transition, weak_accuracy=_shifted(transition.weak_accuracy, shift))

    found = weaker(_root(lambda shift: weaker(shift).alone(strong=False)[0] - weak))

    def stronger(shift: float) -> TransitionModel:
        right, wrong = (float(_shifted(p, shift)) for p in (found.strong_if_right, found.strong_if_wrong))
        return replace(found, strong_if_right=right, strong_if_wrong=wrong)

    return stronger(_root(lambda shift: stronger(shift).alone(strong=True)[0] - strong))


def _shifted(probability: Floats | float, shift: float) -> Floats:
    moved: Floats = expit(logit(np.clip(probability, 1e-6, 1 - 1e-6)) + shift)
    return moved


def _root(rising: Callable[[float], float]) -> float:
    """Return where a rising function is zero, or the end of the range that comes nearest."""
    low, high = -LARGEST_SHIFT, LARGEST_SHIFT
    if rising(low) >= 0 or rising(high) <= 0:
        return low if rising(low) >= 0 else high
    return float(brentq(rising, low, high))


def _laplace(events: NDArray[np.generic]) -> float:
    return float((events.sum() + 1) / (len(events) + 2))


def _rate_by_position(positions: Integers, events: Booleans, max_steps: int) -> Floats:
    """Return the rate of an event by position: where few steps were seen, that of the neighbourhood, or the pooled one.

    Positions that were seen often speak for themselves: a hazard that is smeared over its neighbours ends solutions
    which no rollout ends there.
    """
    steps = np.arange(max_steps)
    kernel = np.exp(-((steps[:, None] - steps) ** 2) / 2)  # a standard deviation of one step
    seen = np.bincount(positions, minlength=max_steps)
    happened = np.bincount(positions, weights=events, minlength=max_steps)
    nearby = (kernel @ happened + SMOOTHING * _laplace(events)) / (kernel @ seen + SMOOTHING)
    rates: Floats = (happened + SMOOTHING * nearby) / (seen + SMOOTHING)
    return rates
