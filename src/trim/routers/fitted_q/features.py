"""What fitted Q sees of a history, and the functions of it in which it is linear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.arrays import Floats
from trim.rollout.history import Observed

CERTAIN = 1e-3
"""Scores nearer to 0 or 1 than this count as this near."""

KNOTS = 5
"""Hinges of each feature by itself, at its quantiles."""


def describe(observed: Observed) -> Floats:
    """Summarise n histories and their drafts, shape (n, 16).

    Who wrote a step is left out: where both models write the same, histories differ in nothing else, and the trees hold
    one node for both.
    """
    rows, position, past = np.arange(len(observed.position)), observed.position, observed.past
    kept, drafted = (_logit(np.where(past, scores, 0.5)) for scores in (observed.scores, observed.draft_scores))
    steps = np.maximum(position, 1)
    draft, lowest, product = observed.score, observed.minimum, observed.product
    columns = [
        draft,
        _logit(draft),
        np.log1p(np.maximum(observed.draft_tokens, 0)),
        observed.final,
        position,
        np.sqrt(position),
        lowest,
        _logit(lowest),
        product,
        np.log(np.maximum(product, CERTAIN**2)),
        product * draft,
        kept.sum(axis=1) / steps,
        kept[rows, steps - 1],
        drafted.sum(axis=1) / steps,
        np.min(drafted, axis=1, initial=_logit(np.ones(1))[0], where=past),
        np.where(past, observed.tokens, 0).sum(axis=1) / steps,
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def _logit(scores: Floats) -> Floats:
    likely = np.clip(scores, CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(likely / (1 - likely)))


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Functions of a description: one, its standardised features, and hinges, of each feature and at random of all.

    A linear regression on them bends where hinges lie, and is solved exactly (random features: Rahimi and Recht, 2008).

    Attributes
    ----------
    mean, scale
        Shape (F,); of the features.
    directions, offsets
        Shape (F, H) and (H,); of the hinges.
    """

    mean: Floats
    scale: Floats
    directions: Floats
    offsets: Floats

    @classmethod
    def draw(cls, described: Floats, weights: Floats, hinges: int, rng: np.random.Generator) -> Basis:
        """Place hinges over descriptions, shape (n, F), of which some weigh more than others: so many random ones."""
        mean = np.average(described, axis=0, weights=weights)
        scale = np.sqrt(np.average((described - mean) ** 2, axis=0, weights=weights))
        scale[scale < 1e-9] = 1.0  # what never differs, as the position in trees of single steps
        levels = np.arange(1, KNOTS + 1) / (KNOTS + 1)
        standing = (described - mean) / scale
        knots = np.quantile(standing, levels, axis=0, weights=weights, method="inverted_cdf")
        each = np.repeat(np.eye(len(mean)), KNOTS, axis=1)
        directions = rng.normal(size=(len(mean), hinges)) / np.sqrt(len(mean))
        offsets = rng.uniform(-1, 1, hinges)
        return cls(mean, scale, np.hstack([each, directions]), np.concatenate([-knots.T.ravel(), offsets]))

    @property
    def size(self) -> int:
        """Number of functions."""
        return 1 + len(self.mean) + len(self.offsets)

    def apply(self, described: Floats) -> Floats:
        """Return the functions of descriptions, shape (n, size)."""
        standing = (described - self.mean) / self.scale
        hinges = np.maximum(standing @ self.directions + self.offsets, 0)
        return np.hstack([np.ones((len(described), 1)), standing, hinges])
