"""How PRM scores tell the states of TRIM-POMDP apart: reflected kernel densities, binned (paper, section 4.3).

States of a step: S0, all is right so far; S1, an earlier step is wrong; S2, only this step is wrong.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr

from trim.arrays import Floats, Integers
from trim.errors import InputError

logger = logging.getLogger(__name__)


STATES = ("S0", "S1", "S2")
BINS = 25
FLOOR = 1e-3
"""Share of every likelihood that is spread evenly over its symbols: no score rules a state out."""

BORROWED = 10.0
"""Drafts that a state's density of strong steps borrows from the density of drafts; the strong model errs seldom."""


@dataclass(frozen=True, eq=False)
class ObservationModel:
    """Likelihoods of binned scores.

    Attributes
    ----------
    edges
        Shape (B + 1,); bin edges, rising from 0 to 1.
    draft
        Shape (K, 3); P(symbol | state) of a draft. The symbol is the bin of its score (K = B) or, in the
        joint alphabet, the pair (bin of the lowest score before, bin of its score), K = B².
    strong
        Shape (K_s, 3); the same of a step by the strong model, whose symbol is its score's bin (K_s = B)
        or tells nothing (K_s = 1).

    Raises
    ------
    InputError
        If shapes do not fit, edges do not rise from 0 to 1, or a column is no positive distribution.
    """

    edges: Floats
    draft: Floats
    strong: Floats

    def __post_init__(self) -> None:
        """Check shapes, edges and columns."""
        edges, bins = self.edges, len(self.edges) - 1
        if bins < 1 or edges[0] != 0 or edges[-1] != 1 or np.any(np.diff(edges) <= 0):
            raise InputError("observation model: the bin edges must rise from 0 to 1; fit them again")
        for name, table, sizes in (("draft", self.draft, (bins, bins**2)), ("strong", self.strong, (bins, 1))):
            if table.ndim != 2 or table.shape[1] != 3 or len(table) not in sizes:
                raise InputError(
                    f"observation model: the {name} likelihoods have shape {table.shape}, "
                    f"but {bins} bins need {sizes[0]} or {sizes[1]} rows of 3 states"
                )
            if not (np.all(table > 0) and np.allclose(table.sum(0), 1, atol=1e-9)):
                raise InputError(
                    f"observation model: each column of the {name} likelihoods must be positive and sum to 1, "
                    f"but the sums are {table.sum(0).round(6).tolist()}"
                )

    @property
    def joint(self) -> bool:
        """Whether a draft's symbol also tells the lowest score before."""
        return len(self.draft) != len(self.edges) - 1

    @property
    def centres(self) -> Floats:
        """Middles of the bins, shape (B,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    def index(self, score: Any) -> Any:
        """Return the bin of a score, or of each score of an array."""
        return self.edges[1:-1].searchsorted(score, side="right")

    def draft_symbol(self, score: Any, minimum: Any) -> Any:
        """Return the symbol of a draft; the lowest score before counts in the joint alphabet alone."""
        return self.index(minimum) * (len(self.edges) - 1) + self.index(score) if self.joint else self.index(score)

    def strong_symbol(self, score: Any) -> Any:
        """Return the symbol of a step by the strong model."""
        return self.index(score) * (len(self.strong) > 1)


def quantile_edges(scores: Floats, bins: int = BINS) -> Floats:
    """Choose bin edges so that the bins hold equally many scores; heavy ties leave fewer bins."""
    inner = np.quantile(scores, np.arange(1, bins) / bins)
    return np.unique(np.concatenate([[0.0], inner.clip(0, 1), [1.0]]))


def reflected_masses(samples: Floats, edges: Floats, bandwidth: float) -> Floats:
    """Return the mass that each sample's Gaussian kernel, reflected at 0 and 1, puts into each bin.

    Parameters
    ----------
    samples
        Shape (n,), in [0, 1].
    edges
        Shape (B + 1,), from 0 to 1.

    Returns
    -------
    Shape (n, B); rows sum to 1.
    """
    images = np.stack([samples, -samples, 2 - samples])  # kernels reach no further: bandwidths are far below 1
    below = ndtr((edges - images[..., None]) / bandwidth).sum(0)
    masses = np.diff(below, axis=-1)
    normalised: Floats = masses / masses.sum(-1, keepdims=True)
    return normalised


def binned_density(features: Floats, edges: Floats) -> Floats:
    """Bin a reflected kernel density, with product kernels and Scott's bandwidths.

    Bandwidths are taken in the coordinate in which all bins are equally wide, so that the kernel is as narrow
    as the bins where scores pile up; with even edges it is the plain density of the paper.

    Parameters
    ----------
    features
        Shape (n, d), in [0, 1]; d is 1 or 2.

    Returns
    -------
    Shape (B,) or (B²,), the first feature slowest; sums to 1.
    """
    count, dimension = features.shape
    even = np.linspace(0, 1, len(edges))
    masses = []
    for column in np.interp(features, edges, even).T:
        bandwidth = max(column.std(), 1e-3) * count ** (-1 / (dimension + 4))
        masses.append(reflected_masses(column, even, bandwidth))
    density: Floats = masses[0].mean(0) if dimension == 1 else (masses[0].T @ masses[1] / count).ravel()
    return density


def fit_observation(
    draft_scores: Floats,
    draft_states: Integers,
    strong_scores: Floats | None = None,
    strong_states: Integers | None = None,
    *,
    minima: Floats | None = None,
    bins: int = BINS,
    spacing: Literal["quantile", "even"] = "quantile",
) -> ObservationModel:
    """Fit the likelihoods of scores to steps whose states are known.

    Parameters
    ----------
    draft_scores, draft_states
        Shape (n,); scores in [0, 1] and states 0, 1, 2 of drafts.
    strong_scores, strong_states
        The same of steps by the strong model; without them its scores tell nothing.
    minima
        Shape (n,); lowest score before each draft, 1 at the first step: fits the joint alphabet.
    spacing
        `quantile`: bins that hold equally many scores; `even`: equally wide ones, as the official code.

    Raises
    ------
    InputError
        If a score or state is out of range.
    """
    strong_scores = np.empty(0) if strong_scores is None else strong_scores
    strong_states = np.empty(0, np.int64) if strong_states is None else strong_states
    _check("drafts", draft_scores, draft_states)
    _check("strong steps", strong_scores, strong_states)
    pooled = np.concatenate([draft_scores, strong_scores])
    edges = quantile_edges(pooled, bins) if spacing == "quantile" else np.linspace(0, 1, bins + 1)
    features = draft_scores[:, None] if minima is None else np.stack([minima, draft_scores], axis=1)
    draft, alone, strong = [], [], []
    for state, name in enumerate(STATES):
        chosen = draft_states == state
        if not chosen.any():  # its scores may be anything: they tell nothing
            logger.warning("observation model: none of %d drafts is in state %s; add rollouts", len(chosen), name)
            chosen = np.ones(len(draft_states), dtype=bool)
        draft.append(binned_density(features[chosen], edges))
        alone.append(draft[-1] if minima is None else binned_density(draft_scores[chosen, None], edges))
        own = strong_scores[strong_states == state]
        density = binned_density(own[:, None], edges) if len(own) else alone[-1]
        strong.append((len(own) * density + BORROWED * alone[-1]) / (len(own) + BORROWED))
    return ObservationModel(
        edges, floored(np.stack(draft, 1)), floored(np.stack(strong, 1)) if len(strong_scores) else np.ones((1, 3))
    )


def floored(likelihoods: Floats, floor: float = FLOOR) -> Floats:
    """Normalise the columns and spread a share of each evenly."""
    mixed: Floats = (1 - floor) * likelihoods / likelihoods.sum(0) + floor / len(likelihoods)
    return mixed


def _check(what: str, scores: Floats, states: Integers) -> None:
    if len(scores) != len(states):
        raise InputError(f"observation model: {len(scores)} scores but {len(states)} states of {what}")
    wrong = np.flatnonzero(~((scores >= 0) & (scores <= 1)))  # NaN is wrong too
    if len(wrong):
        raise InputError(
            f"observation model: score {scores[wrong[0]]} of {what}, row {wrong[0]}, is not in [0, 1]; score it again"
        )
    if not np.isin(states, (0, 1, 2)).all():
        raise InputError(f"observation model: the states of {what} must be 0, 1 or 2")
